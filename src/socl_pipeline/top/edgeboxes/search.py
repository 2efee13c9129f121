"""The EdgeBoxes search, held to the windows that are centred near a point.

Shapes, steps, refinement and suppression are those of EdgeBoxes (Zitnick and Dollar, ECCV 2014,
section 3.4). Its grid of positions covers the image, and its best boxes are then those of the
whole image; here the grid starts at the point and ends at the radius, which takes hundreds of
windows in the place of a hundred thousand and leaves no slot to the rest of the image.
"""

import math
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.settings import EdgeBoxSettings
from socl_pipeline.top.edgeboxes.groups import EdgeGroups
from socl_pipeline.top.edgeboxes.scores import score_inside

MAX_ASPECT = 3.0  # OpenCV's maxAspectRatio
LAST_STEP = 2  # px; the refinement ends when both of its steps are no larger
# Windows that are refined, the best ones; EdgeBoxes refines all. That finds more boxes, of which
# some fit a little better, and TOP maps that are no better.
REFINED = 100

Windows = NDArray[np.int64]
Float = NDArray[np.floating]


def search_near(
    groups: EdgeGroups,
    point: Float,
    radius: float,
    sides: tuple[float, float],
    settings: EdgeBoxSettings,
) -> tuple[Windows, NDArray[np.float32]]:
    """Return windows (n, 4: x0, y0, x1, y1) centred near a point, best first, and scores (n,).

    Windows are given by their first and last pixels. point: (2,) and radius in pixels of the image
    whose edges were grouped. sides: the smallest and largest side (root of the area) of the
    windows that the search starts from. At most settings.max_boxes.
    """
    rows, columns = groups.edge_sums.shape
    image_shape = rows - 1, columns - 1
    shapes = window_shapes(image_shape, sides, settings.alpha)
    step_ratio = (1 - settings.alpha) / (1 + settings.alpha)
    sides_away = settings.radius_sides
    windows = _grid(image_shape, shapes, point, (radius, sides_away), step_ratio)
    scores = score_inside(groups, windows, np.full(len(windows), settings.min_score, np.float32))
    positive = np.flatnonzero(scores)
    best = positive[np.argsort(-scores[positive], kind="stable")[:REFINED]]
    windows, scores = windows[best], scores[best]
    _refine(groups, windows, scores, step_ratio)
    near = _near(windows, float(point[0]), float(point[1]), radius, sides_away)
    windows, scores = windows[near], scores[near]
    order = np.argsort(-scores, kind="stable")
    windows, scores = windows[order], scores[order]
    kept = _suppress(windows, settings.beta, settings.max_boxes)
    return windows[kept], scores[kept]


@lru_cache(maxsize=256)  # the same for a video's frames, but for views cut at the border
def window_shapes(
    image_shape: tuple[int, int], sides: tuple[float, float], alpha: float
) -> Windows:
    """Return the widths and heights (m, 2) that EdgeBoxes tries in an image of (H, W) pixels.

    sides: smallest and largest root of a window's area. alpha: the IoU of neighbouring windows
    of the grid.
    """
    scale_step, aspect_step = math.sqrt(1 / alpha), (1 + alpha) / (2 * alpha)
    smallest = max(1, int(sides[0]))
    largest = min(max(image_shape), sides[1])
    scales = math.ceil(math.log(max(largest / smallest, 1)) / math.log(scale_step))
    side = smallest * scale_step ** np.arange(scales)[:, None]
    widest = int(math.log(MAX_ASPECT) / math.log(aspect_step**2))
    root = aspect_step ** np.arange(-widest, widest + 1)[None]
    shapes = np.stack([side * root, side / root], axis=-1).astype(np.int64).reshape(-1, 2)
    shapes.flags.writeable = False
    return shapes


def _grid(
    image_shape: tuple[int, int],
    shapes: Windows,
    point: Float,
    reach: tuple[float, float],
    step_ratio: float,
) -> Windows:
    """Return the windows (n, 4) of all shapes near a point, cut at an image of (H, W) pixels."""
    radius, sides_away = reach
    steps = np.maximum(2, (shapes * step_ratio).astype(np.int64))
    farthest = np.minimum(radius, sides_away * np.sqrt(shapes.prod(axis=1)))
    counts = (farthest[:, None] / steps).astype(np.int64)
    # the middle of pixels a to b lies at (a + b + 1) / 2
    first = np.rint(point - 0.5 - shapes / 2).astype(np.int64)
    height, width = image_shape
    x, y = float(point[0]), float(point[1])
    return np.asarray(
        _near_windows(first, shapes, steps, counts, width, height, x, y, radius, sides_away)
    )


