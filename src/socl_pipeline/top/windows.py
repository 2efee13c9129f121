"""Random windows centred at the click, from one seeded table of templates.

The paper says "5000 random proposals centered at [the point] with various scales and aspect
ratios" and no more. Our choice: log-uniform side between the smallest side and the frame,
log-uniform aspect ratio. One table serves every frame, so no row per frame is ever stored.
"""

import numpy as np

from socl_pipeline.boxes import FloatArray as Float
from socl_pipeline.boxes import centered_boxes, clip_boxes
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
    largest = max(np.sqrt(width * height), min_side)
    side = min_side * (largest / min_side) ** templates[:, 0]
    root = np.exp(templates[:, 1] / 2)
    return centered_boxes(point, np.stack([side * root, side / root], axis=1))


def within_frame(windows: Float, width: float, height: float, border_loss: float) -> Float:
    """Return the windows (m, 4) that lose at most a share of their area at the border, clipped.

    Clipping large windows shifts their centres; without the limit that biases a map by tens of
    pixels near the border. A click on the border itself leaves no such window: then all are
    kept that reach into the frame.
    """
    clipped = clip_boxes(windows, width, height)
    area, full = clipped[:, 2] * clipped[:, 3], windows[:, 2] * windows[:, 3]
    kept = area >= (1 - border_loss - ROUNDING) * full
    return clipped[kept if kept.any() else area > 0]
