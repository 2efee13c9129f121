"""What a toolkit is told where a tracker of ours finds nothing."""

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.trackers.base import Box


def in_their_pixels(box: Box, shift: NDArray[np.float64]) -> Box:
    """Return a box (4,) moved by `shift` (4,); 0, 0, 0, 0 for one that is not finite.

    No toolkit reads NaN: a single one makes the mean of all overlaps NaN. An empty box overlaps
    with nothing, and stands for the same in our result files (`benchmarks.formats`).
    """
    return box + shift if np.isfinite(box).all() else np.zeros(4)
