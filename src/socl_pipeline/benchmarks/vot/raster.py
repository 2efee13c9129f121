"""Overlap of regions as VOT measures it: on the pixels that they cover inside the image.

A region is a box x, y, w, h (4 numbers) or a quadrilateral x1, y1 to x4, y4 (8), 0-based, in
pixels. Quadrilaterals are taken as convex: in each row of pixels a region covers what lies between
its leftmost and its rightmost crossing.

The rules were found by asking the compiled region library of TraX 4.0.2 and vot-toolkit 0.9.0 for
overlaps of random regions; the golden files of the tests hold their answers.
"""

from typing import Literal, get_args

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.errors import InputError

Float = NDArray[np.float64]

RasterRule = Literal["rounded", "truncated", "toolkit"]
"""Which pixels a region covers.

`rounded` (TraX, and so pysot-toolkit and the Matlab toolkit for VOT2016 and VOT2018): corners are
rounded, halves away from 0, and all pixels from crossing to crossing count, those on the edge too.
A box reaches from x to x + w: of width 10 it covers 11 pixels.

`truncated` (TraX's legacy flag, which the Matlab toolkit sets for VOT2013 and VOT2014): crossings
are cut off after the point, the right one and the upper edge do not count.

`toolkit` (vot-toolkit, Python): as `rounded`, but halves go to the even number, and of a box the
corner and the size are rounded, so that one of width 10 covers 10 pixels.
"""

_NEGLIGIBLE = 1e-10  # TraX: regions whose bounding boxes differ by more do not overlap


def overlaps(
    first: ArrayLike, second: ArrayLike, last_pixel: tuple[int, int], rule: RasterRule = "rounded"
) -> Float:
    """Return the share (n,) of pixels that two regions have in common, of those either covers.

    first, second: (n, 4) or (n, 8), each its own. last_pixel: column and row of the last pixel
    that counts, width - 1 and height - 1 for an image. Regions without a number give NaN, those
    that cover nothing 0. Raises InputError for other shapes or an unknown rule.
    """
    if rule not in get_args(RasterRule):
        raise InputError(f"raster rule {rule!r}: expected {', '.join(get_args(RasterRule))}")
    a, b = _corners(first, rule), _corners(second, rule)
    if len(a) != len(b):
        raise InputError(f"{len(a)} regions to compare with {len(b)}: give as many of both")
    right, bottom = last_pixel
    return np.asarray(
        _overlaps(a, b, float(right), float(bottom), get_args(RasterRule).index(rule))
    )


def _corners(regions: ArrayLike, rule: RasterRule) -> Float:
    """Return the corners (n, 4, 2) of regions (n, 4) or (n, 8) as a rule sees them.

    TraX computes with 32 bits, which decides some roundings.
    """
    with np.errstate(over="ignore"):  # what 32 bits cannot hold is no region
        given = np.asarray(regions, dtype=np.float32)
    if given.ndim != 2 or given.shape[1] not in (4, 8):
        raise InputError(f"The regions have shape {given.shape}: expected (n, 4) or (n, 8).")
    if given.shape[1] == 8:
        corners = given.reshape(-1, 4, 2).astype(np.float64)
        return np.rint(corners) if rule == "toolkit" else corners
    low, side = given[:, :2], given[:, 2:]
    with np.errstate(over="ignore", invalid="ignore"):
        high = low + side
        if rule == "toolkit":
            start, last = np.rint(low), np.rint(low) + np.rint(side) - 1
            low, high = np.minimum(start, last), np.maximum(start, last)
    (left, top), (right, bottom) = low.T, high.T
    outline = [left, top, right, top, right, bottom, left, bottom]
    return np.stack(outline, axis=1).reshape(-1, 4, 2).astype(np.float64)


_ROUNDED, _TRUNCATED, _TOOLKIT = range(3)  # the order of `RasterRule`


@njit(cache=True, nogil=True)
def _overlaps(first: Float, second: Float, right: float, bottom: float, rule: int) -> Float:
    result = np.full(len(first), np.nan)
    for i in range(len(first)):
        if np.isfinite(first[i]).all() and np.isfinite(second[i]).all():
            result[i] = _overlap(first[i].copy(), second[i].copy(), right, bottom, rule)
    return result


