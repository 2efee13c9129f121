"""Feature blocks of search patches: HOG and layers of a network."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from socl_pipeline.errors import InputError
from socl_pipeline.models.backbone import Backbone, Precision
from socl_pipeline.models.inference import prepare_for_inference
from socl_pipeline.trackers.eco.hog import CELL, CHANNELS, hog


@dataclass(frozen=True)
class Feature:
    """One block: its cells are `stride` px apart; `channels` before and after the projection."""

    stride: int
    channels: int
    kept: int
    offset: float  # of the first cell from the sample's edge, px


class FeatureExtractor:
    """Computes the feature blocks of square patches on one device."""

    def __init__(
        self,
        hog_channels: int,
        layers: Mapping[str, int],
        backbone: Backbone | None,
        precision: Precision,
        device: torch.device,
    ) -> None:
        """Copy the backbone to `device`; layers: names and channels to keep of each.

        Raises:
            InputError: a layer is unknown, there is no backbone to take it from, or no feature.
        """
        if not hog_channels and not layers:
            raise InputError("there are no features: set hog_channels, or name a backbone")
        self.device = device
        self.margin = 0  # px that a patch needs on each side of the sample: nothing pads there
        self.features: list[Feature] = []
        self._precision = precision
        self._names = list(layers)
        self._with_hog = hog_channels > 0
        if self._with_hog:
            self.features.append(Feature(CELL, CHANNELS, hog_channels, CELL / 2))
        self._backbone: Backbone | None = None
        if layers:
            self._backbone = _checked(backbone, layers)
            prepare_for_inference(self._backbone, device, precision)
            self._backbone.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._add_layers(self._backbone, layers)

    def _add_layers(self, backbone: Backbone, layers: Mapping[str, int]) -> None:
        chosen = [backbone.layers[name] for name in layers]
        self.margin = max(0, *(math.ceil(c.offset - c.stride / 2) for c in chosen))
        for layer, kept in zip(chosen, layers.values(), strict=True):
            kept = min(kept, layer.channels)
            offset = layer.offset - self.margin
            self.features.append(Feature(layer.stride, layer.channels, kept, offset))

    @property
    def unit(self) -> int:
        """What the side of a sample must be a multiple of, px."""
        return math.lcm(*(f.stride for f in self.features))

    @property
    def offsets(self) -> list[float]:
        """How many cells each block's first cell lies right of half a stride from the edge."""
        return [_first_cell(f)[1] for f in self.features]

    @torch.inference_mode()
    def __call__(self, patches: Tensor) -> list[Tensor]:
        """Return the blocks (N, C, n, n), n = side / stride, of equal energy, without windows.

        patches: uint8 (N, P, P, 3) RGB with P = side + 2 `margin`, on the extractor's device.
        """
        side = patches.shape[1] - 2 * self.margin
        maps = []
        if self._with_hog:
            inner = slice(self.margin, self.margin + side)
            maps.append(hog(patches[:, inner, inner], CELL))
        if self._backbone is not None:
            maps += self._layers(patches)
        return [
            normalised(_sample_cells(m, f, side)) for m, f in zip(maps, self.features, strict=True)
        ]

    def _layers(self, patches: Tensor) -> list[Tensor]:
        images = patches.permute(0, 3, 1, 2).float()  # channels last in memory already
        enabled = self._precision == "bf16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=enabled):
            maps = self._backbone.between(images, self._names)  # type: ignore[union-attr]
        return [m.float() for m in maps]


def _first_cell(feature: Feature) -> tuple[int, float]:
    """Return the map's cell nearest to the regular first place, and by how many cells it is off.

    The regular place is half a stride from the sample's edge; a negative cell is one that the map
    does not have.
    """
    regular = feature.stride / 2
    first = round((regular - feature.offset) / feature.stride)
    return first, (feature.offset + feature.stride * first - regular) / feature.stride


def _sample_cells(maps: Tensor, feature: Feature, side: int) -> Tensor:
    """Return the n x n cells of the sample; missing ones, where windows vanish, are zero."""
    cells = side // feature.stride
    first = _first_cell(feature)[0]
    beyond = [-first, first + cells - maps.shape[-1], -first, first + cells - maps.shape[-2]]
    return functional.pad(maps, beyond) if any(beyond) else maps


def default_layers(backbone: Backbone | None) -> dict[str, int]:
    """Return the layers that a filter uses if nothing is said, and the channels kept of each."""
    layers = {} if backbone is None else backbone.layers
    return {name: layer.kept for name, layer in layers.items() if layer.kept}


def normalised(maps: Tensor) -> Tensor:
    """Return maps (N, C, H, W) with a mean square of 1 in each of the N (ECO)."""
    mean_square = maps.square().mean(dim=(1, 2, 3), keepdim=True)
    return maps * torch.rsqrt(mean_square.clamp(min=1e-12))


def _checked(backbone: Backbone | None, layers: Mapping[str, int]) -> Backbone:
    if backbone is None:
        raise InputError(f"layers {', '.join(layers)} need a backbone; name one, or leave them out")
    for name in layers:
        if name not in backbone.layers:
            raise InputError(
                f"layers: this backbone has no {name!r}; it has {', '.join(backbone.layers)}"
            )
    return copy.deepcopy(backbone).eval()
