"""Square patches of images at sub-pixel accuracy, as trackers and training cut them."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# Bilinear interpolation reads 2 x 2 pixels, so shrinking beyond a factor of 2 skips pixels.
_MAX_BILINEAR_STEP = 2.0


def mean_color(image: Image) -> NDArray[np.float64]:
    """Return the mean of every channel (3,) of an image (H, W, 3)."""
    return np.array(cv2.mean(image)[:3])


def crop_square(
    image: Image,
    center_xy: Sequence[float] | NDArray[np.floating],
    side: float,
    out_size: int,
    fill: Sequence[float] | NDArray[np.floating] | None,
) -> Image:
    """Return the square of `side` pixels around `center_xy` as (out_size, out_size, 3).

    Bilinear, with an area average first when it shrinks more than twofold (no aliasing).
    A square on whole pixels with side == out_size is exactly a slice of the image.

    Args:
        image: uint8 (H, W, 3).
        center_xy: in edge coordinates (the first pixel is [0, 1), its centre 0.5); anywhere.
        side: in pixels of the image, > 0.
        out_size: side of the result in pixels.
        fill: colour (3,) outside the image, rounded; None repeats the image's border.
    """
    color = None if fill is None else [float(v) for v in np.rint(fill)]
    step = side / out_size
    left, top = center_xy[0] - side / 2, center_xy[1] - side / 2
    if step <= _MAX_BILINEAR_STEP:
        return _warp(image, left, top, step, out_size, color)
    factor = math.floor(step)
    margin = 2 * factor  # whole blocks for the pixels that the interpolation reads beyond
    height, width = image.shape[:2]
    bounds = (
        (left - margin, left + side + margin, width),
        (top - margin, top + side + margin, height),
    )
    (x0, x1), (y0, y1) = (_block_span(*b, factor) if color is None else _span(*b) for b in bounds)
    if x0 >= x1 or y0 >= y1:  # so far outside that only the fill counts
        return _warp(image, left, top, step, out_size, color)
    region = _shrink(_cut(image, x0, x1, y0, y1), factor, color)
    return _warp(region, (left - x0) / factor, (top - y0) / factor, step / factor, out_size, color)


def _warp(
    image: Image, left: float, top: float, step: float, out_size: int, color: list[float] | None
) -> Image:
    """Return the square with corner (left, top) sampled every `step` pixels, bilinear.

    OpenCV counts from pixel centres: output pixel i lies at left + (i + 0.5) step in edge
    coordinates, which is 0.5 less in OpenCV's.
    """
    offset = step / 2 - 0.5
    matrix = np.array([[step, 0, left + offset], [0, step, top + offset]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        image,
        matrix,
        (out_size, out_size),
        flags=flags,
        borderMode=cv2.BORDER_REPLICATE if color is None else cv2.BORDER_CONSTANT,
        borderValue=color or 0,
    )


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the whole pixels that cover [low, high] within [0, size]."""
    return max(0, math.floor(low)), min(size, math.ceil(high))


def _block_span(low: float, high: float, size: int, factor: int) -> tuple[int, int]:
    """Return the whole pixels that cover [low, high], with a block of the border on each side.

    Blocks of `factor` pixels from the result's start are as if nothing had been left out, so that
    a block of image and border is their mean, and those further out are the border alone.
    """
    start = math.floor(low)
    start += factor * max(0, (-factor - start) // factor)
    return min(start, size - 1), max(1, min(math.ceil(high), size + factor))


def _cut(image: Image, x0: int, x1: int, y0: int, y1: int) -> Image:
    """Return rows y0 .. y1 and columns x0 .. x1; where there are none, the border repeats."""
    height, width = image.shape[:2]
    inside = image[max(0, y0) : min(y1, height), max(0, x0) : min(x1, width)]
    outside = [max(0, b) for b in (-y0, y1 - height, -x0, x1 - width)]
    return cv2.copyMakeBorder(inside, *outside, cv2.BORDER_REPLICATE) if any(outside) else inside


def _shrink(image: Image, factor: int, color: list[float] | None) -> Image:
    """Return the means of factor x factor blocks; `color`, or the border, completes the last."""
    height, width = image.shape[:2]
    bottom, right = -height % factor, -width % factor
    border = cv2.BORDER_REPLICATE if color is None else cv2.BORDER_CONSTANT
    padded = cv2.copyMakeBorder(image, 0, bottom, 0, right, border, value=color or 0)
    size = ((width + right) // factor, (height + bottom) // factor)
    return cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