@njit(cache=True, nogil=True)
def _overlap(a: Float, b: Float, right: float, bottom: float, rule: int) -> float:
    """Return the overlap of corners (4, 2), which it rounds and moves in place."""
    if rule != _TOOLKIT:
        areas = _clipped_area(a, right, bottom), _clipped_area(b, right, bottom)
        if min(areas) < _NEGLIGIBLE * max(areas) or _apart(a, b):
            return 0.0
        if rule == _ROUNDED:
            _round_away(a)
            _round_away(b)
    elif _only_in_last_pixels(a, b, 0, right) or _only_in_last_pixels(a, b, 1, bottom):
        return 0.0
    left, top, width, height = _window(a, b, right, bottom)
    for corner in range(4):
        for corners in (a, b):
            corners[corner, 0] = np.float32(corners[corner, 0] - left)
            corners[corner, 1] = np.float32(corners[corner, 1] - top)
    common, either = 0, 0
    for y in range(height):
        start_a, end_a = _covered(a, y, width, rule == _TRUNCATED)
        start_b, end_b = _covered(b, y, width, rule == _TRUNCATED)
        both = max(min(end_a, end_b) - max(start_a, start_b), 0)
        common += both
        either += end_a - start_a + end_b - start_b - both
    return common / either if either else 0.0


@njit(cache=True, nogil=True)
def _clipped_area(corners: Float, right: float, bottom: float) -> float:
    """Return the area of the bounding box inside the image; 0 if they do not meet."""
    width = min(corners[:, 0].max(), right) - max(corners[:, 0].min(), 0.0)
    height = min(corners[:, 1].max(), bottom) - max(corners[:, 1].min(), 0.0)
    return max(width, 0.0) * max(height, 0.0)


@njit(cache=True, nogil=True)
def _apart(a: Float, b: Float) -> bool:
    """Return whether the bounding boxes, grown to whole numbers, do not overlap (or only touch)."""
    for axis in range(2):
        end = min(np.ceil(a[:, axis].max()), np.ceil(b[:, axis].max()))
        if end <= max(np.floor(a[:, axis].min()), np.floor(b[:, axis].min())):
            return True
    return False


@njit(cache=True, nogil=True)
def _only_in_last_pixels(a: Float, b: Float, axis: int, last: float) -> bool:
    """Return whether the regions leave the image and have but its last line of pixels in it.

    vot-toolkit then says that they do not overlap.
    """
    low = min(a[:, axis].min(), b[:, axis].min())
    high = max(a[:, axis].max(), b[:, axis].max())
    return (low < 0 or high > last) and max(low, 0.0) >= min(high, last)


@njit(cache=True, nogil=True)
def _round_away(corners: Float) -> None:
    for k in range(4):
        for axis in range(2):
            value = corners[k, axis]
            corners[k, axis] = np.floor(value + 0.5) if value >= 0 else np.ceil(value - 0.5)


@njit(cache=True, nogil=True)
def _window(a: Float, b: Float, right: float, bottom: float) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the pixels that hold both regions in the image."""
    left = int(max(min(a[:, 0].min(), b[:, 0].min()), 0.0))
    top = int(max(min(a[:, 1].min(), b[:, 1].min()), 0.0))
    width = int(min(max(a[:, 0].max(), b[:, 0].max()), right)) - left + 1
    height = int(min(max(a[:, 1].max(), b[:, 1].max()), bottom)) - top + 1
    return left, top, width, height


@njit(cache=True, nogil=True)
def _covered(corners: Float, y: int, width: int, truncated: bool) -> tuple[int, int]:
    """Return the first covered pixel of row y and the one after the last, 0 and 0 if none is."""
    low, high = np.inf, -np.inf
    for i in range(4):
        x, edge_y = corners[i]
        other_x, other_y = corners[i - 1]
        if edge_y == other_y or not min(edge_y, other_y) <= y <= max(edge_y, other_y):
            continue
        if truncated and y == min(edge_y, other_y):
            continue
        if truncated:
            crossing = _crossing_32(x, edge_y, other_x, other_y, y)
        else:
            crossing = x + (y - edge_y) / (other_y - edge_y) * (other_x - x)
        low, high = min(low, crossing), max(high, crossing)
    if low > high:
        return 0, 0
    # towards 0, as a cast does; cut before it, as whole numbers cannot hold what is huge
    start, end = int(min(max(low, 0.0), width + 1.0)), int(max(min(high, width + 1.0), -1.0))
    beyond = width
    if truncated and end > width:
        beyond = width - 1  # TraX loses a column here
    end = min(end if truncated else end + 1, beyond)
    return (start, end) if start < end else (0, 0)


@njit(cache=True, nogil=True)
def _crossing_32(x: float, y: float, other_x: float, other_y: float, row: int) -> float:
    """Return where an edge crosses a row, in 32 bits: they decide which pixel it is cut off to."""
    share = (np.float32(row) - np.float32(y)) / (np.float32(other_y) - np.float32(y))
    return float(np.float32(x) + np.float32(share) * (np.float32(other_x) - np.float32(x)))
