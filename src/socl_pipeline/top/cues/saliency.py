"""MS, the multi-scale saliency cue: spectral residual maps and the windows' share of them.

At each scale s and in each colour channel the image becomes s x s, and its spectral residual
saliency (Hou and Zhang, CVPR 2007) is thresholded; a window scores (sum of what is left) * (pixels
left) / (window area in map pixels). The objectness release samples windows from these maps and has
no rule for given windows: the maximum over scales of the sum over channels is our choice.
"""

import cv2
import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

DISK_RADIUS = 3  # pixels of the map: the smoothing of the objectness release
AMPLITUDE_FLOOR = 1e-3
"""Added to amplitudes before their logarithm. Spectra of frames lie far above (rounding to whole
grey levels alone gives about 5); those of drawn pictures may be zero but for rounding errors of
the transform (1e-9), which must not become salient."""


INT32_PIXELS = np.iinfo(np.int32).max // 255  # more white ones overflow OpenCV's usual integral


class SaliencyMaps:
    """Integral maps of the saliency of an RGB image (H, W, 3), one per scale.

    sides, thresholds: of the maps, in pixels, and of their values in [0, 1].
    """

    def __init__(
        self, image: NDArray[np.uint8], sides: tuple[int, ...], thresholds: tuple[float, ...]
    ) -> None:
        self._height, self._width = image.shape[:2]
        sums = cv2.integral(image)
        if self._height * self._width > INT32_PIXELS:
            sums = cv2.integral(image, sdepth=cv2.CV_64F).astype(np.int64)
        self._maps = [
            _thresholded_integral(spectral_residual(_area_means(sums, side)), threshold)
            for side, threshold in zip(sides, thresholds, strict=True)
        ]

    def of(self, corners: Int) -> Float:
        """Return MS (n,) of windows (n, 4: x0, y0, x1, y1), whole pixels of the image."""
        best = np.zeros(len(corners))
        for integral in self._maps:
            _raise_to_scale(integral, corners, self._width, self._height, best)
        return best


def spectral_residual(channels: Float) -> Float:
    """Return the saliency (c, s, s) of maps (c, s, s), each scaled to [0, 1]; of a flat map zeros.

    The spectrum is divided by the mean of its amplitudes in a 3x3 neighbourhood (geometric, with
    the border repeated), and what comes back is squared and smoothed by a pillbox with a border
    of zeros.
    """
    half = scipy.fft.rfft2(channels)
    exponent = _minus_neighbourhood_mean(np.log(np.abs(half) + AMPLITUDE_FLOOR), channels.shape[2])
    residual = scipy.fft.ifft2(_full_spectrum(half, np.exp(exponent)), overwrite_x=True)
    saliency = _smooth_power(residual, DISK)
    _stretch(saliency, channels)
    return saliency


def disk(radius: int) -> Float:
    """Return the pillbox (2r + 1, 2r + 1): each pixel's share of a disc of a radius in pixels.

    Pixels that the rim crosses count in part, as in MATLAB's fspecial('disk', r).
    """
    bounds = np.arange(-radius, radius + 2) - 0.5
    corner_areas = _disc_area(bounds[:, None], bounds[None, :], radius)
    areas = np.diff(np.diff(corner_areas, axis=0), axis=1)
    return np.maximum(areas, 0) / (np.pi * radius**2)  # rounding leaves -1e-16 outside the disc


def _disc_area(x: NDArray[np.floating], y: NDArray[np.floating], radius: int) -> Float:
    """Return the signed area of a disc within the rectangle from its centre to (x, y)."""
    sign = np.sign(x) * np.sign(y)
    a, b = np.minimum(np.abs(x), radius), np.minimum(np.abs(y), radius)
    top = np.minimum(np.sqrt(radius**2 - b**2), a)  # up to here the rim is above the rectangle
    return sign * (b * top + _under_circle(a, radius) - _under_circle(top, radius))


def _under_circle(x: Float, radius: int) -> Float:
    return (x * np.sqrt(radius**2 - x**2) + radius**2 * np.arcsin(x / radius)) / 2


DISK = disk(DISK_RADIUS)