@njit(cache=True, nogil=True)
def _near_windows(first, shapes, steps, counts, width, height, x, y, radius, sides_away):  # type: ignore[no-untyped-def]
    """Return windows (n, 4) of all shapes (m, 2), up to `counts` steps from their places `first`.

    Cut at the image; those that are near the point x, y.
    """
    most = 0
    for across, down in counts:
        most += (2 * across + 1) * (2 * down + 1)
    windows = np.empty((most, 4), np.int64)
    n = 0
    for k in range(len(shapes)):
        for i in range(-counts[k, 0], counts[k, 0] + 1):
            for j in range(-counts[k, 1], counts[k, 1] + 1):
                left, top = first[k, 0] + i * steps[k, 0], first[k, 1] + j * steps[k, 1]
                windows[n, 0], windows[n, 1] = max(left, 0), max(top, 0)
                windows[n, 2] = min(left + shapes[k, 0], width - 1)
                windows[n, 3] = min(top + shapes[k, 1], height - 1)
                n += _is_near(windows[n], x, y, radius, sides_away)
    return windows[:n].copy()


@njit(cache=True, nogil=True)
def _near(windows, x, y, radius, sides_away):  # type: ignore[no-untyped-def]
    """Return which windows (n, 4) are near the point x, y."""
    near = np.empty(len(windows), np.bool_)
    for i in range(len(windows)):
        near[i] = _is_near(windows[i], x, y, radius, sides_away)
    return near


@njit(cache=True, nogil=True)
def _is_near(window, x, y, radius, sides_away):  # type: ignore[no-untyped-def]
    """Return whether a window (4,) is not empty and its middle near the point x, y.

    Near: within a radius, and within so many of the window's own sides.
    """
    width, height = window[2] - window[0], window[3] - window[1]
    away_x = (window[0] + window[2] + 1) / 2 - x
    away_y = (window[1] + window[3] + 1) / 2 - y
    limit = min(radius * radius, sides_away * sides_away * width * height)
    return width > 0 and height > 0 and away_x * away_x + away_y * away_y <= limit


@njit(cache=True, nogil=True)
def _refine(groups, windows, scores, step_ratio):  # type: ignore[no-untyped-def]
    """Move the sides of windows (n, 4), one after the other, while that raises scores (n,).

    The steps start at half of the grid's and are halved each time. All windows move together,
    so that they can be scored together; each goes its own way.
    """
    steps = np.empty((len(windows), 2), np.int64)
    for i in range(len(windows)):
        for axis in range(2):
            steps[i, axis] = int((windows[i, 2 + axis] - windows[i, axis]) * step_ratio)
    active, rest = np.empty(len(windows), np.int64), np.empty(len(windows), np.int64)
    while True:
        count = 0
        for i in range(len(windows)):
            steps[i, 0], steps[i, 1] = steps[i, 0] // 2, steps[i, 1] // 2
            active[count] = i
            count += max(steps[i, 0], steps[i, 1]) > LAST_STEP
        if count == 0:
            return
        for side in (1, 3, 0, 2):
            outward = -1 if side < 2 else 1
            left = _move(groups, windows, scores, steps, active[:count], side, outward, rest)
            _move(groups, windows, scores, steps, rest[:left], side, -outward, rest)


@njit(cache=True, nogil=True)
def _move(groups, windows, scores, steps, chosen, side, direction, rest):  # type: ignore[no-untyped-def]
    """Move a side of the chosen windows by their steps, where that raises their scores.

    Writes those that it does not help to `rest` and returns their number.
    """
    last = groups.edge_sums.shape[1 - side % 2] - 2
    moved, least = np.empty((len(chosen), 4), np.int64), np.empty(len(chosen), np.float32)
    for k in range(len(chosen)):
        for place in range(4):
            moved[k, place] = windows[chosen[k], place]
        shifted = moved[k, side] + direction * max(1, steps[chosen[k], side % 2])
        moved[k, side] = min(max(shifted, 0), last)
        least[k] = scores[chosen[k]]
    found = score_inside(groups, moved, least)
    left = 0
    for k in range(len(chosen)):
        i = chosen[k]
        if found[k] > least[k]:
            scores[i] = found[k]
            for place in range(4):
                windows[i, place] = moved[k, place]
        else:
            rest[left] = i
            left += 1
    return left


@njit(cache=True, nogil=True)
def _suppress(windows, overlap, at_most):  # type: ignore[no-untyped-def]
    """Return the indices of windows (n, 4), best first, without those over a better kept one."""
    kept = np.empty(min(len(windows), at_most), np.int64)
    count = 0
    for i in range(len(windows)):
        if count == at_most:
            break
        x0, y0, x1, y1 = windows[i]
        free = True
        for k in kept[:count]:
            a0, b0, a1, b1 = windows[k]
            across, down = min(x1, a1) - max(x0, a0), min(y1, b1) - max(y0, b0)
            if across > 0 and down > 0:
                shared = across * down
                union = (x1 - x0) * (y1 - y0) + (a1 - a0) * (b1 - b0) - shared
                if shared > overlap * union:
                    free = False
                    break
        if free:
            kept[count] = i
            count += 1
    return kept[:count]
