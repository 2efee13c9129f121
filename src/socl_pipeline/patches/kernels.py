"""Windows of patches and their colours on the CPU, compiled.

They give what the torch versions in `augment` give. Those suit a GPU: they turn whole patches
into floats and write down a place for every pixel, which takes a CPU ten times as long.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float32]


@njit(cache=True, nogil=True)
def sample_places(
    corner: float, step: float, size: int, flip: bool, left: NDArray[np.int32], share: Float
) -> None:
    """Write where the n samples of an axis lie: `share` of the way from pixel `left` to the next.

    A pixel's centre is half a pixel from its edge; samples beyond the first or the last centre
    repeat it.
    """
    count = len(left)
    for k in range(count):
        position = corner + (k + 0.5) * step - 0.5
        position = min(max(position, 0.0), size - 1.0)
        index = count - 1 - k if flip else k
        left[index] = min(int(position), size - 2)
        share[index] = position - left[index]


@njit(cache=True, nogil=True, fastmath=True)
def cut(
    images: NDArray[np.uint8],
    corners: Float,
    sides: Float,
    flips: NDArray[np.bool_],
    windows: Float,
) -> None:
    """Write windows (B, w, w, 3) of images (B, S, S, 3), bilinear: rows first, then columns."""
    count, size = images.shape[:2]
    window = windows.shape[1]
    lines = images.reshape(count, size, size * 3)
    line = np.empty(size * 3, np.float32)
    left, right_share = np.empty(window, np.int32), np.empty(window, np.float32)
    upper, lower_share = np.empty(window, np.int32), np.empty(window, np.float32)
    for b in range(count):
        step = sides[b] / window
        sample_places(corners[b, 0], step, size, flips[b], left, right_share)
        sample_places(corners[b, 1], step, size, False, upper, lower_share)
        for i in range(window):
            above, below, down = lines[b, upper[i]], lines[b, upper[i] + 1], lower_share[i]
            for x in range(size * 3):
                first = np.float32(above[x])
                line[x] = first + down * (np.float32(below[x]) - first)
            for j in range(window):
                x, across = 3 * left[j], right_share[j]
                for c in range(3):
                    first = line[x + c]
                    windows[b, i, j, c] = first + across * (line[x + c + 3] - first)


@njit(cache=True, nogil=True, fastmath=True)
def turn_grey(pixels: Float, luma: Float) -> None:
    """Replace the three channels of pixels (n, 3) by their weighted sum."""
    for i in range(len(pixels)):
        value = luma[0] * pixels[i, 0] + luma[1] * pixels[i, 1] + luma[2] * pixels[i, 2]
        pixels[i, 0] = pixels[i, 1] = pixels[i, 2] = value


@njit(cache=True, nogil=True, fastmath=True)
def mean(lines: Float) -> float:
    """Return the mean of lines (m, n): floats add up along a line only, so none gets lost."""
    total = 0.0
    for i in range(len(lines)):
        part = np.float32(0)
        for k in range(lines.shape[1]):  # by index: the compiler adds many at once
            part += lines[i, k]
        total += float(part)
    return total / lines.size


@njit(cache=True, nogil=True, fastmath=True)
def jitter(
    images: Float, brightness: Float, contrast: Float, grey: NDArray[np.bool_], luma: Float
) -> None:
    """Change colours of images (B, H, W, 3) in place; see `augment.jitter_colour`."""
    for b in range(len(images)):
        if grey[b]:
            turn_grey(images[b].reshape(-1, 3), luma)
        factor = brightness[b] * contrast[b]
        middle = mean(images[b].reshape(images.shape[1], -1))
        added = np.float32(middle) * (brightness[b] - factor)
        values = images[b].reshape(-1)
        for i in range(len(values)):
            values[i] = min(max(values[i] * factor + added, np.float32(0)), np.float32(255))
