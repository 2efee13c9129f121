"""Make the tracker that a config entry names."""

import functools
from pathlib import Path
from typing import Literal, get_args

from socl_pipeline.errors import InputError
from socl_pipeline.models import (
    Backbone,
    BackboneName,
    build_backbone,
    load_pretrained,
    load_weights,
)
from socl_pipeline.models.device import choose_device
from socl_pipeline.settings import (
    AnyTrackerSettings,
    EcoTrackerSettings,
    OpenCVTrackerSettings,
    PythonTrackerSettings,
    ResultsTrackerSettings,
    SiamFCTrackerSettings,
    TransTTrackerSettings,
)
from socl_pipeline.settings.transt import TrunkName
from socl_pipeline.trackers.base import Correctable
from socl_pipeline.trackers.eco.eco import Eco
from socl_pipeline.trackers.opencv import OpenCVTracker
from socl_pipeline.trackers.siamfc import SiamFC, SiamFCSettings
from socl_pipeline.trackers.transt import TransTTracker
from socl_pipeline.trackers.user import load_user_tracker
from socl_pipeline.transt.checkpoint import Trained, build_network, load_network, load_published
from socl_pipeline.transt.network import TransTShape

WEIGHTS_FILE = "weights.safetensors"  # in the folder of a trained model


def build_tracker(settings: AnyTrackerSettings, model: Path | None) -> Correctable:
    """Return a tracker; `model` is the folder of its trained model, None where it has none.

    Raises InputError if it cannot be made: a user's class cannot be imported, or there are only
    result files of it.
    """
    if isinstance(settings, OpenCVTrackerSettings):
        return OpenCVTracker(settings.name)
    if isinstance(settings, PythonTrackerSettings):
        return load_user_tracker(settings)
    if isinstance(settings, ResultsTrackerSettings):
        raise InputError(
            f"the tracker of {settings.folder} is of kind results: its boxes are in files, it "
            "cannot be run"
        )
    device = choose_device(settings.device)
    if isinstance(settings, TransTTrackerSettings):
        trained = _transt(settings, model)
        return TransTTracker(trained, device, settings.precision, settings.window, settings.compile)
    backbone = _network(settings, model)
    if isinstance(settings, EcoTrackerSettings):
        return Eco(settings, backbone, device)
    assert backbone is not None  # SiamFC always names one
    constants = SiamFCSettings(normalize=settings.normalize or "cell", precision=settings.precision)
    return SiamFC(backbone, constants, device)


def _network(
    settings: SiamFCTrackerSettings | EcoTrackerSettings, model: Path | None
) -> Backbone | None:
    if model is not None:
        return load_backbone(model)
    if settings.backbone is None:
        return None
    return untrained_backbone(settings.backbone, settings.seed, settings.weights)


def _transt(settings: TransTTrackerSettings, model: Path | None) -> Trained:
    if model is not None:
        return load_transt(model)
    if settings.weights is not None:
        return load_published_transt(settings.weights)
    assert settings.trunk is not None  # the settings want one of the three
    return untrained_transt(settings.trunk, settings.seed)


@functools.lru_cache(maxsize=2)
def load_transt(model: Path) -> Trained:
    """Return the trained TransT of a model folder, in evaluation mode."""
    return load_network(model / WEIGHTS_FILE)


@functools.lru_cache(maxsize=2)
def load_published_transt(path: Path) -> Trained:
    """Return the TransT of a published checkpoint, in evaluation mode."""
    return load_published(path)


@functools.lru_cache(maxsize=2)
def untrained_transt(trunk: TrunkName, seed: int) -> Trained:
    """Return a TransT of full shape with random weights, in evaluation mode."""
    return Trained(build_network(trunk, TransTShape(), seed).eval())


@functools.lru_cache(maxsize=4)
def untrained_backbone(
    name: BackboneName, seed: int, weights: Path | Literal["imagenet"] | None
) -> Backbone:
    """Return a backbone with random or pretrained weights, in evaluation mode."""
    backbone = build_backbone(name, seed)
    if weights is not None:
        load_pretrained(backbone, weights)
    return backbone.eval()


@functools.lru_cache(maxsize=4)
def load_backbone(model: Path) -> Backbone:
    """Return the trained backbone of a model folder, in evaluation mode."""
    path = model / WEIGHTS_FILE
    weights, metadata = load_weights(path)
    if "transt" in metadata:
        raise InputError(
            f"{path}: is a whole TransT, no backbone; only a tracker of its kind runs it"
        )
    name = metadata.get("backbone", "")
    if name not in get_args(BackboneName):
        raise InputError(f"{path}: its metadata names no known backbone ({name!r}); train again")
    backbone = build_backbone(name, seed=0)  # type: ignore[arg-type]
    backbone.load_state_dict(weights)
    return backbone.eval()
