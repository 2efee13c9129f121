"""The inner loop of one-pass evaluation: in how many frames is a box how good, in one pass."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

OVERLAP, ERROR, HIT, LEFT_OUT = 1, 2, 4, 8
"""What a frame's truth is good for, added up: its overlap counts (otherwise it fails), its centre
error counts (otherwise it misses, or with HIT is within every threshold), nothing of it counts."""


@njit(cache=True, nogil=True, error_model="numpy")
def count_frames(
    track: FloatArray,
    truth: FloatArray,
    kinds: NDArray[np.uint8],
    starts: NDArray[np.int64],
    crashes: NDArray[np.int64],
    first_is_truth: bool,
    repair: bool,
    thresholds: tuple[FloatArray, FloatArray, FloatArray],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], FloatArray, NDArray[np.int64]]:
    """Count the frames of s sequences by overlap, centre error and normalised centre error.

    track, truth: (n, 4), x, y, w, h, 0-based, all sequences in a row. kinds: (n,), of `OVERLAP`,
    `ERROR`, `HIT` and `LEFT_OUT`. starts: (s + 1,) rows where sequences begin, and n.
    crashes: (s,) frames from which on a sequence has no boxes; its length where it has all.
    first_is_truth: the first box of a track is replaced by the true one. repair: a box that is not
    finite or has no area is replaced by the one before. thresholds: of the three, evenly spaced
    from 0.

    Returns three histograms (s, thresholds + 1): the number of frames by how many thresholds lie
    below their value; the sums (s,) of overlaps; the frames (s,) that count.
    """
    above, within, near = thresholds
    sequences = len(starts) - 1
    overlaps = np.zeros((sequences, len(above) + 1), np.int64)
    errors = np.zeros((sequences, len(within) + 1), np.int64)
    ratios = np.zeros((sequences, len(near) + 1), np.int64)
    sums, frames = np.zeros(sequences), np.zeros(sequences, np.int64)
    last = np.zeros(4)
    for s in range(sequences):
        begin = starts[s]
        for i in range(begin, starts[s + 1]):
            if i == begin and first_is_truth:
                last[:] = truth[i]
            elif i == begin or not repair or _is_box(track[i]):
                last[:] = track[i]
            kind = kinds[i]
            if kind & LEFT_OUT:
                continue
            frames[s] += 1
            if i - begin >= crashes[s]:
                overlaps[s, 0] += 1
                errors[s, -1] += 1
                ratios[s, -1] += 1
                continue
            overlap, error, ratio = _compare(last, truth[i])
            if kind & OVERLAP:
                sums[s] += overlap
                overlaps[s, _below(overlap, above)] += 1
            else:
                overlaps[s, 0] += 1
            if kind & ERROR:
                errors[s, _below(error, within)] += 1
                ratios[s, _below(ratio, near)] += 1
            elif kind & HIT:
                errors[s, 0] += 1
                ratios[s, 0] += 1
            else:
                errors[s, -1] += 1
                ratios[s, -1] += 1
    return overlaps, errors, ratios, sums, frames


@njit(cache=True, nogil=True, error_model="numpy")
def _is_box(box: FloatArray) -> bool:
    finite = np.isfinite(box[0]) and np.isfinite(box[1])
    return finite and 0 < box[2] < np.inf and 0 < box[3] < np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def _compare(box: FloatArray, truth: FloatArray) -> tuple[float, float, float]:
    """Return overlap, centre error and the error in sizes of the true box; a box with NaN has none.

    In the 1-based numbers and the order of operations of the Matlab toolkits, so that values which
    are equal to a threshold fall on the same side of it.
    """
    ax, ay, aw, ah = box[0] + 1, box[1] + 1, box[2], box[3]
    bx, by, bw, bh = truth[0] + 1, truth[1] + 1, truth[2], truth[3]
    width = min(ax + aw, bx + bw) - max(ax, bx)
    height = min(ay + ah, by + bh) - max(ay, by)
    overlap = 0.0
    if width > 0 and height > 0 and np.isfinite(ax + ay + aw + ah + bx + by):
        shared = width * height
        overlap = min(shared / (aw * ah + bw * bh - shared), 1.0)
    acx, acy = ax + (aw - 1) / 2, ay + (ah - 1) / 2
    bcx, bcy = bx + (bw - 1) / 2, by + (bh - 1) / 2
    error = np.sqrt((acx - bcx) ** 2 + (acy - bcy) ** 2)
    ratio = np.sqrt((acx / bw - bcx / bw) ** 2 + (acy / bh - bcy / bh) ** 2)
    return overlap, error, ratio


@njit(cache=True, nogil=True, error_model="numpy")
def _below(value: float, thresholds: FloatArray) -> int:
    """Return how many of the evenly spaced thresholds, from 0 on, lie below a value; NaN: all."""
    last = len(thresholds) - 1
    if not value <= thresholds[last]:
        return last + 1
    # a guess that rounding can make wrong by one, and then the very comparison
    k = int(value * (last / thresholds[last]))
    while k > 0 and thresholds[k - 1] >= value:
        k -= 1
    while k <= last and thresholds[k] < value:
        k += 1
    return k
