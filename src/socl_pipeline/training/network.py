"""The network that is trained, its optimiser and its learning rate."""

from typing import Any

import torch
from torch import Tensor, nn

from socl_pipeline.models import Backbone
from socl_pipeline.models.backbone import Precision, extract
from socl_pipeline.settings import ModelSettings

PROJECTION_CHANNELS = 64  # supplement J
SGD_MOMENTUM = 0.9  # SiamFC
DECAY = 0.1  # paper 4.1


class Network(nn.Module):
    """A backbone and, for the loss alone, its projection head."""

    def __init__(self, backbone: Backbone, head: nn.Module | None, precision: Precision) -> None:
        """Take the parts, and the precision that they compute in."""
        super().__init__()
        self.backbone = backbone
        self.head = head
        self._precision = precision

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, C, H, W) of raw RGB images (B, 3, w, w)."""
        features = extract(self.backbone, images, self._precision)
        return features if self.head is None else extract(self.head, features, self._precision)


def projection_head(channels: int, seed: int) -> nn.Module:
    """Return the projection head of supplement J: C -> C -> 64 perceptrons as 1x1 convolutions."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, PROJECTION_CHANNELS, 1),
        )


def make_optimizer(network: nn.Module, settings: ModelSettings) -> torch.optim.Optimizer:
    """Return the optimiser, fused: one kernel over all parameters."""
    rates: dict[str, Any] = {
        "lr": settings.lr,
        "weight_decay": settings.weight_decay,
        "fused": True,
    }
    if settings.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=SGD_MOMENTUM, **rates)
    return torch.optim.Adam(network.parameters(), **rates)


def learning_rate(settings: ModelSettings, epoch: int) -> float:
    """Return the learning rate of an epoch: cut by 10 at each decay epoch, or exponential."""
    if settings.lr_final is not None:
        share = epoch / max(settings.epochs - 1, 1)
        return settings.lr * (settings.lr_final / settings.lr) ** share
    return settings.lr * DECAY ** sum(epoch >= e for e in settings.lr_decay_epochs)
