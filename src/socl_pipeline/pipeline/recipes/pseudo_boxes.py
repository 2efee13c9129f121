"""What pseudo boxes take, and the comparison of them with true ones."""

from typing import Any

from socl_pipeline.pipeline.job import Job, Names, Target
from socl_pipeline.pipeline.recipes.sources import dataset_annotations, dataset_entry
from socl_pipeline.pipeline.recipes.tracking import tracker_files, tracker_inputs, tracker_params
from socl_pipeline.settings import Config, TrackedBoxSettings


def pseudo_box_params(config: Config, names: Names) -> dict[str, Any]:
    """Return how the boxes between the sparse ones are made."""
    entry = config.boxes(names["boxes"])
    params = {"settings": entry.model_dump(mode="json", exclude={"tracker"})}
    if isinstance(entry, TrackedBoxSettings):
        params["tracker"] = tracker_params(config, {**names, "tracker": entry.tracker})
    return params


def pseudo_box_inputs(config: Config, names: Names) -> dict[str, Target]:
    """Return the points, and the model of the tracker that makes the boxes."""
    inputs = {"points": Target.of("points", **names)}
    entry = config.boxes(names["boxes"])
    if isinstance(entry, TrackedBoxSettings):
        inputs |= tracker_inputs(config, {**names, "tracker": entry.tracker})
    return inputs


def _tracker_files(config: Config, names: Names) -> dict[str, str]:
    entry = config.boxes(names["boxes"])
    if isinstance(entry, TrackedBoxSettings):
        return tracker_files(config.tracker(entry.tracker))
    return {}


def pseudo_box_files(job: Job) -> dict[str, str]:
    """Return what tells the annotations and the files of the tracker that makes the boxes."""
    # frames without a click are not in the points, but are tracked through
    return dataset_annotations(job) | _tracker_files(job.config, job.names)


def watched_by_pseudo_boxes(config: Config, names: Names) -> Any:
    """Return where the dataset is, and what tells the tracker's files."""
    return {"dataset": dataset_entry(config, names), "weights": _tracker_files(config, names)}


def box_quality_params(config: Config, names: Names) -> dict[str, Any]:
    """Return which pseudo boxes are compared, how, and what they cost."""
    return {
        **names,
        **config.box_quality.model_dump(mode="json"),
        "entries": list(config.pseudo_boxes),
        "seconds_per_box": config.costs.box_seconds,
        "seconds_per_click": config.dataset(names["dataset"]).points.seconds_per_frame,
        "palette": list(config.report.palette),
    }


def box_quality_inputs(config: Config, names: Names) -> dict[str, Target]:
    """Return the points and all pseudo boxes of the dataset."""
    return {"points": Target.of("points", **names)} | {
        f"boxes/{b}": Target.of("pseudo_boxes", **{**names, "boxes": b})
        for b in config.pseudo_boxes
    }
