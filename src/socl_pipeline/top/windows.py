"""Random windows centred at the click, from one seeded table of templates.

The paper says "5000 random proposals centered at [the point] with various scales and aspect
ratios" and no more. Our choice: log-uniform side between the smallest side and the frame,
log-uniform aspect ratio. One table serves every frame, so no row per frame is ever stored.
"""

import numpy as np
from numba import njit

from socl_pipeline.boxes import FloatArray as Float
from socl_pipeline.boxes import centered_boxes
from socl_pipeline.settings import RandomWindowSettings

ROUNDING = 1e-9  # a window inside the frame must not lose area to arithmetic


def window_templates(settings: RandomWindowSettings) -> Float:
    """Return templates (count, 2): position of log(side) in [0, 1], and log of the aspect w/h."""
    rng = np.random.default_rng(settings.seed)
    position = rng.uniform(0, 1, settings.count)
    limit = np.log(settings.max_aspect)
    return np.stack([position, rng.uniform(-limit, limit, settings.count)], axis=1)


def random_windows(
    templates: Float, point: Float, width: float, height: float, min_side: float
) -> Float:
    """Return the windows (n, 4) of templates (n, 2) around a point (2,) in a frame, in pixels.

    The side (root of the area) runs from min_side to the root of the frame's area.
    """
    return centered_boxes(point, window_sizes(templates, width, height, min_side))


def window_sizes(templates: Float, width: float, height: float, min_side: float) -> Float:
    """Return width and height (n, 2) of the windows of templates in a frame, in pixels."""
    largest = max(np.sqrt(width * height), min_side)
    side = min_side * (largest / min_side) ** templates[:, 0]
    root = np.exp(templates[:, 1] / 2)
    return np.stack([side * root, side / root], axis=1)


def within_frame(windows: Float, width: float, height: float, border_loss: float) -> Float:
    """Return the windows (m, 4) that lose at most a share of their area at the border, clipped.

    Clipping large windows shifts their centres; without the limit that biases a map by tens of
    pixels near the border. A click on the border itself leaves no such window: then all are
    kept that reach into the frame.
    """
    windows = np.asarray(windows, np.float64)
    limits = (float(width), float(height))
    kept = _clipped(windows, *limits, 1 - border_loss - ROUNDING)
    return kept if len(kept) else _clipped(windows, *limits, 0.0)


@njit(cache=True)
def _clipped(windows: Float, width: float, height: float, share: float) -> Float:
    """Return windows (n, 4) cut at the frame, those of which an area and such a share are left."""
    clipped = np.empty_like(windows)
    count = 0
    for n in range(len(windows)):
        for axis, limit in ((0, width), (1, height)):
            start, size = windows[n, axis], windows[n, axis + 2]
            low = min(max(start, 0.0), limit)
            clipped[count, axis] = low
            clipped[count, axis + 2] = max(min(max(start + size, 0.0), limit) - low, 0.0)
        area = clipped[count, 2] * clipped[count, 3]
        count += area > 0 and area >= share * (windows[n, 2] * windows[n, 3])
    return clipped[:count]
