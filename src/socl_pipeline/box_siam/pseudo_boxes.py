"""One box a patch from its scored boxes (paper Fig. 8), batched on the training device.

The batched torch version of `top.evaluation.level_set_boxes`.
"""

import torch
from torch import Tensor

# Edges that were equal before they were rounded to float32 leave slivers between them, where
# neighbours that only touch seem to overlap; in a patch of 1,000 px rounding moves an edge 6e-5.
SLIVER_PX = 1e-3
TIE = 1e-5  # float32 sums of 64 scores in another order differ by about 1e-6 of them


def level_set_boxes(boxes: Tensor, scores: Tensor, threshold: float, size: float) -> Tensor:
    """Return the bounding boxes (B, 4) of {S >= threshold max S} in square patches.

    S, the sum of the scores of the boxes that cover a place, is constant between neighbouring
    edges of boxes. So it is computed on the grid of these edges, 2K - 1 cells a side, and the
    result is exact: a single box comes back as it is, at any threshold.

    boxes: (B, K, 4) x, y, w, h in patch pixels. scores: (B, K); 0 is padding. threshold: in
    (0, 1]. size: patch side in pixels, where the map ends. A patch without a scored box inside
    it gets a box of zeros. Raises ValueError if shapes do not fit.
    """
    if boxes.shape != (*scores.shape, 4):
        raise ValueError(f"boxes {tuple(boxes.shape)}, scores {tuple(scores.shape)} do not fit")
    columns, across = _edge_grid(boxes[..., 0], boxes[..., 2], size)
    rows, down = _edge_grid(boxes[..., 1], boxes[..., 3], size)
    # a sum over 64 boxes is no place for the reduced precision of autocast
    with torch.autocast(boxes.device.type, enabled=False):
        score = down.transpose(-1, -2) @ (scores[..., None] * across)
    highest = score.amax(dim=(-2, -1))
    least = (threshold * (1 - TIE) * highest)[:, None]
    left, right = _span(score.amax(dim=-2) >= least, columns)
    top, bottom = _span(score.amax(dim=-1) >= least, rows)
    found = torch.stack([left, top, right - left, bottom - top], dim=-1)
    return torch.where(highest[:, None] > 0, found, 0)


def _edge_grid(low: Tensor, size: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Return sorted edges (B, 2K) in [0, limit] and if boxes cover the cells (B, K, 2K - 1)."""
    low, high = low.clamp(0, limit), (low + size).clamp(0, limit)
    edges = torch.cat([low, high], dim=-1).sort(dim=-1).values
    first, last = edges[:, None, :-1], edges[:, None, 1:]
    covers = (low[..., None] <= first) & (high[..., None] >= last) & (last - first > SLIVER_PX)
    return edges, covers.to(low.dtype)


def _span(reached: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outer edges (B,) of the cells (B, m) that are reached."""
    cells = reached.to(torch.uint8)
    first = cells.argmax(dim=-1, keepdim=True)
    last = cells.shape[-1] - cells.flip(-1).argmax(dim=-1, keepdim=True)
    return edges.gather(-1, first)[:, 0], edges.gather(-1, last)[:, 0]
