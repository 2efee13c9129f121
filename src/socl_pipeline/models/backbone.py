"""What every feature extractor of this package offers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

Precision = Literal["float32", "bf16"]


@dataclass(frozen=True)
class Layer:
    """Features that a backbone computes on its way; see `Backbone` for the units.

    kept: the channels that a correlation filter projects them to by default; 0: it leaves them out.
    """

    stride: int
    channels: int
    offset: float
    kept: int = 0


class Backbone(nn.Module, ABC):
    """Features (N, channels, H', W') of raw RGB images (N, 3, H, W), floats from 0 to 255.

    Any normalisation of the colours happens inside, so every user feeds the same numbers. Rows
    and columns are alike: cell i sees the pixels within receptive_field / 2 of the position
    offset + stride * i, in edge coordinates (the first pixel is [0, 1)).
    """

    stride: int  # image pixels from one feature cell to the next
    channels: int  # feature channels
    receptive_field: int  # side of the image square that one cell depends on, in pixels
    offset: float  # where in the image the first cell is centred, in pixels from its edge
    padded: bool  # whether convolutions pad: then border cells know where the crop ends
    layers: ClassVar[Mapping[str, Layer]] = {}  # what `between` can return, in order

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return the features of raw RGB images."""

    def between(self, images: Tensor, names: Sequence[str]) -> list[Tensor]:
        """Return the features of the named `layers`, and compute nothing beyond the last one."""
        raise NotImplementedError(f"{type(self).__name__} has no layers in between")


def extract(network: nn.Module, images: Tensor, precision: Precision) -> Tensor:
    """Return the features of images (N, 3, H, W), computed in bfloat16 where precision says so.

    The channels go last: grouped and small convolutions are up to twice as fast that way.
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
        features: Tensor = network(images.contiguous(memory_format=torch.channels_last))
        return features
