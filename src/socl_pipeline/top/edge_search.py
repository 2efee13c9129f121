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
from socl_pipeline.top.edge_scores import new_scratch, window_score

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
    scratch = new_scratch(len(groups.magnitudes))
    windows, scores = np.empty((256, 4), np.int64), np.empty(256, np.float32)
    count = 0
    for width, height in shapes:
        step_x, step_y = max(2, int(width * step_ratio)), max(2, int(height * step_ratio))
        reach_x, reach_y = int(radius / step_x), int(radius / step_y)
        # the middle of pixels a to b lies at (a + b + 1) / 2
        left, top = round(x - 0.5 - width / 2), round(y - 0.5 - height / 2)
        for i in range(-reach_x, reach_x + 1):
            for k in range(-reach_y, reach_y + 1):
                window = _cut(
                    groups, left + i * step_x, top + k * step_y, int(width), int(height)
                )
                if not _near(window, x, y, radius):
                    continue
                score = _score(groups, scratch, window, least)
                if score == 0:
                    continue
                window, score = _refine(groups, scratch, window, score, step_ratio)
                if not _near(window, x, y, radius):
                    continue
                if count == len(scores):
                    windows = np.concatenate((windows, np.empty_like(windows)))
                    scores = np.concatenate((scores, np.empty_like(scores)))
                for side in range(4):
                    windows[count, side] = window[side]
                scores[count] = score
                count += 1
    return windows[:count], scores[:count]


@njit(cache=True, nogil=True)
def _cut(groups, left, top, width, height):  # type: ignore[no-untyped-def]
    """Return the first and last pixels of a window, as far as they lie in the image."""
    rows, columns = groups.edge_sums.shape
    right, bottom = min(left + width, columns - 2), min(top + height, rows - 2)
    return max(left, 0), max(top, 0), right, bottom


@njit(cache=True, nogil=True)
def _near(window, x, y, radius):  # type: ignore[no-untyped-def]
    """Return whether a window is not empty and its middle within the radius of a point."""
    x0, y0, x1, y1 = window
    away_x, away_y = (x0 + x1 + 1) / 2 - x, (y0 + y1 + 1) / 2 - y
    return x1 > x0 and y1 > y0 and away_x * away_x + away_y * away_y <= radius * radius


@njit(cache=True, nogil=True)
def _score(groups, scratch, window, least):  # type: ignore[no-untyped-def]
    return window_score(groups, scratch, window[0], window[1], window[2], window[3], least)


@njit(cache=True, nogil=True)
def _refine(groups, scratch, window, score, step_ratio):  # type: ignore[no-untyped-def]
    """Return the window after moving its sides, one after the other, while that helps; its score.

    The steps start at half of the grid's and are halved each time.
    """
    step_x = int((window[2] - window[0]) * step_ratio)
    step_y = int((window[3] - window[1]) * step_ratio)
    while True:
        step_x, step_y = step_x // 2, step_y // 2
        if step_x <= LAST_STEP and step_y <= LAST_STEP:
            return window, score
        for side in (1, 3, 0, 2):
            step = max(1, step_x if side % 2 == 0 else step_y)
            outward = -step if side < 2 else step
            for move in (outward, -outward):
                moved = _moved(groups, window, side, move)
                better = _score(groups, scratch, moved, score)
                if better > score:
                    window, score = moved, better
                    break


@njit(cache=True, nogil=True)
def _moved(groups, window, side, move):  # type: ignore[no-untyped-def]
    """Return a window with one of its sides moved, cut at the image."""
    x0, y0, x1, y1 = window
    if side == 0:
        x0 += move
    elif side == 1:
        y0 += move
    elif side == 2:
        x1 += move
    else:
        y1 += move
    return _cut(groups, x0, y0, x1 - x0, y1 - y0)


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
