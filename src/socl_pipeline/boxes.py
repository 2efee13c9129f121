"""Arithmetic on boxes: float x, y, w, h, 0-based, edges (not pixel centres) as coordinates."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating]


def centers(boxes: ArrayLike) -> FloatArray:
    """Return the centres (..., 2) of boxes (..., 4) given as x, y, w, h."""
    b = np.asarray(boxes, dtype=np.float64)
    return b[..., :2] + b[..., 2:] / 2


def centered_boxes(points: ArrayLike, sizes: ArrayLike) -> FloatArray:
    """Return boxes (..., 4) of sizes w, h (..., 2) around points (..., 2)."""
    p, s = np.broadcast_arrays(np.asarray(points, np.float64), np.asarray(sizes, np.float64))
    return np.concatenate([p - s / 2, s], axis=-1)


def iou(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return the intersection over union of boxes (..., 4), broadcast against each other.

    Boxes without area overlap nothing: their value is 0. NaN stays NaN.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    side = np.maximum(high - low, 0)
    intersection = side[..., 0] * side[..., 1]
    area_a = np.maximum(a[..., 2], 0) * np.maximum(a[..., 3], 0)
    area_b = np.maximum(b[..., 2], 0) * np.maximum(b[..., 3], 0)
    union = area_a + area_b - intersection
    ratio = np.divide(intersection, union, out=np.zeros_like(union), where=union != 0)
    return np.minimum(ratio, 1)  # equal boxes can exceed 1 by one unit in the last place


def pairwise_iou(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return the IoU matrix (n, m) of boxes (n, 4) and (m, 4)."""
    return iou(np.asarray(a)[:, None, :], np.asarray(b)[None, :, :])


def clip_boxes(boxes: ArrayLike, width: float, height: float) -> FloatArray:
    """Return boxes (..., 4) cut at the frame [0, width] x [0, height]; the input is untouched."""
    b = np.asarray(boxes, dtype=np.float64)
    limit = np.array([width, height], dtype=np.float64)
    low = np.clip(b[..., :2], 0, limit)
    high = np.clip(b[..., :2] + b[..., 2:], 0, limit)
    return np.concatenate([low, np.maximum(high - low, 0)], axis=-1)
