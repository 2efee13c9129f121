"""ED, the edge density cue: edge pixels in the inner ring of windows."""

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.top.cues.canny import canny_edges

Float = NDArray[np.float64]
Int = NDArray[np.int64]


class EdgeDensity:
    """Integral map of the edges of an RGB image (H, W, 3).

    theta: how much of a window is its inner ring, in percent.
    """

    def __init__(self, image: NDArray[np.uint8], theta: float) -> None:
        self._edges = cv2.integral(canny_edges(image))
        self._shrunk = 100 / (100 + theta)

    def of(self, corners: Int) -> Float:
        """Return ED (n,) of windows (n, 4: x0, y0, x1, y1): edge pixels per pixel of perimeter."""
        return _density(self._edges, corners, self._shrunk)


@njit(cache=True)
def _density(edges: NDArray[np.int32], corners: Int, shrunk: float) -> Float:
    """Return ED (n,) of windows (n, 4), given the edges' integral and the inner box's share."""
    result = np.zeros(len(corners))
    for n in range(len(corners)):
        x0, y0, x1, y1 = corners[n]
        width, height = x1 - x0, y1 - y0
        dx, dy = width * (1 - shrunk) / 2, height * (1 - shrunk) / 2
        left, top = int(np.rint(x0 + dx)), int(np.rint(y0 + dy))
        right, bottom = max(int(np.rint(x1 - dx)), left), max(int(np.rint(y1 - dy)), top)
        area = width * height - (right - left) * (bottom - top)
        if area <= 0:
            continue
        whole = edges[y1, x1] - edges[y0, x1] - edges[y1, x0] + edges[y0, x0]
        inner = edges[bottom, right] - edges[top, right] - edges[bottom, left] + edges[top, left]
        thickness = ((x1 - right) + (y1 - bottom)) / 2
        result[n] = (whole - inner) * thickness / area
    return result
