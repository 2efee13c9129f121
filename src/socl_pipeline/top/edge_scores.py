"""The EdgeBoxes score of windows: edge groups that lie wholly inside them.

The second half of EdgeBoxes (Zitnick and Dollar, ECCV 2014, sections 3.2 and 3.3), for windows
given by whole pixels. The norm is that of the authors' code and of OpenCV, to which the usual
least score of 0.01 belongs; the paper's differs by a factor.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.top.edge_groups import LEAST_WEIGHT, EdgeGroups

KAPPA = 1.5  # exponent of the norm in the window's size (EdgeBoxes paper)


class Scratch(NamedTuple):
    """Memory that scoring one window after the other shares; all (g,) for g groups.

    visit: the last window in which a group was met. weight: how strongly a path ties it to the
    window's border. met: groups met in this window. queue, queued: groups to go on from.
    clock (1,): the number of the window.
    """

    visit: NDArray[np.int64]
    weight: NDArray[np.float32]
    met: NDArray[np.int32]
    queue: NDArray[np.int32]
    queued: NDArray[np.bool_]
    clock: NDArray[np.int64]


def score_windows(groups: EdgeGroups, windows: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the scores (n,) of windows (n, 4): x0, y0, x1, y1, their first and last pixels.

    Windows are cut at the image. A score is 0 where more edges lie in the middle of the window,
    or run out of it, than in its outer part.
    """
    return np.asarray(_score_windows(groups, np.asarray(windows, np.int64).reshape(-1, 4)))


@njit(cache=True, nogil=True)
def _score_windows(groups, windows):  # type: ignore[no-untyped-def]
    height, width = groups.edge_sums.shape
    scratch = new_scratch(len(groups.magnitudes))
    scores = np.empty(len(windows), np.float32)
    for i in range(len(windows)):
        x0, x1 = min(max(windows[i, 0], 0), width - 2), min(max(windows[i, 2], 0), width - 2)
        y0, y1 = min(max(windows[i, 1], 0), height - 2), min(max(windows[i, 3], 0), height - 2)
        scores[i] = window_score(groups, scratch, x0, y0, x1, y1, 0.0)
    return scores


@njit(cache=True, nogil=True)
def new_scratch(count):  # type: ignore[no-untyped-def]
    """Return the memory for scoring windows over `count` groups."""
    return Scratch(
        np.zeros(count, np.int64),
        np.zeros(count, np.float32),
        np.empty(count, np.int32),
        np.empty(count, np.int32),
        np.zeros(count, np.bool_),
        np.zeros(1, np.int64),
    )


@njit(cache=True, nogil=True)
def window_score(groups, scratch, x0, y0, x1, y1, least):  # type: ignore[no-untyped-def]
    """Return the score of the window of pixels x0 to x1, y0 to y1 (both inside the image).

    0 stands for every score below `least`, which saves following paths.
    """
    half_width, half_height = (x1 - x0) // 2, (y1 - y0) // 2
    if half_width + half_height <= 0:
        return 0.0
    middle_x, middle_y = x0 + half_width // 2, y0 + half_height // 2
    inside = _sum_between(groups.group_sums, x0, y0, x1, y1) - _sum_between(
        groups.edge_sums, middle_x, middle_y, middle_x + half_width, middle_y + half_height
    )
    norm = 1.0 / (half_width + half_height) ** KAPPA
    if inside <= 0 or inside * norm < least:
        return 0.0
    scratch.clock[0] += 1
    met = _meet_border(groups, scratch, x0, y0, x1, y1)
    met = _follow_paths(groups, scratch, x0, y0, x1, y1, met)
    for group in scratch.met[:met]:
        if _stands_inside(groups, group, x0, y0, x1, y1):
            inside -= scratch.weight[group] * groups.magnitudes[group]
    score = inside * norm
    return score if score >= least and score > 0 else 0.0


@njit(cache=True, nogil=True)
def _sum_between(sums, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    return sums[y1 + 1, x1 + 1] - sums[y0, x1 + 1] - sums[y1 + 1, x0] + sums[y0, x0]


@njit(cache=True, nogil=True)
def _stands_inside(groups, group, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    return x0 <= groups.xs[group] <= x1 and y0 <= groups.ys[group] <= y1


@njit(cache=True, nogil=True)
def _meet_border(groups, scratch, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    """Give weight 1 to the groups with a pixel on the window's border; returns their number."""
    met = 0
    for y in (y0, y1):
        starts = groups.row_starts
        met = _meet_line(
            groups.row_columns, groups.row_groups, starts[y], starts[y + 1], x0, x1, scratch, met
        )
    for x in (x0, x1):
        starts = groups.column_starts
        met = _meet_line(
            groups.column_rows, groups.column_groups, starts[x], starts[x + 1], y0, y1, scratch, met
        )
    return met


@njit(cache=True, nogil=True)
def _meet_line(places, owners, start, stop, low, high, scratch, met):  # type: ignore[no-untyped-def]
    """Meet the groups of a row's or column's pixels start to stop - 1 that lie in low to high."""
    end, now = stop, scratch.clock[0]
    while start < stop:  # the first pixel at `low` or after it
        half = (start + stop) // 2
        if places[half] < low:
            start = half + 1
        else:
            stop = half
    while start < end and places[start] <= high:
        group = owners[start]
        if scratch.visit[group] != now:
            scratch.visit[group] = now
            scratch.weight[group] = 1
            scratch.met[met] = group
            met += 1
        start += 1
    return met


@njit(cache=True, nogil=True)
def _follow_paths(groups, scratch, x0, y0, x1, y1, met):  # type: ignore[no-untyped-def]
    """Give the groups inside the weight of their best path to the border; returns those met.

    The weight of a path is the product of its affinities. A group whose weight grows is gone on
    from again, so the result does not depend on the order.
    """
    now, capacity = scratch.clock[0], len(scratch.queue)
    for i in range(met):
        scratch.queue[i] = scratch.met[i]
        scratch.queued[scratch.met[i]] = True
    head, waiting = 0, met
    while waiting:
        group = scratch.queue[head]
        head = head + 1 if head + 1 < capacity else 0
        waiting -= 1
        scratch.queued[group] = False
        for k in range(groups.link_starts[group], groups.link_starts[group + 1]):
            weight = scratch.weight[group] * groups.affinities[k]
            other = groups.links[k]
            if weight < np.float32(LEAST_WEIGHT):
                continue
            if scratch.visit[other] != now:
                if not _stands_inside(groups, other, x0, y0, x1, y1):
                    continue
                scratch.visit[other] = now
                scratch.met[met] = other
                met += 1
            elif weight <= scratch.weight[other]:
                continue
            scratch.weight[other] = weight
            if not scratch.queued[other]:
                tail = head + waiting
                scratch.queue[tail if tail < capacity else tail - capacity] = other
                scratch.queued[other] = True
                waiting += 1
    return met
