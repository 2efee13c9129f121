"""A tracker of a config, made outside of the pipeline."""

from pathlib import Path

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import Job, Target
from socl_pipeline.settings import load_config
from socl_pipeline.trackers.base import Correctable
from socl_pipeline.trackers.build import build_tracker


def configured_tracker(
    config: Path, name: str, dataset: str | None = None, results: Path = Path("results")
) -> Correctable:
    """Return the tracker that a config names.

    dataset: the one that its model was trained on; needed for trackers with a model only, which
    is then expected below the folder `results`. Raises InputError if one of them is missing.
    """
    loaded = load_config(config)
    settings = loaded.tracker(name)
    model = getattr(settings, "model", None)
    if model is None:
        return build_tracker(settings, None)
    if dataset is None:
        raise InputError(
            f"tracker {name!r}: runs model {model!r}; name the dataset that it was trained on"
        )
    folder = Job(loaded, Target.of("train", dataset=dataset, model=model), results).output
    if not folder.exists():
        raise InputError(f"{folder}: not built yet; run `socl train`")
    return build_tracker(settings, folder.resolve())
