"""Smoothing of box sizes between sparse boxes, which stay as they are."""

import math

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]

REACH = 4  # standard deviations at which the Gaussian is cut off: 6e-5 of it lies beyond


def smoothed_sizes(sizes: Float, scale: float, closed: bool) -> Float:
    """Return sizes (n, 2) smoothed over frames by a Gaussian of their logarithms.

    scale: its standard deviation in frames; 0 leaves all as it is. The first size is that of a
    sparse box, and so is the last if `closed`; these are kept. A frame without a size (NaN) is
    left without one, and bridged.

    What is smoothed is the difference from the straight line between the two boxes (or from the
    first), continued as its own mirror image: with the opposite sign at a kept size, where the
    mean is then 0 by symmetry, and with the same sign at an open end.
    """
    known = np.isfinite(sizes[:, 0])
    if scale == 0 or known.sum() < 2:
        return sizes.copy()
    n = len(sizes)
    times = np.arange(n)
    logs = [np.interp(times, times[known], np.log(column[known])) for column in sizes.T]
    values = np.stack(logs, axis=1)
    change = values[-1] - values[0] if closed else np.zeros(2)
    line = values[0] + change * (times / (n - 1))[:, None]
    reach = math.ceil(REACH * scale)
    places, signs = _mirrored(np.arange(-reach, n + reach), n - 1, closed)
    beyond = (values - line)[places] * signs[:, None]
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / scale) ** 2)
    kernel /= kernel.sum()
    mean = [np.convolve(column, kernel, "valid") for column in beyond.T]
    result = np.exp(line + np.stack(mean, axis=1))
    fixed = [0, -1] if closed else [0]
    result[fixed] = sizes[fixed]  # to the last bit
    return np.where(known[:, None], result, np.nan)


def _mirrored(
    times: NDArray[np.integer], last: int, closed: bool
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return which of the times 0 to `last` each time repeats, and with which sign."""
    if closed:  # odd at both ends: the period is twice the length
        phase = times % (2 * last)
        beyond = phase > last
        return np.where(beyond, 2 * last - phase, phase), np.where(beyond, -1, 1)
    phase = times % (4 * last)  # odd at the first, even at the last
    sign = np.where(phase >= 2 * last, -1, 1)
    phase = phase % (2 * last)
    return np.where(phase > last, 2 * last - phase, phase), sign
