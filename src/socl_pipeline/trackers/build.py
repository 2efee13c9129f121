"""Make the tracker that a config entry names."""

import functools
from pathlib import Path

from socl_pipeline.errors import InputError
from socl_pipeline.models import Backbone, build_backbone, load_weights
from socl_pipeline.models.device import choose_device
from socl_pipeline.settings import OpenCVTrackerSettings, SiamFCTrackerSettings
from socl_pipeline.trackers.base import Tracker
from socl_pipeline.trackers.opencv import OpenCVTracker
from socl_pipeline.trackers.siamfc import SiamFC, SiamFCSettings


def build_tracker(
    settings: SiamFCTrackerSettings | OpenCVTrackerSettings, model: Path | None
) -> Tracker:
    """Return a tracker; `model` is the folder of its trained model, None for untrained weights."""
    if isinstance(settings, OpenCVTrackerSettings):
        return OpenCVTracker(settings.name)
    if model is None:
        backbone = build_backbone(settings.backbone, settings.seed)
    else:
        backbone = load_backbone(model)
    constants = SiamFCSettings(normalize=settings.normalize)
    return SiamFC(backbone, constants, choose_device(settings.device))


@functools.lru_cache(maxsize=4)
def load_backbone(model: Path) -> Backbone:
    """Return the trained backbone of a model folder, in evaluation mode."""
    path = model / "weights.safetensors"
    weights, metadata = load_weights(path)
    name = metadata.get("backbone", "")
    if name not in ("alexnet_v1", "resnet18"):
        raise InputError(f"{path}: its metadata names no known backbone ({name!r}); train again")
    backbone = build_backbone(name, seed=0)  # type: ignore[arg-type]
    backbone.load_state_dict(weights)
    return backbone.eval()
