"""CC, the colour contrast cue: Lab histograms of windows against those of their surroundings.

Lab comes from RGB taken as linear, in 4 x 8 x 8 bins, as in the objectness release. A bin edge lies
exactly at neutral grey: whether a grey pixel falls below or above it must not depend on rounding.
"""

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bins = NDArray[np.uint8]

LIGHTNESS_WIDTH, CHROMA_WIDTH = 25, 30  # of the bins; a and b start at -120
CHROMA_BINS = 8
LAB_BINS = 256
LANES = 16  # histograms are padded to whole vectors of this many bins

_UNIT = 2**23
"""Grey level 1 of linear RGB in integers, so that sums of the products below stay exact."""


def _white_shares() -> Float:
    """Return the shares (3, 3) of R, G, B in X, Y, Z (D65, white = 1): whole multiples of a unit.

    The rows sum to the unit exactly, hence X = Y = Z and a = b = 0 for every grey.
    """
    xyz = np.array(
        [
            [0.412453, 0.357580, 0.180423],
            [0.212671, 0.715160, 0.072169],
            [0.019334, 0.119193, 0.950227],
        ]
    )
    shares = np.rint(xyz / xyz.sum(axis=1, keepdims=True) * _UNIT)
    shares[:, 1] += _UNIT - shares.sum(axis=1)
    return shares


_SHARES = _white_shares()
_FULL = 255.0 * _UNIT
_LIGHTNESS_EDGES = tuple(((16 + e) / 116) ** 3 * _FULL for e in (25, 50, 75))
_LINEAR_BELOW = 0.008856  # CIE Lab: below, the cube root is replaced by a line


class ColourHistograms:
    """Integral histograms of an RGB image (H, W, 3) over the Lab bins that occur in it.

    theta: how much larger a window's surrounding is than the window, in percent.
    """

    def __init__(self, image: NDArray[np.uint8], theta: float) -> None:
        bins = lab_bins(image)
        order, columns = _histogram_columns(_pixel_counts(bins.reshape(-1)))
        # Counts wrap around; differences are right where no bin but the left-out one can hold
        # more pixels than the type.
        dtype = np.uint16 if bins.size < 2 * 2**16 else np.uint32
        self._maps = np.empty((bins.shape[0] + 1, bins.shape[1] + 1, columns), dtype)
        _integrate(bins, order, np.eye(columns + 1, columns, dtype=dtype), self._maps)
        self._theta = float(theta)

    def of(self, corners: Int) -> Float:
        """Return CC (n,) of windows (n, 4: x0, y0, x1, y1), whole pixels of the image.

        sum (h - g)^2 / (h + g) without the factor 1/2, in [0, 2]; 0 if there is no surrounding.
        """
        return _contrast(self._maps, corners, self._theta)


def lab_bins(image: NDArray[np.uint8]) -> Bins:
    """Return the Lab bin (H, W) in [0, 256) of each pixel of an RGB image (H, W, 3).

    Bins start at their lower edge: greys, with a = b = 0 exactly, are in the upper bin of both.
    """
    bins = np.empty(image.shape[:2], np.uint8)
    red, green, blue = (plane.reshape(-1) for plane in cv2.split(image))
    _fill_lab_bins(red, green, blue, _SHARES, bins.reshape(-1))
    return bins


