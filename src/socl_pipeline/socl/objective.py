"""The SoCL loss as the trainer runs it: patches in, soft samples of each video, one loss.

Soft samples are made video by video, so any part of a batch may go through the network alone;
mix-up and the loss compare all videos and come last. Everything random is drawn for the whole
batch beforehand.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from socl_pipeline.patches.augment import (
    Windows,
    boxes_in_windows,
    cut_windows,
    draw_colour,
    draw_windows,
    jitter_colour,
    windows_of,
)
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.socl.loss import SoclOptions, contrastive_loss, draw_noise, soft_samples
from socl_pipeline.socl.prior import CellGrid, score_maps, top_probability
from socl_pipeline.socl.samples import background_selection


class SoclObjective:
    """What a network is trained for with SoCL; see `training.objective` for the contract."""

    def __init__(
        self, settings: SoclModelSettings, grid: CellGrid, clip: float, patch_size: int
    ) -> None:
        """Remember the loss's settings.

        grid: where the network's feature cells lie in a window. clip: share of the grid at which
        TOP maps are clipped. patch_size: side of the patches in pixels.
        """
        self.settings, self.grid, self.clip, self.patch_size = settings, grid, clip, patch_size
        self.options = SoclOptions(
            **{name: getattr(settings, name) for name in SoclOptions.__dataclass_fields__}
        )

    def draw(self, videos: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw windows, colours and the noise of the soft samples of N videos: (N, ...) each."""
        settings, locations = self.settings, self.grid.cells**2
        return {
            **draw_windows(videos, self.patch_size, settings.window, settings.augment, rng),
            **draw_colour(videos, settings.augment, rng),
            **draw_noise(videos, locations, self.options, rng),
        }

    def encode(
        self, network: nn.Module, batch: PatchBatch, draws: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the soft samples of n videos, 2n patches, and what to watch of each.

        network: images (2n, 3, w, w), 0..255, to features (2n, C, H, W). The samples are those of
        `socl.loss`, float32 whatever the network's precision. Watched, (n,) each: `masked` (share
        of the cells that count as target when negatives are sought) and `coverage` (share of the
        TOP extent's square that they cover).
        """
        windows = windows_of(draws)
        with _without_autocast(batch.images.device):
            images = cut_windows(batch.images, windows, self.settings.window)
            images = jitter_colour(images, draws)
            top = self._top(batch, windows)
        features = network(images)
        with _without_autocast(batch.images.device):
            pairs = features.flatten(2).unflatten(0, (-1, 2))
            samples = soft_samples(pairs, top, self.options, draws)
            target = ~background_selection(top, self.settings.background_mass)
            extent = self._extent(batch, windows)
            return samples | {
                "masked": target.float().mean(dim=(1, 2)),
                "coverage": _share(target & extent, extent),
            }

    def loss(
        self, encoded: Mapping[str, Tensor], draws: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of the whole batch (Eq. 9-10), and scalars to watch.

        `accuracy` is how often the other frame's template beats all negatives; `masked` and
        `coverage` are means over the videos.
        """
        with _without_autocast(encoded["gst"].device):
            loss, accuracy = contrastive_loss(encoded, self.options, draws)
        watched = {name: encoded[name].mean() for name in ("masked", "coverage")}
        return loss, {"accuracy": accuracy} | watched

    def _top(self, batch: PatchBatch, windows: Windows) -> Tensor:
        """Return the TOP maps (n, 2, L) of the windows."""
        boxes = boxes_in_windows(batch.boxes, windows, self.settings.window)
        maps = score_maps(boxes, batch.scores, self.grid)
        return top_probability(maps, self.clip, self.settings.top_gain).unflatten(0, (-1, 2))

    def _extent(self, batch: PatchBatch, windows: Windows) -> Tensor:
        """Return the cells (n, 2, L) of the square around the click that is as wide as the extent.

        A cell belongs to it if it is covered more than half as much as the best covered one, so
        that a square smaller than a cell has a cell as well.
        """
        side = batch.extents[:, None]
        corner = (self.patch_size - side) / 2
        square = torch.stack([corner, corner, side, side], dim=-1)
        inside = boxes_in_windows(square, windows, self.settings.window)
        covered = score_maps(inside, torch.ones_like(side), self.grid).unflatten(0, (-1, 2))
        return covered > covered.amax(dim=-1, keepdim=True) / 2


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """Return how much of each video's whole (n, 2, L) its part is, (n,); 0 of nothing."""
    return part.sum(dim=(1, 2)) / whole.sum(dim=(1, 2)).clamp_min(1)


def _without_autocast(device: torch.device) -> torch.autocast:
    """Return a context that leaves tensors the precision they have; the network's is its own."""
    return torch.autocast(device.type, enabled=False)
