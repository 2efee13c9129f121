"""The network that is trained, its optimiser and its learning rate."""

from typing import Any

import torch
from torch import Tensor, nn

from socl_pipeline.models import Backbone
from socl_pipeline.models.backbone import Precision, extract
from socl_pipeline.settings import ModelSettings, TransTModelSettings
from socl_pipeline.transt.network import TransT

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


class PairNetwork(nn.Module):
    """A network that compares two images; its `backbone` is all of it."""

    def __init__(self, backbone: TransT, precision: Precision) -> None:
        """Take the network, and the precision that it computes in."""
        super().__init__()
        self.backbone = backbone
        self._precision = precision

    def forward(self, template: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the network does of raw RGB images (B, 3, T, T) and (B, 3, S, S)."""
        enabled = self._precision == "bf16"
        with torch.autocast(search.device.type, torch.bfloat16, enabled=enabled):
            found: tuple[Tensor, Tensor] = self.backbone(template, search)
            return found


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
    """Return the optimiser, fused: one kernel over all parameters.

    A group of parameters may have a `share` of the learning rate (`set_learning_rate`).
    """
    groups = _groups(network, settings)
    rates: dict[str, Any] = {
        "lr": settings.lr,
        "weight_decay": settings.weight_decay,
        "fused": True,
    }
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=SGD_MOMENTUM, **rates)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, **rates)
    return torch.optim.Adam(groups, **rates)


def _groups(network: nn.Module, settings: ModelSettings) -> list[dict[str, Any]]:
    """Return the parameters by rate: a TransT's trunk learns more slowly than what is on it."""
    if not isinstance(settings, TransTModelSettings):
        return [{"params": list(network.parameters())}]
    named = dict(network.named_parameters())
    trunk = [p for name, p in named.items() if ".trunk." in name]
    rest = [p for name, p in named.items() if ".trunk." not in name]
    return [{"params": rest}, {"params": trunk, "share": settings.trunk_lr / settings.lr}]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give each group of parameters its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)


def learning_rate(settings: ModelSettings, epoch: int) -> float:
    """Return the learning rate of an epoch: cut by 10 at each decay epoch, or exponential."""
    if settings.lr_final is not None:
        share = epoch / max(settings.epochs - 1, 1)
        return settings.lr * (settings.lr_final / settings.lr) ** share
    return settings.lr * DECAY ** sum(epoch >= e for e in settings.lr_decay_epochs)