def _histogram_columns(counts: Int) -> tuple[Int, int]:
    """Return each bin's column in the histograms, given pixel counts (256,), and their number.

    The most frequent bin has none (its column is behind the last): what the others leave of a
    window is in it.
    """
    occupied = np.flatnonzero(counts)
    kept = occupied[occupied != counts.argmax()]
    columns = max(-(-len(kept) // LANES), 1) * LANES
    order = np.full(LAB_BINS, columns)
    order[kept] = np.arange(len(kept))
    return order, columns


@njit(cache=True, error_model="numpy", inline="always")
def _cube_root(value: np.float32) -> np.float32:
    """Return the cube root of a positive number, of basic operations only.

    An estimate from the exponent (5 % off), then Halley's method, whose error is cubed by each
    step. So it is the same on every machine, and several are computed at once.
    """
    exponent = np.float32(np.float32(value).view(np.int32))
    root = np.int32(exponent * np.float32(1 / 3) + np.float32(709921077)).view(np.float32)
    for _ in range(2):
        cube = root * root * root
        root = root * ((cube + value + value) / (cube + cube + value))
    return root


@njit(cache=True, error_model="numpy", inline="always")
def _lab_curve(value: float) -> np.float32:
    """Return the curve f of CIE Lab at a value in [0, 255 units]."""
    t = np.float32(value * (1 / _FULL))
    line = np.float32(7.787) * t + np.float32(16 / 116)
    root = _cube_root(max(t, np.float32(_LINEAR_BELOW)))
    return root if t > np.float32(_LINEAR_BELOW) else line


@njit(cache=True, inline="always")
def _chroma_bin(position: np.float32) -> np.signedinteger:
    """Return the bin of a or b, given in bin widths: four bins are below zero, four above."""
    return np.int32(min(max(position + np.float32(4), np.float32(0)), np.float32(7)))


@njit(cache=True, error_model="numpy")
def _fill_lab_bins(red: Bins, green: Bins, blue: Bins, shares: Float, bins: Bins) -> None:
    """Write the bins (n,) of pixels given by their channels (n,)."""
    low, middle, high = _LIGHTNESS_EDGES
    for i in range(len(bins)):
        r, g, b = float(red[i]), float(green[i]), float(blue[i])
        x = shares[0, 0] * r + shares[0, 1] * g + shares[0, 2] * b
        y = shares[1, 0] * r + shares[1, 1] * g + shares[1, 2] * b
        z = shares[2, 0] * r + shares[2, 1] * g + shares[2, 2] * b
        fx, fy, fz = _lab_curve(x), _lab_curve(y), _lab_curve(z)
        lightness = np.int32(y >= low) + np.int32(y >= middle) + np.int32(y >= high)
        a = _chroma_bin((fx - fy) * np.float32(500 / CHROMA_WIDTH))
        c = _chroma_bin((fy - fz) * np.float32(200 / CHROMA_WIDTH))
        bins[i] = (lightness * CHROMA_BINS + a) * CHROMA_BINS + c


@njit(cache=True)
def _pixel_counts(bins: Bins) -> Int:
    """Return how many pixels (n,) are in each bin (256,); neighbours count in separate tables.

    They are often in the same bin, and a counter that was just written is slow to read.
    """
    tables = np.zeros((4, LAB_BINS), np.int64)
    for i in range(len(bins)):
        tables[i & 3, bins[i]] += 1
    return tables.sum(axis=0)


@njit(cache=True)
def _integrate(
    bins: Bins, order: Int, unit: NDArray[np.unsignedinteger], maps: NDArray[np.unsignedinteger]
) -> None:
    """Fill integral maps (H + 1, W + 1, c) of bins (H, W); unit (c + 1, c): a pixel of a column."""
    height, width = bins.shape
    columns = maps.shape[2]
    maps[0] = 0
    row = np.empty(columns, maps.dtype)
    for y in range(height):
        row[:] = 0
        maps[y + 1, 0] = 0
        for x in range(width):
            pixel = unit[order[bins[y, x]]]
            above, here = maps[y, x + 1], maps[y + 1, x + 1]
            for k in range(columns):
                row[k] += pixel[k]
                here[k] = above[k] + row[k]


@njit(cache=True, error_model="numpy")
def _contrast(maps: NDArray[np.unsignedinteger], corners: Int, theta: float) -> Float:
    """Return CC (n,) of windows (n, 4)."""
    height, width, columns = maps.shape[0] - 1, maps.shape[1] - 1, maps.shape[2]
    inside, whole = np.empty(columns, maps.dtype), np.empty(columns, maps.dtype)
    distance = np.empty(LANES)
    result = np.zeros(len(corners))
    for n in range(len(corners)):
        x0, y0, x1, y1 = corners[n]
        dx, dy = (x1 - x0) * theta / 200, (y1 - y0) * theta / 200
        left, top = int(max(np.rint(x0 - dx), 0)), int(max(np.rint(y0 - dy), 0))
        right, bottom = int(min(np.rint(x1 + dx), width)), int(min(np.rint(y1 + dy), height))
        area = float((x1 - x0) * (y1 - y0))
        ring = float((right - left) * (bottom - top)) - area
        if ring <= 0:
            continue
        _window_counts(maps, x0, y0, x1, y1, inside)
        _window_counts(maps, left, top, right, bottom, whole)
        distance[:] = 0
        for start in range(0, columns, LANES):
            for k in range(LANES):
                count = float(inside[start + k])
                around = float(whole[start + k]) - count
                h, g = count * ring, around * area
                distance[k] += (h - g) * (h - g) / max(h + g, 1.0)
        counted, counted_whole = 0, 0
        for k in range(columns):
            counted += inside[k]
            counted_whole += whole[k]
        h = (area - counted) * ring
        g = (ring - (counted_whole - counted)) * area
        last = (h - g) * (h - g) / max(h + g, 1.0)
        result[n] = (distance.sum() + last) / (area * ring)
    return result


@njit(cache=True, inline="always")
def _window_counts(
    maps: NDArray[np.unsignedinteger],
    x0: int,
    y0: int,
    x1: int,
    y1: int,
    counts: NDArray[np.unsignedinteger],
) -> None:
    """Write the pixel counts (c,) of a window; the unsigned sums wrap around and back."""
    first, second, third, fourth = maps[y1, x1], maps[y0, x1], maps[y1, x0], maps[y0, x0]
    for k in range(len(counts)):
        counts[k] = first[k] - second[k] - third[k] + fourth[k]
