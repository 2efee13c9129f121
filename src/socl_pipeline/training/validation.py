"""What held-out videos say of a network; of a backbone, by clicks alone.

Does the target of one frame find itself in another? The centre of a patch of a held-out video is
correlated, as SiamFC does, with a shifted window of another of its frames; the click says where
the answer is. No box is used.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, normalize

from socl_pipeline.models import Backbone
from socl_pipeline.models.backbone import Precision, extract
from socl_pipeline.patches.augment import Windows, cut_windows
from socl_pipeline.patches.loader import PatchBatch, draw_pair, load_batch
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.trackers.siamfc import PADDED_TEMPLATE_BORDER
from socl_pipeline.training.history import Row

EXEMPLAR, SEARCH = 127, 255  # SiamFC's sizes
PAIRS_PER_VIDEO = 16
MOST_PAIRS = 1024  # they stay decoded in memory: 0.6 MB a pair
SHIFT_PX = 28.0
HIT_PX = 16.0  # two cells of stride 8: SiamFC's positive radius
UPSAMPLING = 4


class Validation(Protocol):
    """How a network is judged; every time on the same pairs of held-out frames."""

    @property
    def error(self) -> str:
        """The measured number that is smallest for the best network."""
        ...

    def measure(self, backbone: nn.Module) -> Row:
        """Return numbers by name; the network is then in training mode."""
        ...

    def sentence(self, row: Row) -> str:
        """Say what a measurement found."""
        ...


@dataclass(frozen=True)
class LocalisationPairs:
    """Exemplar and search patches of n pairs, and the search windows' shifts (n, 2) in pixels."""

    exemplars: PatchBatch
    searches: PatchBatch
    shifts: np.ndarray


def draw_pairs(patches: PatchSet, videos: list[str], max_gap: int, seed: int) -> LocalisationPairs:
    """Draw the validation pairs once; every validation uses the same ones."""
    rng = np.random.default_rng([seed, len(videos)])
    pairs = draw_pair_rows(patches, videos, max_gap, rng)
    reach = min(SHIFT_PX, max(0.0, (patches.size - SEARCH) / 2))
    return LocalisationPairs(
        load_batch(patches, [a for a, _ in pairs]),
        load_batch(patches, [b for _, b in pairs]),
        rng.uniform(-reach, reach, (len(pairs), 2)).astype(np.float32),
    )


def draw_pair_rows(
    patches: PatchSet, videos: list[str], max_gap: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Return the rows of pairs: `PAIRS_PER_VIDEO` of each video, `MOST_PAIRS` in all at most."""
    repeats = max(1, min(PAIRS_PER_VIDEO, MOST_PAIRS // len(videos)))
    return [
        draw_pair(patches.frames[patches.videos[v]], patches.videos[v], max_gap, rng)
        for v in videos[:MOST_PAIRS]
        for _ in range(repeats)
    ]


@dataclass(frozen=True)
class Searching:
    """How targets are searched: on which device, in which precision, and by which similarity.

    cosine: features of unit length, as the tracker has them unless it says `normalize: none`.
    """

    device: torch.device
    precision: Precision = "float32"
    cosine: bool = True


@dataclass(frozen=True)
class ClickValidation:
    """Localisation of held-out clicks; see `Validation`."""

    pairs: LocalisationPairs
    how: Searching
    error = "mean_error_px"

    def measure(self, backbone: nn.Module) -> Row:
        """Return what `localisation` does."""
        assert isinstance(backbone, Backbone)
        return localisation(backbone, self.pairs, self.how)

    def sentence(self, row: Row) -> str:
        """Say what a measurement found."""
        hits, error = 100 * row["hit_rate"], row["mean_error_px"]
        return f"{hits:.1f} % of the held-out clicks found, mean error {error:.1f} px"


@torch.inference_mode()
def localisation(
    backbone: Backbone, pairs: LocalisationPairs, how: Searching, batch: int = 16
) -> dict[str, float]:
    """Return `hit_rate` (answers within 16 px of the click) and `mean_error_px` of a backbone."""
    backbone.eval()
    errors = [
        _errors(backbone, pairs, slice(start, start + batch), how)
        for start in range(0, len(pairs.shifts), batch)
    ]
    backbone.train()
    error = np.concatenate(errors)
    return {"hit_rate": float((error <= HIT_PX).mean()), "mean_error_px": float(error.mean())}


def _errors(
    backbone: Backbone, pairs: LocalisationPairs, part: slice, how: Searching
) -> np.ndarray:
    shifts = pairs.shifts[part]
    exemplars = _window(pairs.exemplars.images[part], np.zeros_like(shifts), EXEMPLAR, how.device)
    searches = _window(pairs.searches.images[part], shifts, SEARCH, how.device)
    template, features = (
        extract(backbone, images, how.precision).float() for images in (exemplars, searches)
    )
    if how.cosine:
        template, features = normalize(template, dim=1), normalize(features, dim=1)
    if backbone.padded:  # border cells of a padded network have seen the border, not the target
        inner = slice(PADDED_TEMPLATE_BORDER, -PADDED_TEMPLATE_BORDER)
        template = template[:, :, inner, inner]
    joined = features.reshape(1, -1, *features.shape[2:])
    response = conv2d(joined, template, groups=len(template)).transpose(0, 1)
    side = response.shape[-1] * UPSAMPLING
    large = interpolate(response, size=(side, side), mode="bicubic", align_corners=False)[:, 0]
    peak = large.flatten(1).argmax(dim=1).cpu().numpy()
    position = np.stack([peak % side, peak // side], axis=1)
    found = (position - (side - 1) / 2) * backbone.stride / UPSAMPLING
    # a window shifted by +s sees the target, which is at the click, at -s from its centre
    return np.linalg.norm(found + shifts, axis=1)


def _window(images: Tensor, shifts: np.ndarray, side: int, device: torch.device) -> Tensor:
    count = len(images)
    windows = Windows(
        torch.from_numpy(images.shape[1] / 2 + shifts).to(device),
        torch.full((count,), float(side), device=device),
        torch.zeros(count, dtype=torch.bool, device=device),
    )
    return cut_windows(images.to(device), windows, side)