@njit(cache=True)
def _area_means(sums: Int, side: int) -> Float:
    """Return the three channels (3, s, s) of an image, given by its integral (H + 1, W + 1, 3).

    Each pixel is the mean of the area it covers, in whole grey levels. An integral map is linear
    between its corners, so areas that end within a pixel are exact.
    """
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    corners = np.empty((3, side + 1, side + 1), np.int64)  # times side^2, hence whole
    for i in range(side + 1):
        top = min(i * height // side, height - 1)
        down = i * height - top * side
        for j in range(side + 1):
            left = min(j * width // side, width - 1)
            right = j * width - left * side
            for c in range(3):
                above = sums[top, left, c] * (side - right) + sums[top, left + 1, c] * right
                below = sums[top + 1, left, c] * (side - right) + sums[top + 1, left + 1, c] * right
                corners[c, i, j] = above * (side - down) + below * down
    means = np.empty((3, side, side))
    for c in range(3):
        for i in range(side):
            for j in range(side):
                area = corners[c, i + 1, j + 1] - corners[c, i, j + 1]
                area += corners[c, i, j] - corners[c, i + 1, j]
                means[c, i, j] = np.rint(area / (width * height))
    return means


@njit(cache=True)
def _minus_neighbourhood_mean(half: Float, side: int) -> Float:
    """Return minus the 3x3 means (c, s, s) of symmetric spectra, given by halves (c, s, s//2+1)."""
    channels, _, columns = half.shape
    mean = np.empty((channels, side, side))
    rows = np.empty((side, side))  # sums over three columns
    for c in range(channels):
        for i in range(side):
            mirror = (side - i) % side
            line = mean[c, i]
            for j in range(columns):
                line[j] = half[c, i, j]
            for j in range(columns, side):
                line[j] = half[c, mirror, side - j]
            for j in range(1, side - 1):
                rows[i, j] = line[j - 1] + line[j] + line[j + 1]
            rows[i, 0] = 2 * line[0] + line[1]
            rows[i, side - 1] = line[side - 2] + 2 * line[side - 1]
        for i in range(side):
            above, below = max(i - 1, 0), min(i + 1, side - 1)
            for j in range(side):
                mean[c, i, j] = (rows[above, j] + rows[i, j] + rows[below, j]) / -9
    return mean


@njit(cache=True)
def _full_spectrum(half: NDArray[np.complex128], factor: Float) -> NDArray[np.complex128]:
    """Return the spectra (c, s, s) of real maps, given by halves (c, s, s//2+1), times factors."""
    channels, side, columns = half.shape
    full = np.empty((channels, side, side), np.complex128)
    for c in range(channels):
        for i in range(side):
            mirror = (side - i) % side
            for j in range(columns):
                full[c, i, j] = half[c, i, j] * factor[c, i, j]
            for j in range(columns, side):
                full[c, i, j] = half[c, mirror, side - j].conjugate() * factor[c, i, j]
    return full


@njit(cache=True)
def _smooth_power(field: NDArray[np.complex128], kernel: Float) -> Float:
    """Return |field|^2 (c, s, s) filtered by the pillbox (7, 7), with zeros around the map.

    The pillbox is the same left and right, up and down: equal weights are applied to sums.
    """
    channels, side, _ = field.shape
    radius = DISK_RADIUS
    smooth = np.zeros((channels, side, side))
    power = np.zeros((side + 2 * radius, side + 2 * radius))
    pair = np.empty(side + 2 * radius)  # two rows that have the same weights, added
    for c in range(channels):
        for i in range(side):
            for j in range(side):
                value = field[c, i, j]
                power[i + radius, j + radius] = value.real * value.real + value.imag * value.imag
        for i in range(side):
            line = smooth[c, i]
            for di in range(radius + 1):
                above, below = power[i + radius - di], power[i + radius + di]
                share = 0.5 if di == 0 else 1.0  # the middle row would count twice
                for j in range(len(pair)):
                    pair[j] = (above[j] + below[j]) * share
                w0, w1, w2, w3 = kernel[radius + di, radius:]
                for j in range(side):
                    near = w0 * pair[j + 3] + w1 * (pair[j + 2] + pair[j + 4])
                    far = w2 * (pair[j + 1] + pair[j + 5]) + w3 * (pair[j] + pair[j + 6])
                    line[j] += near + far
    return smooth


@njit(cache=True)
def _stretch(saliency: Float, channels: Float) -> None:
    """Scale maps (c, s, s) to [0, 1] in place, and those of flat channels (c, s, s) to zeros."""
    for values, channel in zip(saliency, channels):  # noqa: B905 - numba knows no strict
        least, most = values[0].copy(), values[0].copy()  # of each column: whole vectors
        is_flat = True
        for i in range(values.shape[0]):
            for j in range(values.shape[1]):
                least[j], most[j] = min(least[j], values[i, j]), max(most[j], values[i, j])
        for i in range(values.shape[0]):
            if not is_flat:
                break
            for j in range(values.shape[1]):
                is_flat &= channel[i, j] == channel[0, 0]
        low, high = least.min(), most.max()
        scale = 0.0 if is_flat or high <= low else 1 / (high - low)
        for i in range(values.shape[0]):
            for j in range(values.shape[1]):
                values[i, j] = min((values[i, j] - low) * scale, 1.0)


@njit(cache=True)
def _thresholded_integral(saliency: Float, threshold: float) -> Float:
    """Return the integral map (s + 1, s + 1, 2c) of salient mass and pixel number per channel."""
    channels, side, _ = saliency.shape
    integral = np.zeros((side + 1, side + 1, 2 * channels))
    row = np.empty(2 * channels)
    for i in range(side):
        row[:] = 0
        for j in range(side):
            for c in range(channels):
                if saliency[c, i, j] >= threshold:
                    row[2 * c] += saliency[c, i, j]
                    row[2 * c + 1] += 1
            for k in range(2 * channels):
                integral[i + 1, j + 1, k] = integral[i, j + 1, k] + row[k]
    return integral


@njit(cache=True)
def _raise_to_scale(integral: Float, corners: Int, width: int, height: int, best: Float) -> None:
    """Raise best (n,) to the scores of windows (n, 4) of the image at one scale."""
    side = integral.shape[0] - 1
    xs, ys = _scaled_positions(width, side), _scaled_positions(height, side)
    for n in range(len(corners)):
        left, top = min(xs[corners[n, 0]], side - 1), min(ys[corners[n, 1]], side - 1)
        right, bottom = max(xs[corners[n, 2]], left + 1), max(ys[corners[n, 3]], top + 1)
        score = 0.0
        for k in range(0, integral.shape[2], 2):
            mass = integral[bottom, right, k] - integral[top, right, k]
            mass += integral[top, left, k] - integral[bottom, left, k]
            number = integral[bottom, right, k + 1] - integral[top, right, k + 1]
            number += integral[top, left, k + 1] - integral[bottom, left, k + 1]
            score += mass * number
        best[n] = max(best[n], score / ((right - left) * (bottom - top)))


@njit(cache=True)
def _scaled_positions(length: int, side: int) -> Int:
    """Return the whole map pixels (length + 1,) nearest to the positions along an image side."""
    positions = np.empty(length + 1, np.int64)
    for x in range(length + 1):
        positions[x] = int(np.rint(x * side / length))
    return positions
