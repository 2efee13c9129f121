"""What training takes, and what tells pretrained weights."""

from pathlib import Path
from typing import Any

from socl_pipeline.pipeline.job import Names, Target
from socl_pipeline.pipeline.recipes.sources import file_digest
from socl_pipeline.settings import Config
from socl_pipeline.settings.derived import derived_name


def train_params(config: Config, names: Names) -> dict[str, Any]:
    """Return what decides what a model learns, besides its data and first weights."""
    # where and how often a run is saved does not decide what it learns
    free = {"device", "processes", "checkpoint_minutes", "compile", "loader_workers", "weights"}
    settings = config.model(names["model"])
    return settings.model_dump(mode="json", exclude=free | {"data"} | settings.unused)


def train_inputs(config: Config, names: Names) -> dict[str, Target]:
    """Return the patches of the dataset, or of the one derived from it that the model names."""
    source = derived_name(names["dataset"], config.model(names["model"]).data)
    return {"patches": Target.of("patches", dataset=source)}


def model_weights(config: Config, names: Names) -> dict[str, str]:
    """Return what tells the weights that a model starts from, if it has any."""
    return weights_of(config.model(names["model"]))


def weights_of(entry: Any) -> dict[str, str]:
    """Return what tells the pretrained weights of a model or tracker, if it has any."""
    weights = getattr(entry, "weights", None)
    if weights is None:
        return {}
    # published weights stay as they are: their file's name has the hash of its content
    return {"weights": file_digest(weights) if isinstance(weights, Path) else weights}
