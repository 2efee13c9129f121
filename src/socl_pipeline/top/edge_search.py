"""The EdgeBoxes search, held to the windows that are centred near a point.

Shapes, steps, refinement and suppression are those of EdgeBoxes (Zitnick and Dollar, ECCV 2014,
section 3.4). Its grid of positions covers the image, and its best boxes are then those of the
whole image; here the grid starts at the point and ends at the radius, which takes hundreds of
windows in the place of a hundred thousand and leaves no slot to the rest of the image.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.settings import EdgeBoxSettings
from socl_pipeline.top.edge_groups import EdgeGroups
from socl_pipeline.top.edge_scores import score_inside

MAX_ASPECT = 3.0  # OpenCV's maxAspectRatio
LAST_STEP = 2  # px; the refinement ends when both of its steps are no larger

Windows = NDArray[np.int64]
Float = NDArray[np.floating]


def search_near(
    groups: EdgeGroups, point: Float, radius: float, min_area: float, settings: EdgeBoxSettings
) -> tuple[Windows, NDArray[np.float32]]:
    """Return windows (n, 4: x0, y0, x1, y1) centred near a point, best first, and scores (n,).

    Windows are given by their first and last pixels. point: (2,), radius in pixels and min_area
    in square pixels of the image whose edges were grouped. At most settings.max_boxes.
    """
    shapes = window_shapes(groups.edge_sums.shape, min_area, settings.alpha)
    step_ratio = (1 - settings.alpha) / (1 + settings.alpha)
    windows, scores = _search(
        groups,
        shapes,
        float(point[0]),
        float(point[1]),
        float(radius),
        step_ratio,
        settings.min_score,
    )
    order = np.argsort(-scores, kind="stable")
    windows, scores = windows[order], scores[order]
    kept = _suppress(windows, settings.beta, settings.max_boxes)
    return windows[kept], scores[kept]


def window_shapes(image_shape: tuple[int, int], min_area: float, alpha: float) -> Windows:
    """Return the widths and heights (m, 2) that EdgeBoxes tries in an image of (H, W) pixels.

    alpha: the IoU of neighbouring windows of the grid.
    """
    scale_step, aspect_step = math.sqrt(1 / alpha), (1 + alpha) / (2 * alpha)
    smallest = max(1, int(math.sqrt(min_area)))
    scales = math.ceil(math.log(max(max(image_shape) / smallest, 1)) / math.log(scale_step))
    side = smallest * scale_step ** np.arange(scales)[:, None]
    widest = int(math.log(MAX_ASPECT) / math.log(aspect_step**2))
    root = aspect_step ** np.arange(-widest, widest + 1)[None]
    return np.stack([side * root, side / root], axis=-1).astype(np.int64).reshape(-1, 2)


@njit(cache=True, nogil=True)
def _search(groups, shapes, x, y, radius, step_ratio, least):  # type: ignore[no-untyped-def]
    """Return refined windows (n, 4) and their scores (n,): at least `least`, within the radius."""
    windows = _grid(groups.edge_sums.shape, shapes, x, y, radius, step_ratio)
    scores = score_inside(groups, windows, np.full(len(windows), least, np.float32))
    good = scores > 0
    windows, scores = windows[good], scores[good]
    _refine(groups, windows, scores, step_ratio)
    near = np.empty(len(windows), np.bool_)
    for i in range(len(windows)):
        near[i] = _near(windows[i], x, y, radius)
    return windows[near], scores[near]


@njit(cache=True, nogil=True)
def _grid(sums_shape, shapes, x, y, radius, step_ratio):  # type: ignore[no-untyped-def]
    """Return the windows (n, 4) of all shapes around a point, cut at the image."""
    right, bottom = sums_shape[1] - 2, sums_shape[0] - 2
    windows = np.empty((256, 4), np.int64)
    count = 0
    for width, height in shapes:
        step_x, step_y = max(2, int(width * step_ratio)), max(2, int(height * step_ratio))
        reach_x, reach_y = int(radius / step_x), int(radius / step_y)
        # the middle of pixels a to b lies at (a + b + 1) / 2
        left, top = round(x - 0.5 - width / 2), round(y - 0.5 - height / 2)
        for i in range(-reach_x, reach_x + 1):
            for k in range(-reach_y, reach_y + 1):
                if count == len(windows):
                    windows = np.concatenate((windows, np.empty_like(windows)))
                window = windows[count]
                window[0], window[1] = max(left + i * step_x, 0), max(top + k * step_y, 0)
                window[2] = min(left + i * step_x + width, right)
                window[3] = min(top + k * step_y + height, bottom)
                count += _near(window, x, y, radius)
    return windows[:count]


@njit(cache=True, nogil=True)
def _near(window, x, y, radius):  # type: ignore[no-untyped-def]
    """Return whether a window is not empty and its middle within the radius of a point."""
    x0, y0, x1, y1 = window
    away_x, away_y = (x0 + x1 + 1) / 2 - x, (y0 + y1 + 1) / 2 - y
    return x1 > x0 and y1 > y0 and away_x * away_x + away_y * away_y <= radius * radius


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
    while True:
        steps //= 2
        active = np.flatnonzero((steps[:, 0] > LAST_STEP) | (steps[:, 1] > LAST_STEP))
        if len(active) == 0:
            return
        for side in (1, 3, 0, 2):
            outward = -1 if side < 2 else 1
            rest = _move(groups, windows, scores, steps, active, side, outward)
            _move(groups, windows, scores, steps, rest, side, -outward)


@njit(cache=True, nogil=True)
def _move(groups, windows, scores, steps, chosen, side, direction):  # type: ignore[no-untyped-def]
    """Move a side of the chosen windows by their steps; returns those that it does not help."""
    last = groups.edge_sums.shape[1 - side % 2] - 2
    moved, least = windows[chosen], scores[chosen]
    for k in range(len(chosen)):
        place = moved[k, side] + direction * max(1, steps[chosen[k], side % 2])
        moved[k, side] = min(max(place, 0), last)
    found = score_inside(groups, moved, least)
    helped = found > least
    windows[chosen[helped]] = moved[helped]
    scores[chosen[helped]] = found[helped]
    return chosen[~helped]


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
