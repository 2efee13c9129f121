"""From kept boxes and scores to a TOP map (paper 3.1 and supplement K).

score map: at each location the sum of the scores of the boxes that cover it, which factors into
row and column coverage: S = Y^T diag(s) X. Clipped at the mean of its top share, then softmax.
These are the NumPy versions, for one frame; `socl.prior` has the batched torch ones.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]

# Score that the clip level is scaled to before the softmax, `top_gain: auto`. Our choice: the
# paper does not say how objectness is scaled, and the softmax depends on it. A location without a
# box then weighs exp(-10) of the plateau, whatever the scores' scale.
AUTO_GAIN = 10.0


def coverage(low: Float, size: Float, start: float, step: float, cells: int) -> Float:
    """Return the share (n, cells) of each cell that the intervals [low, low + size] cover.

    Cell i spans [start + i * step, start + (i + 1) * step].
    """
    left = start + step * np.arange(cells)
    overlap = np.minimum(left + step, (low + size)[:, None]) - np.maximum(left, low[:, None])
    return np.clip(overlap, 0, step) / step


def score_map(boxes: Float, scores: Float, region: Float, rows: int, columns: int) -> Float:
    """Return the score map (rows, columns) over a region (4,: x, y, w, h) of boxes (n, 4)."""
    across = coverage(boxes[:, 0], boxes[:, 2], region[0], region[2] / columns, columns)
    down = coverage(boxes[:, 1], boxes[:, 3], region[1], region[3] / rows, rows)
    return down.T @ (scores[:, None] * across)


def clip_level(scores: Float, share: float) -> float:
    """Return the mean of the top share of a score map: where supplement K clips it."""
    flat = scores.ravel()
    count = max(1, round(share * flat.size))
    return float(np.partition(flat, flat.size - count)[-count:].mean())


def top_map(scores: Float, share: float, gain: float | Literal["raw"] = AUTO_GAIN) -> Float:
    """Return the TOP map of a score map (H, W): clipped, softmax over locations, sums to 1.

    gain: the score that the clip level is scaled to before the softmax; "raw": unscaled.
    """
    level = clip_level(scores, share)
    if level <= 0:
        return np.full(scores.shape, 1 / scores.size)
    factor = 1.0 if gain == "raw" else gain / level
    logits = np.minimum(scores, level) * factor
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())
