"""Rotated boxes, and the upright ones that stand for them."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def polygon_area(polygons: FloatArray) -> FloatArray:
    """Return the areas (n,) in px^2 of quadrangles (n, 8), corners in order either way round."""
    x, y = polygons[:, 0::2], polygons[:, 1::2]
    crossed = x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y
    return np.abs(crossed.sum(axis=1)) / 2


def polygon_boxes(polygons: FloatArray) -> FloatArray:
    """Return upright boxes (n, 4) of about the area of rotated ones (n, 8), NaN where they are.

    polygons: corners in px, 0-based, each the centre of a pixel. A tracker of upright boxes starts
    from these in VOT (as in the evaluations of SiamRPN and its successors): around the mean of
    the corners, with the sides of the upright box around them scaled by the square root of
    (area of the polygon / area of that box), plus 1 as both ends are pixels.
    """
    x, y = polygons[:, 0::2], polygons[:, 1::2]
    sides = np.stack([np.ptp(x, axis=1), np.ptp(y, axis=1)], axis=1)
    around = sides.prod(axis=1)
    share = np.divide(polygon_area(polygons), around, out=np.ones_like(around), where=around != 0)
    size = sides * np.sqrt(share)[:, None] + 1
    centre = np.stack([x.mean(axis=1), y.mean(axis=1)], axis=1)
    return np.concatenate([centre - (size - 1) / 2, size], axis=1)
