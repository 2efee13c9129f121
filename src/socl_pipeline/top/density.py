"""ED, the edge density cue: edge pixels in the inner ring of windows.

Edges are those of MATLAB's `edge(grey, 'canny')` with its default thresholds, which the objectness
release uses; OpenCV thins and links them.
"""

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Map = NDArray[np.float32]

CANNY_SIGMA = 2**0.5  # MATLAB's edge(..., 'canny')
CANNY_QUANTILE = 0.7  # its high threshold: share of pixels that are not edges
CANNY_BINS = 64
CANNY_LOW = 0.4  # its low threshold as a share of the high one
CANNY_FLAT = 1e-2  # grey levels a pixel: smaller gradients are rounding errors of the filter
CANNY_RANGE = 16384  # Canny takes int16 gradients; this uses half their range


class EdgeMap:
    """Integral map of the edges of an RGB image (H, W, 3).

    theta: how much of a window is its inner ring, in percent.
    """

    def __init__(self, image: NDArray[np.uint8], theta: float) -> None:
        self._edges = cv2.integral(canny_edges(image))
        self._shrunk = 100 / (100 + theta)

    def of(self, corners: Int) -> Float:
        """Return ED (n,) of windows (n, 4: x0, y0, x1, y1): edge pixels per pixel of perimeter."""
        return _density(self._edges, corners, self._shrunk)


def canny_edges(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return thinned 0/1 edges (H, W) with the thresholds of MATLAB's default Canny."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), CANNY_SIGMA, borderType=cv2.BORDER_REPLICATE)
    dx, dy, squared = np.empty_like(grey), np.empty_like(grey), np.empty_like(grey)
    largest = float(np.sqrt(_gradients(smooth, dx, dy, squared)))
    if largest <= CANNY_FLAT:
        return np.zeros(grey.shape, np.uint8)
    counts = _strength_histogram(squared.reshape(-1), CANNY_BINS / largest)
    enough = np.cumsum(counts) > CANNY_QUANTILE * grey.size
    high = (int(np.argmax(enough)) + 1) / CANNY_BINS * CANNY_RANGE
    dx16, dy16 = np.empty(grey.shape, np.int16), np.empty(grey.shape, np.int16)
    _to_int16(dx, dy, CANNY_RANGE / largest, dx16, dy16)
    edges = cv2.Canny(dx16, dy16, CANNY_LOW * high, high, L2gradient=True)
    return edges & 1  # they are 0 and 255


@njit(cache=True)
def _gradients(smooth: Map, dx: Map, dy: Map, squared: Map) -> np.float32:
    """Write central differences (H, W), border repeated, and their squared strength.

    Returns the largest of the latter.
    """
    height, width = smooth.shape
    half = np.float32(0.5)
    largest = np.float32(0)
    for y in range(height):
        above, line, below = smooth[max(y - 1, 0)], smooth[y], smooth[min(y + 1, height - 1)]
        last = width - 1
        for x in range(1, last):
            dx[y, x] = (line[x + 1] - line[x - 1]) * half
        dx[y, 0] = (line[min(1, last)] - line[0]) * half
        dx[y, last] = (line[last] - line[max(last - 1, 0)]) * half
        for x in range(width):
            dy[y, x] = (below[x] - above[x]) * half
            squared[y, x] = dx[y, x] * dx[y, x] + dy[y, x] * dy[y, x]
        largest = max(largest, squared[y].max())
    return largest


@njit(cache=True)
def _strength_histogram(squared: Map, scale: float) -> Int:
    """Return counts (64,) of strengths, given squared (n,); the largest strength x scale is 64."""
    tables = np.zeros((4, CANNY_BINS + 1), np.int64)  # a counter just written is slow to read
    factor = np.float32(scale)
    for i in range(len(squared)):
        tables[i & 3, int(np.sqrt(squared[i]) * factor)] += 1
    counts = tables.sum(axis=0)
    counts[CANNY_BINS - 1] += counts[CANNY_BINS]  # the last bin includes its upper edge
    return counts[:CANNY_BINS]


@njit(cache=True)
def _to_int16(
    dx: Map, dy: Map, scale: float, dx16: NDArray[np.int16], dy16: NDArray[np.int16]
) -> None:
    """Write gradients (H, W) x scale as whole numbers."""
    factor = np.float32(scale)
    for y in range(dx.shape[0]):
        for x in range(dx.shape[1]):
            dx16[y, x] = np.int16(np.rint(dx[y, x] * factor))
            dy16[y, x] = np.int16(np.rint(dy[y, x] * factor))


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
