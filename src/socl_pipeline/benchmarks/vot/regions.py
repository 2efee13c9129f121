"""VOT's true regions, and their coordinates."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.datasets.video import Video

Float = NDArray[np.float64]


def truth_regions(video: Video) -> Float:
    """Return the true regions of a video: corners (n, 8) where it has them, else boxes (n, 4)."""
    return video.boxes if video.polygons is None else video.polygons


def in_files(regions: ArrayLike) -> Float:
    """Return 0-based regions (n, 4) or (n, 8) as they stand in VOT's files, which are 1-based.

    Toolkits take the numbers of the files for places in an image that starts at 0, so that the
    image cuts regions a pixel further to the lower right than where it ends.
    """
    moved = np.array(regions, dtype=np.float64)
    moved[:, : 2 if moved.shape[1] == 4 else 8] += 1
    return moved
