"""The EdgeBoxes score of windows: edge groups that lie wholly inside them.

The second half of EdgeBoxes (Zitnick and Dollar, ECCV 2014, sections 3.2 and 3.3), for windows
given by whole pixels. The norm is that of the authors' code and of OpenCV, to which the usual
least score of 0.01 belongs: the sum of half the sides to the power of -1.5, the paper's kappa.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.top.edgeboxes.groups import LEAST_WEIGHT, EdgeGroups


def score_windows(groups: EdgeGroups, windows: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the scores (n,) of windows (n, 4): x0, y0, x1, y1, their first and last pixels.

    Windows are cut at the image. A score is 0 where more edges lie in the middle of the window,
    or run out of it, than in its outer part.
    """
    height, width = (length - 1 for length in groups.edge_sums.shape)
    limit = np.array([width - 1, height - 1] * 2)
    inside = np.clip(np.asarray(windows, np.int64).reshape(-1, 4), 0, limit)
    return np.asarray(score_inside(groups, inside, np.zeros(len(inside), np.float32)))


@njit(cache=True, nogil=True)
def score_inside(groups, windows, least):  # type: ignore[no-untyped-def]
    """Return the scores (n,) of windows (n, 4) that do not leave the image.

    0 stands for every score below least (n,): most windows that fall short need not be scored to
    the end, since edges that lie in the window only lose weight. One function on purpose:
    handing over the arrays for each window would cost more than its score.
    """
    starts, places, owners = groups.line_starts, groups.places, groups.owners
    magnitudes, group_x, group_y = groups.magnitudes, groups.xs, groups.ys
    link_starts, links, affinities = groups.link_starts, groups.links, groups.affinities
    edge_sums, group_sums = groups.edge_sums, groups.group_sums
    image_rows = edge_sums.shape[0] - 1
    count = len(magnitudes)
    visit = np.full(count, -1, np.int64)  # the last window that met the group
    weight = np.empty(count, np.float32)  # of the best path from it to the window's border
    waiting = np.zeros(count, np.bool_)
    queue = np.empty(count, np.int32)
    scores = np.zeros(len(windows), np.float32)
    for i in range(len(windows)):
        x0, y0, x1, y1 = windows[i]
        half_x, half_y = (x1 - x0) // 2, (y1 - y0) // 2
        size = half_x + half_y
        norm = 1 / (size * math.sqrt(size)) if size > 0 else 0.0
        middle_x, middle_y = x0 + half_x // 2, y0 + half_y // 2
        total = _sum_between(group_sums, x0, y0, x1, y1)
        total -= _sum_between(edge_sums, middle_x, middle_y, middle_x + half_x, middle_y + half_y)
        enough = max(least[i] / norm, 1e-6) if norm > 0 else np.inf
        if total < enough:
            continue
        length = 0
        for side in range(4):  # groups with a pixel on the border count for nothing
            if side < 2:
                line, low, high = (y0 if side == 0 else y1), x0, x1
            else:
                line, low, high = image_rows + (x0 if side == 2 else x1), y0, y1
            for k in range(
                _first_at(places, starts[line], starts[line + 1], low), starts[line + 1]
            ):
                if places[k] > high:
                    break
                group = owners[k]
                if visit[group] == i:
                    continue
                visit[group], weight[group] = i, 1
                queue[length] = group
                length += 1
                if x0 <= group_x[group] <= x1 and y0 <= group_y[group] <= y1:
                    total -= magnitudes[group]
            if total < enough:
                break
        for k in range(length):
            waiting[queue[k]] = True
        head = 0
        while length > 0:  # nor, in part, do groups from which a path of links leads there
            group = queue[head]
            head = head + 1 if head + 1 < count else 0
            length -= 1
            waiting[group] = False
            if total < enough:
                continue  # only empties the queue
            for k in range(link_starts[group], link_starts[group + 1]):
                other, tied = links[k], weight[group] * affinities[k]
                before = weight[other] if visit[other] == i else np.float32(0)
                if tied < np.float32(LEAST_WEIGHT) or tied <= before:
                    continue
                if not (x0 <= group_x[other] <= x1 and y0 <= group_y[other] <= y1):
                    continue
                total -= (tied - before) * magnitudes[other]
                visit[other], weight[other] = i, tied
                if not waiting[other]:
                    waiting[other] = True
                    tail = head + length
                    queue[tail if tail < count else tail - count] = other
                    length += 1
        if total >= enough:
            scores[i] = total * norm
    return scores


@njit(cache=True, nogil=True)
def _sum_between(sums, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    return sums[y1 + 1, x1 + 1] - sums[y0, x1 + 1] - sums[y1 + 1, x0] + sums[y0, x0]


@njit(cache=True, nogil=True)
def _first_at(places, start, stop, low):  # type: ignore[no-untyped-def]
    """Return the first index in start to stop - 1 whose place is at least `low`, else stop."""
    while start < stop:
        half = (start + stop) // 2
        if places[half] < low:
            start = half + 1
        else:
            stop = half
    return start
