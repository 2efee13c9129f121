"""What the stages before training take: points, proposals, top_maps and patches."""

from typing import Any

from socl_pipeline.pipeline.job import Job, Names, Target
from socl_pipeline.pipeline.recipes.sources import dataset_annotations, file_digest
from socl_pipeline.settings import Config
from socl_pipeline.settings.derived import annotated_dataset
from socl_pipeline.top.objectness.data import objectness_file
from socl_pipeline.top.priors import prior_source


def points_params(config: Config, names: Names) -> dict[str, Any]:
    """Return how annotations are turned into clicks."""
    return config.dataset(names["dataset"]).points.model_dump(mode="json")


def _views(config: Config) -> dict[str, Any]:
    return {"views": config.views.model_dump(mode="json")}


def proposal_params(config: Config, names: Names) -> dict[str, Any]:
    """Return how boxes near the clicks are found."""
    params = config.proposals.model_dump(mode="json", exclude={"shard_frames"})
    del params["edgeboxes"]["model"]  # its content counts: `forest`
    return params | _views(config)


def forest(config: Config, names: Names) -> dict[str, str]:
    """Return the digest of the forest of structured edges, if the config names one."""
    path = config.proposals.edgeboxes.model
    return {} if path is None else {"forest": file_digest(path)}


def top_map_params(config: Config, names: Names) -> dict[str, Any]:
    """Return how the boxes of each frame's TOP map are chosen."""
    free = {"objectness", "shard_frames"}
    return config.top_maps.model_dump(mode="json", exclude=free) | _views(config)


def top_map_inputs(config: Config, names: Names) -> dict[str, Target]:
    """Return the clicks, and the proposals and pseudo boxes where the prior reads them."""
    stages = ("points", "proposals") if config.top_maps.prior == "top" else ("points",)
    inputs = {stage: Target.of(stage, **names) for stage in stages}
    if (boxes := config.top_maps.pseudo_boxes) is not None:
        config.boxes(boxes)  # an unknown one is an InputError
        source = annotated_dataset(config, names["dataset"])
        inputs["pseudo_boxes"] = Target.of("pseudo_boxes", dataset=source, boxes=boxes)
    return inputs


def tables_or_code(config: Config, names: Names) -> dict[str, str]:
    """Return the digest of the prior's tables, or of the file that holds a user's prior."""
    settings = config.top_maps
    if settings.prior == "top":
        return {"objectness": file_digest(objectness_file(settings.objectness, config.views.kind))}
    source = prior_source(settings.prior)
    return {} if source is None else {"prior": file_digest(source)}


def prior_files(job: Job) -> dict[str, str]:
    """Return the digest of what the prior reads besides artifacts: tables, boxes, or its code."""
    if job.config.top_maps.prior == "boxes":
        return dataset_annotations(job)
    return tables_or_code(job.config, job.names)


def patch_params(config: Config, names: Names) -> dict[str, Any]:
    """Return how training patches are cut."""
    return config.patches.model_dump(mode="json")
