"""Edges for EdgeBoxes without a learnt model: smoothed colour gradient, thinned.

The smoothing (triangle filter of radius 4) and the gradient of the strongest channel follow the
EdgeBoxes authors' own model-free alternative; thinning matters, unthinned edges are 20 times
slower to group. Half of a real frame has edges stronger than `EDGE_MIN` and a tenth survives the
thinning, so angles are computed for the survivors only: the thinning needs no more than the
direction of the gradient.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]

SMOOTHING_RADIUS = 4
THINNING_RADIUS = 2  # of the non-maximum suppression along the edge normal (EdgeBoxes paper)
EDGE_MIN = 0.1  # weaker edges belong to no group: edgeMinMag of OpenCV's EdgeBoxes

FLAT = 1e-2  # grey levels a pixel: smaller gradients are rounding errors of the filter


class EdgeMap(NamedTuple):
    """Thinned edges of an image.

    strength: float32 (H, W) in [0, 1], 0 where there is no edge stronger than EDGE_MIN, and on
        the outermost pixels, which EdgeBoxes does not look at.
    angle: float32 (H, W), that of the edge's normal in [0, pi); 0 where there is no edge.
    """

    strength: Float
    angle: Float


def gradient_edges(image: NDArray[np.uint8]) -> EdgeMap:
    """Return the thinned colour gradient of a uint8 RGB image (H, W, 3)."""
    kernel = _triangle(SMOOTHING_RADIUS)
    red, green, blue = (
        cv2.sepFilter2D(plane, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
        for plane in cv2.split(image)
    )
    size, dx, dy, largest = _strongest_gradient(red, green, blue)
    # differences span two pixels, and the kernel is not divided by its sum
    flat = FLAT * float(kernel.sum()) ** 2
    return EdgeMap(*_thin(size, dx, dy, np.float32(max(largest, flat))))


def thin(strength: Float, angle: Float) -> EdgeMap:
    """Return the edges that are maxima along their normal within the thinning radius.

    strength: (H, W) in [0, 1]. angle: (H, W) of the edge's normal, radians. Equal maxima are kept.
    """
    return EdgeMap(*_thin(strength, np.cos(angle), np.sin(angle), np.float32(1)))


def _triangle(radius: int) -> Float:
    """Return the filter (2 radius + 1,) in whole numbers: its sums are exact on any machine."""
    ramp = np.arange(1, radius + 1, dtype=np.float32)
    return np.concatenate([ramp, [np.float32(radius + 1)], ramp[::-1]])


@njit(cache=True, nogil=True)
def _strongest_gradient(red, green, blue):  # type: ignore[no-untyped-def]
    """Return size, dx and dy (H, W) of the gradient of the steepest channel, and the largest size.

    red, green, blue: float32 (H, W). Differences between the two neighbours, at the border
    between the pixel and its one neighbour.
    """
    height, width = red.shape
    size = np.empty((height, width), np.float32)
    dx = np.zeros((height, width), np.float32)
    dy = np.zeros((height, width), np.float32)
    largest = np.float32(0)
    for y in range(height):
        size[y] = 0
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for plane in (red, green, blue):
            row, up, down = plane[y], plane[above], plane[below]
            best, best_x, best_y = size[y], dx[y], dy[y]
            for x in range(1, width - 1):
                gx, gy = row[x + 1] - row[x - 1], down[x] - up[x]
                square = gx * gx + gy * gy
                steeper = square > best[x]
                best[x] = square if steeper else best[x]
                best_x[x] = gx if steeper else best_x[x]
                best_y[x] = gy if steeper else best_y[x]
            for x in (0, width - 1):
                gx = row[min(x + 1, width - 1)] - row[max(x - 1, 0)]
                gy = down[x] - up[x]
                if gx * gx + gy * gy > best[x]:
                    best[x], best_x[x], best_y[x] = gx * gx + gy * gy, gx, gy
        for x in range(width):
            size[y, x] = math.sqrt(size[y, x])
        for x in range(width):
            largest = max(largest, size[y, x])
    return size, dx, dy, largest


@njit(cache=True, nogil=True)
def _thin(size, dx, dy, unit):  # type: ignore[no-untyped-def]
    """Return strength and angle (H, W) of the maxima along the normals.

    size: (H, W), edge strength times `unit`. dx, dy: (H, W), the normal's direction, any length.
    """
    height, width = size.shape
    strength = np.zeros((height, width), np.float32)
    angle = np.zeros((height, width), np.float32)
    half_turn = np.float32(np.pi)
    maximal = np.empty(width, np.bool_)
    columns = np.empty(width, np.int64)
    for y in range(1, height - 1):
        _beat_neighbours(size, dx, dy, y, np.float32(EDGE_MIN) * unit, maximal)
        count = 0
        for x in range(1, width - 1):  # without a branch, which would often be mispredicted
            columns[count] = x
            count += maximal[x]
        for x in columns[:count]:
            gx, gy = dx[y, x], dy[y, x]
            if not _beats_farther(size, x, y, gx, gy):
                continue
            turn = np.float32(math.atan2(gy, gx))
            if turn < 0:
                turn += half_turn
            strength[y, x] = size[y, x] / unit
            angle[y, x] = turn if turn < half_turn else np.float32(0)
    return strength, angle


@njit(cache=True, nogil=True)
def _beat_neighbours(size, dx, dy, y, weakest, maximal):  # type: ignore[no-untyped-def]
    """Set `maximal` (W,): which pixels of row y are no smaller than both points 1 px along normals.

    Written for whole vectors: the normal is turned to the right, so that the one point lies
    between the pixel and its neighbours on the right, above or below, the other opposite.
    """
    one = np.float32(1)
    row, up, down, gx, gy = size[y], size[y - 1], size[y + 1], dx[y], dy[y]
    for x in range(1, len(row) - 1):
        length = max(np.float32(math.sqrt(gx[x] * gx[x] + gy[x] * gy[x])), np.float32(1e-20))
        cos, sin = abs(gx[x]) / length, abs(gy[x]) / length
        falls = (gx[x] >= 0) == (gy[x] >= 0)  # the turned normal points down
        right_up, right_down, left_up, left_down = up[x + 1], down[x + 1], up[x - 1], down[x - 1]
        middle = row[x] * (one - cos)
        ahead = (one - sin) * (middle + row[x + 1] * cos)
        behind = (one - sin) * (middle + row[x - 1] * cos)
        over, under = up[x] * (one - cos), down[x] * (one - cos)
        ahead += sin * (under + right_down * cos if falls else over + right_up * cos)
        behind += sin * (over + left_up * cos if falls else under + left_down * cos)
        maximal[x] = (row[x] > weakest) & (row[x] >= ahead) & (row[x] >= behind)


@njit(cache=True, nogil=True)
def _beats_farther(size, x, y, gx, gy):  # type: ignore[no-untyped-def]
    """Return whether pixel x, y is no smaller than the points 2.. px along its normal gx, gy."""
    length = np.float32(math.sqrt(gx * gx + gy * gy))
    for step in range(2, THINNING_RADIUS + 1):
        shift_x, shift_y = np.float32(step) * gx / length, np.float32(step) * gy / length
        for side in (np.float32(1), np.float32(-1)):
            if _between(size, x, y, side * shift_x, side * shift_y) > size[y, x]:
                return False
    return True


@njit(cache=True, nogil=True)
def _between(size, x, y, shift_x, shift_y):  # type: ignore[no-untyped-def]
    """Return `size` at (x + shift_x, y + shift_y), bilinear, 0 beyond the border."""
    height, width = size.shape
    left, top = math.floor(shift_x), math.floor(shift_y)
    right_part, low_part = shift_x - np.float32(left), shift_y - np.float32(top)
    left, top = left + x, top + y
    total = np.float32(0)
    for row in (top, top + 1):
        part = low_part if row > top else np.float32(1) - low_part
        if not 0 <= row < height:
            continue
        if 0 <= left < width:
            total += part * (np.float32(1) - right_part) * size[row, left]
        if 0 <= left + 1 < width:
            total += part * right_part * size[row, left + 1]
    return total
