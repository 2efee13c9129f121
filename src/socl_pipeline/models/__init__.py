"""Backbones."""

import torch

from socl_pipeline.models.alexnet import AlexNetV1
from socl_pipeline.models.backbone import Backbone
from socl_pipeline.models.pretrained import load_pretrained
from socl_pipeline.models.resnet import ResNet18
from socl_pipeline.models.squeezenet import SqueezeNet11
from socl_pipeline.models.weights import load_weights, save_weights
from socl_pipeline.settings import BackboneName

__all__ = [
    "AlexNetV1",
    "Backbone",
    "BackboneName",
    "ResNet18",
    "SqueezeNet11",
    "build_backbone",
    "load_pretrained",
    "load_weights",
    "save_weights",
]

_BACKBONES: dict[BackboneName, type[Backbone]] = {
    "alexnet_v1": AlexNetV1,
    "resnet18": ResNet18,
    "squeezenet1_1": SqueezeNet11,
}


def build_backbone(name: BackboneName, seed: int) -> Backbone:
    """Return the backbone `name` on the CPU, its random weights a function of `seed` alone.

    Torch's global random state is left as it was.
    """
    # Only the CPU's generator, which is what new modules draw from: torch.manual_seed would
    # reset those of the accelerators as well, and fork_rng would have to save every one.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return _BACKBONES[name]()
