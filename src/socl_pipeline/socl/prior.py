"""TOP maps on the training device: from kept boxes to probabilities on the feature grid.

Batched torch versions of `top.maps`, for windows of any place and scale; the map follows every
crop, flip and scale of the patch exactly because it is rasterised from boxes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from socl_pipeline.models import Backbone


@dataclass(frozen=True)
class CellGrid:
    """Where the feature cells lie in a training window: cell i spans start + step * [i, i + 1]."""

    start: float
    step: float
    cells: int


def feature_grid(backbone: Backbone, window: int) -> CellGrid:
    """Return the grid of a square window of so many pixels."""
    with torch.no_grad():
        cells = backbone(torch.zeros(1, 3, window, window)).shape[-1]
    step = float(backbone.stride)
    return CellGrid(backbone.offset - step / 2, step, cells)


def coverage(low: Tensor, size: Tensor, grid: CellGrid) -> Tensor:
    """Return the share (..., n, cells) of each cell that intervals (..., n) cover."""
    left = grid.start + grid.step * torch.arange(grid.cells, device=low.device, dtype=low.dtype)
    right = torch.minimum(left + grid.step, (low + size)[..., None])
    return (right - torch.maximum(left, low[..., None])).clamp(0, grid.step) / grid.step


def score_maps(boxes: Tensor, scores: Tensor, grid: CellGrid) -> Tensor:
    """Return score maps (B, L) of boxes (B, K, 4) in window pixels with scores (B, K).

    L = cells * cells, rows first: at each cell the sum of the scores of the boxes that cover it.
    """
    across = coverage(boxes[..., 0], boxes[..., 2], grid)
    down = coverage(boxes[..., 1], boxes[..., 3], grid)
    return (down.transpose(-1, -2) @ (scores[..., None] * across)).flatten(-2)


def top_probability(maps: Tensor, share: float, gain: float | Literal["raw"]) -> Tensor:
    """Return TOP maps (B, L) of score maps (B, L): clipped, softmax, each sums to 1.

    share: clipped at the mean of this share of highest scores (supplement K). gain: value of the
    clip level before the softmax; "raw" leaves the scores as they are.
    """
    count = max(1, round(share * maps.shape[-1]))
    level = maps.topk(count, dim=-1).values.mean(dim=-1, keepdim=True)
    clipped = torch.minimum(maps, level)
    if gain != "raw":
        clipped = clipped * (gain / level.clamp_min(1e-12))
    return clipped.softmax(dim=-1)
