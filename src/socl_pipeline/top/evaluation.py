"""Does a prior say more about the target than the click alone? Measured against true boxes.

Overlap: a level set {S >= f max S} of the score map has a bounding box; with one f for a whole
dataset it is compared with the best square of one size at the click, which is also the box of a
Gaussian's best level set. Both have one number chosen on the boxes that they are measured on, so
neither is favoured. Shape: `area_precision`, for which size does not matter (a Gaussian's is
`square_precision`). Place: `weighted_center`. Pure functions: arrays in, arrays out.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.boxes import centered_boxes, centers, iou

Float = NDArray[np.floating]

LEVELS: Float = np.linspace(0.1, 0.95, 18)
SIDES_TRIED = 80
SMALLEST_SQUARE_PX = 8.0
SMALLEST_SHARE = 0.01
_BISECTIONS = 40  # of a side: 2^-40 of the frame, far below a pixel
_TIE = 1e-9  # sums of the same scores in another order differ in the last places


@dataclass(frozen=True)
class SquarePrior:
    """The best square of one size at the click.

    unit: what `side` counts, pixels or the root of the frame's area. ious: (n,) overlaps.
    """

    unit: Literal["px", "share"]
    side: float
    ious: Float

    @property
    def mean_iou(self) -> float:
        """The mean overlap, in [0, 1]."""
        return float(self.ious.mean())


def level_set_boxes(
    boxes: Float, scores: Float, width: float, height: float, levels: ArrayLike = LEVELS
) -> Float:
    """Return the bounding boxes (levels, 4) of the level sets {S >= f max S} in a frame.

    S, the sum of the scores (k,) of the boxes (k, 4) that cover a location (paper 3.1), is
    constant between neighbouring box edges. So it is rasterised on the grid of these edges, at
    most 2k + 1 columns and rows, and the result is exact at any frame size.

    levels: f in (0, 1]. Boxes and result are x, y, w, h in pixels of the frame (width, height).
    Raises ValueError if shapes do not fit or no box covers the frame.
    """
    boxes, scores = np.asarray(boxes, np.float64), np.asarray(scores, np.float64)
    if boxes.shape != (len(scores), 4):
        raise ValueError(f"boxes {boxes.shape} and scores {scores.shape} do not fit")
    columns, across = _edge_grid(boxes[:, 0], boxes[:, 2], width)
    rows, down = _edge_grid(boxes[:, 1], boxes[:, 3], height)
    score = down.T @ (scores[:, None] * across)
    if not score.size or score.max() <= 0:
        raise ValueError("no box with a score covers the frame, so there is no level set")
    threshold = np.asarray(levels, np.float64) * score.max() * (1 - _TIE)
    left, right = _span(score.max(axis=0), columns, threshold)
    top, bottom = _span(score.max(axis=1), rows, threshold)
    return np.stack([left, top, right - left, bottom - top], axis=1)


def area_precision(boxes: Float, scores: Float, truth: Float, width: float, height: float) -> float:
    """Return how much of the best area of a score map, as large as the true box, lies inside it.

    The best area is where S is highest; of a plateau that it cuts through, the mean is taken.
    In [0, 1], 1 if S is higher everywhere in the true box (4,) than anywhere else. Exact, on the
    grid of the edges of boxes (k, 4) in a frame (width, height).
    """
    columns, across = _edge_grid(boxes[:, 0], boxes[:, 2], width, truth[0], truth[2])
    rows, down = _edge_grid(boxes[:, 1], boxes[:, 3], height, truth[1], truth[3])
    score = (down.T @ (scores[:, None] * across)).ravel()
    area = np.outer(np.diff(rows), np.diff(columns)).ravel()
    inside = np.outer(_within(rows, truth[1], truth[3]), _within(columns, truth[0], truth[2]))
    level = np.round(score / max(score.max(), _TIE) / _TIE).astype(np.int64)
    _, plateau = np.unique(-level, return_inverse=True)
    areas = np.bincount(plateau, area)
    inner = np.bincount(plateau, area * inside.ravel())
    wanted = float(inner.sum())
    if wanted == 0:
        return 0.0
    taken = np.clip(wanted - (np.cumsum(areas) - areas), 0, areas)
    return float((inner * np.divide(taken, areas, out=taken * 0, where=areas > 0)).sum() / wanted)


def square_precision(points: Float, sizes: Float, truth: Float) -> Float:
    """Return the `area_precision` (n,) of maps that fall from the clicks in squares.

    The best area of such a map (`prior: gaussian` has one) is the square at the click with as
    large an area in the frame as the true box has, whatever the size of the Gaussian. So this
    control has no number to choose. Its side is found by bisection, for the frame may cut it.

    points: (n, 2) clicks in their frames. sizes: (n, 2) width and height of the frames. truth:
    (n, 4) true boxes. Raises ValueError if shapes do not fit.
    """
    points, sizes, truth = _fitting(points, sizes, truth)
    low = np.clip(truth[:, :2], 0, sizes)
    high = np.clip(truth[:, :2] + truth[:, 2:], 0, sizes)
    wanted = (high - low).prod(axis=1)
    smallest, largest = np.zeros(len(points)), sizes.max(axis=1)  # half sides
    for _ in range(_BISECTIONS):
        half = (smallest + largest) / 2
        first, last = _square_in_frame(points, half, sizes)
        enough = (last - first).prod(axis=1) >= wanted
        smallest, largest = np.where(enough, smallest, half), np.where(enough, half, largest)
    first, last = _square_in_frame(points, largest, sizes)
    shared = np.maximum(np.minimum(high, last) - np.maximum(low, first), 0).prod(axis=1)
    return np.divide(shared, wanted, out=np.zeros_like(wanted), where=wanted > 0)


def _square_in_frame(points: Float, half: Float, sizes: Float) -> tuple[Float, Float]:
    """Return the corners (n, 2) of squares around clicks, cut at their frames."""
    return np.clip(points - half[:, None], 0, sizes), np.clip(points + half[:, None], 0, sizes)


def weighted_center(boxes: Float, scores: Float) -> Float:
    """Return the score-weighted mean (2,) of the centres of boxes (k, 4) with scores (k,)."""
    return np.asarray(np.average(centers(boxes), axis=0, weights=scores))


def _within(edges: Float, low: float, size: float) -> Float:
    middle = (edges[:-1] + edges[1:]) / 2
    return ((middle >= low) & (middle <= low + size)).astype(np.float64)


def _edge_grid(
    low: Float, size: Float, limit: float, more_low: float = 0.0, more_size: float = 0.0
) -> tuple[Float, Float]:
    """Return the sorted edges (m + 1,) in [0, limit] and whether boxes cover each cell (k, m).

    more_low, more_size: a further interval whose edges the grid must have.
    """
    ends = np.concatenate([low, low + size, [0, limit, more_low, more_low + more_size]])
    edges = np.unique(np.clip(ends, 0, limit))
    covers = (low[:, None] <= edges[:-1]) & ((low + size)[:, None] >= edges[1:])
    return edges, covers.astype(np.float64)


def _span(profile: Float, edges: Float, threshold: Float) -> tuple[Float, Float]:
    """Return the outer edges (levels,) of the cells of a profile (m,) that reach thresholds."""
    reached = profile >= threshold[:, None]
    first, last = reached.argmax(axis=1), reached.shape[1] - reached[:, ::-1].argmax(axis=1)
    return edges[first], edges[last]


def best_level(ious: Float) -> tuple[int, float]:
    """Return which level has the best mean overlap, and that mean, of overlaps (n, levels).

    Raises ValueError if there are none.
    """
    ious = np.asarray(ious, np.float64)
    if ious.ndim != 2 or not ious.size:
        raise ValueError(f"expected overlaps (n, levels), found {ious.shape}")
    means = ious.mean(axis=0)
    best = int(means.argmax())
    return best, float(means[best])


def best_square(points: Float, sizes: Float, truth: Float) -> SquarePrior:
    """Return the better of two priors: one side in pixels, one side as a share of the frame.

    points: (n, 2) clicks. sizes: (n, 2) width and height of the frames; the share is of the root
    of their area. truth: (n, 4) true boxes. Raises ValueError if shapes do not fit or n is 0.
    """
    points, sizes, truth = _fitting(points, sizes, truth)
    n = len(points)
    pixels = np.geomspace(SMALLEST_SQUARE_PX, max(sizes.max(), SMALLEST_SQUARE_PX), SIDES_TRIED)
    shares = np.geomspace(SMALLEST_SHARE, 1, SIDES_TRIED)
    by_pixels = _best_side("px", points, np.ones(n), pixels, truth)
    by_share = _best_side("share", points, np.sqrt(sizes.prod(axis=1)), shares, truth)
    return max(by_pixels, by_share, key=lambda prior: prior.mean_iou)


def _fitting(points: Float, sizes: Float, truth: Float) -> tuple[Float, Float, Float]:
    """Return clicks (n, 2), frame sizes (n, 2) and boxes (n, 4) as float64, n > 0."""
    points, sizes, truth = (np.asarray(a, np.float64) for a in (points, sizes, truth))
    n = len(points)
    if not n or points.shape != (n, 2) or sizes.shape != (n, 2) or truth.shape != (n, 4):
        raise ValueError(
            f"points {points.shape}, sizes {sizes.shape} and boxes {truth.shape} do not fit"
        )
    return points, sizes, truth


def _best_side(
    unit: Literal["px", "share"], points: Float, scale: Float, sides: Float, truth: Float
) -> SquarePrior:
    squares = scale[:, None, None] * sides[None, :, None]  # (n, sides, 1): width = height
    ious = iou(centered_boxes(points[:, None], squares.repeat(2, axis=-1)), truth[:, None])
    best, _ = best_level(ious)
    return SquarePrior(unit, float(sides[best]), ious[:, best])
