"""Groups of edge pixels that run in one direction, and how well groups continue each other.

The first half of EdgeBoxes (Zitnick and Dollar, ECCV 2014, section 3.1). Order of scanning and
float32 sums follow OpenCV's implementation, because ties decide which pixels go together; the
scores then agree with its own to rounding.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.top.edgeboxes.edges import EdgeMap

Float = NDArray[np.float32]
Int = NDArray[np.int32]

MERGE_LIMIT = 0.5  # turn of a group, over pi: edgeMergeThr of OpenCV's EdgeBoxes
WEAK_GROUP = 0.5  # summed strength up to which a group dissolves: clusterMinMag
GAMMA = 2.0  # exponent of the affinity
REACH = 2  # px between pixels of groups that may continue each other
LEAST_WEIGHT = 0.05  # of a path; a weaker affinity is in none

NO_EDGE = -1
FREE = 0


class EdgeGroups(NamedTuple):
    """The groups of an image's edge pixels, numbered from 0, laid out for scoring windows.

    line_starts (H + W + 1,), places, owners (2n,): the grouped pixels of each row, then of each
        column, as positions in that line, ascending, and the group of each.
    magnitudes, xs, ys (g,): a group's summed strength, and the pixel that stands for it.
    link_starts (g + 1,), links, affinities (l,): the groups that continue a group, and how well.
    edge_sums (H + 1, W + 1): integral of the strength of edge pixels, grouped or not.
    group_sums (H + 1, W + 1): integral of the magnitudes at the pixels that stand for groups.
    """

    line_starts: Int
    places: Int
    owners: Int
    magnitudes: Float
    xs: Int
    ys: Int
    link_starts: Int
    links: Int
    affinities: Float
    edge_sums: NDArray[np.float64]
    group_sums: NDArray[np.float64]


def group_edges(edges: EdgeMap) -> EdgeGroups:
    """Return the groups of thinned edges."""
    height, width = edges.strength.shape
    strengths, angles = edges.strength.ravel(), edges.angle.ravel()
    pixels = _edge_pixels(edges.strength)
    labels = np.full(height * width, NO_EDGE, np.int32)
    labels[pixels] = FREE
    count = _chain(pixels, angles, labels, width)
    _dissolve_weak(pixels, strengths, angles, labels, count, width)
    pixels, groups, count = _renumber(pixels, labels, count)
    xs, ys = _coordinates(pixels, width)
    magnitudes, stand_in, *means = _moments(pixels, xs, ys, groups, count, strengths, angles)
    pairs, values = _pair(pixels, xs, ys, _sorted_by(groups, count), labels, height, width, *means)
    link_starts, order = _sorted_by(pairs.ravel(), count)
    row_starts, by_row = _sorted_by(ys, height)
    column_starts, _ = _sorted_by(xs, width)
    standing = np.zeros_like(strengths)
    standing[pixels[stand_in]] = magnitudes
    return EdgeGroups(
        line_starts=np.concatenate([row_starts, column_starts[1:] + row_starts[-1]]),
        places=np.concatenate([xs[by_row], ys]),
        owners=np.concatenate([groups[by_row], groups]),
        magnitudes=magnitudes,
        xs=xs[stand_in],
        ys=ys[stand_in],
        link_starts=link_starts,
        links=pairs[::-1].ravel()[order],
        affinities=np.concatenate([values, values])[order],
        edge_sums=cv2.integral(edges.strength, sdepth=cv2.CV_64F),
        group_sums=cv2.integral(standing.reshape(height, width), sdepth=cv2.CV_64F),
    )


@njit(cache=True, nogil=True)
def _edge_pixels(strength):  # type: ignore[no-untyped-def]
    """Return the flat indices (n,) of the edge pixels inside the border, column by column."""
    height, width = strength.shape
    pixels, columns = np.empty(height * width + 1, np.int32), np.empty(height * width + 1, np.int32)
    count = 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):  # without a branch: one write too many, then overwritten
            pixels[count], columns[count] = y * width + x, x
            count += strength[y, x] > 0
    _, order = _sorted_by(columns[:count], width)
    for i in range(count):
        order[i] = pixels[order[i]]
    return order


@njit(cache=True, nogil=True)
def _coordinates(pixels, width):  # type: ignore[no-untyped-def]
    """Return x and y (n,) of flat indices (n,)."""
    xs, ys = np.empty_like(pixels), np.empty_like(pixels)
    for i in range(len(pixels)):
        pixel = np.uint32(pixels[i])  # unsigned division is several times faster
        ys[i] = pixel // np.uint32(width)
        xs[i] = pixel - np.uint32(ys[i]) * np.uint32(width)
    return xs, ys


@njit(cache=True, nogil=True)
def _neighbours(width):  # type: ignore[no-untyped-def]
    """Return the steps to a pixel's eight neighbours; the first of equally good ones is taken."""
    return (-1 - width, -1, -1 + width, -width, width, 1 - width, 1, 1 + width)


@njit(cache=True, nogil=True)
def _turn(a, b):  # type: ignore[no-untyped-def]
    """Return the angle between two undirected lines, over pi: 0 to 0.5."""
    part = abs(a - b) / np.float32(np.pi)
    return np.float32(1) - part if part > np.float32(0.5) else part


@njit(cache=True, nogil=True)
def _chain(pixels, angles, labels, width):  # type: ignore[no-untyped-def]
    """Label the pixels of each group with 1, 2, ...; returns the number of groups.

    From a free pixel the group grows by the neighbour, of any of its pixels, that turns least
    against the pixel beside it, until the turns sum up to the limit. A pixel that waits to join
    group g carries -1 - g, which counts as free for the groups after it.
    """
    waiting, turns = np.empty(len(pixels), np.int32), np.empty(len(pixels), np.float32)
    limit, joined = np.float32(MERGE_LIMIT), np.float32(2)
    group = 0
    for pixel in pixels:
        if labels[pixel] > 0:
            continue
        group += 1
        mark = NO_EDGE - group
        count, total = 0, np.float32(0)
        while True:
            labels[pixel] = group
            for step in _neighbours(width):
                beside = pixel + step
                label = labels[beside]
                if label > 0 or label in (NO_EDGE, mark):
                    continue
                labels[beside] = mark
                waiting[count] = beside
                turns[count] = _turn(angles[beside], angles[pixel])
                count += 1
            least, chosen = joined, 0
            for k in range(count):
                if turns[k] < least:
                    least, chosen = turns[k], k
            total += least
            if total >= limit:
                break
            turns[chosen] = joined
            pixel = waiting[chosen]
    return group


@njit(cache=True, nogil=True)
def _dissolve_weak(pixels, strengths, angles, labels, count, width):  # type: ignore[no-untyped-def]
    """Give the pixels of weak groups to the neighbouring group that turns least against them."""
    magnitudes = np.zeros(count + 1, np.float32)
    for pixel in pixels:
        magnitudes[labels[pixel]] += strengths[pixel]
    free = np.empty(len(pixels), np.int32)
    left = 0
    for pixel in pixels:
        if magnitudes[labels[pixel]] <= np.float32(WEAK_GROUP):
            labels[pixel] = FREE
            free[left] = pixel
            left += 1
    before = left + 1
    while left < before:  # a pixel may be joined only after one beside it has been
        before, left = left, 0
        for pixel in free[:before]:
            least, best = np.float32(2), FREE
            for step in _neighbours(width):
                label = labels[pixel + step]
                if label > 0:
                    turn = _turn(angles[pixel + step], angles[pixel])
                    if turn < least:
                        least, best = turn, label
            labels[pixel] = best
            if best == FREE:
                free[left] = pixel
                left += 1


@njit(cache=True, nogil=True)
def _renumber(pixels, labels, count):  # type: ignore[no-untyped-def]
    """Return the grouped pixels and their groups (m,), and the number of groups.

    Groups are numbered from 0 without gaps; `labels` becomes the same, with NO_EDGE elsewhere.
    """
    number = np.full(count + 1, NO_EDGE, np.int32)
    for pixel in pixels:
        number[labels[pixel]] = 0
    number[FREE] = NO_EDGE
    total = 0
    for group in range(1, count + 1):
        if number[group] != NO_EDGE:
            number[group] = total
            total += 1
    kept, groups = np.empty_like(pixels), np.empty_like(pixels)
    left = 0
    for pixel in pixels:
        group = number[labels[pixel]]
        labels[pixel] = group
        if group != NO_EDGE:
            kept[left], groups[left] = pixel, group
            left += 1
    return kept[:left], groups[:left], total


@njit(cache=True, nogil=True)
def _moments(pixels, xs, ys, groups, count, strengths, angles):  # type: ignore[no-untyped-def]
    """Return what describes each group (g,), weighted by strength where it is a mean.

    Summed strength, the index of the pixel that stands for it (its last), mean x and y, cosine
    and sine of its mean direction.
    """
    magnitudes, stand_in = np.zeros(count, np.float32), np.zeros(count, np.int32)
    middle_x, middle_y = np.zeros(count, np.float32), np.zeros(count, np.float32)
    cos, sin = np.zeros(count, np.float32), np.zeros(count, np.float32)
    for i in range(len(pixels)):
        group, weight = groups[i], strengths[pixels[i]]
        double = np.float32(2) * angles[pixels[i]]
        magnitudes[group] += weight
        stand_in[group] = i
        middle_x[group] += weight * np.float32(xs[i])
        middle_y[group] += weight * np.float32(ys[i])
        cos[group] += weight * np.float32(math.cos(double))
        sin[group] += weight * np.float32(math.sin(double))
    for group in range(count):
        middle_x[group] /= magnitudes[group]
        middle_y[group] /= magnitudes[group]
        mean = math.atan2(sin[group], cos[group]) / np.float32(2)
        cos[group], sin[group] = math.cos(mean), math.sin(mean)
    return magnitudes, stand_in, middle_x, middle_y, cos, sin


@njit(cache=True, nogil=True)
def _pair(pixels, xs, ys, by_group, labels, height, width, middle_x, middle_y, cos, sin):  # type: ignore[no-untyped-def]
    """Return the pairs of groups (2, l) that are near each other, and their affinities (l,).

    by_group: where the pixels of each group start, and their order by group.
    """
    starts, order = by_group
    count = len(starts) - 1
    most = ((2 * REACH + 1) ** 2 // 2) * len(pixels)  # a pair for each two pixels within reach
    pairs, affinities = np.empty((2, most), np.int32), np.empty(most, np.float32)
    seen = np.zeros(count, np.int32)
    total = 0
    for group in range(count):
        for i in order[starts[group] : starts[group + 1]]:
            if not (REACH <= xs[i] < width - REACH and REACH <= ys[i] < height - REACH):
                continue
            for row in range(-REACH, REACH + 1):
                middle = pixels[i] + row * width
                for beside in range(middle - REACH, middle + REACH + 1):
                    other = labels[beside]
                    if other <= group or seen[other] == group + 1:
                        continue
                    seen[other] = group + 1
                    affinity = _affinity(
                        middle_x[group] - middle_x[other],
                        middle_y[group] - middle_y[other],
                        cos[group],
                        sin[group],
                        cos[other],
                        sin[other],
                    )
                    if affinity < np.float32(LEAST_WEIGHT):
                        continue
                    pairs[0, total], pairs[1, total] = group, other
                    affinities[total] = affinity
                    total += 1
    return pairs[:, :total].copy(), affinities[:total]


@njit(cache=True, nogil=True)
def _affinity(dx, dy, cos_a, sin_a, cos_b, sin_b):  # type: ignore[no-untyped-def]
    """Return how well two groups lie on one curve: |cos cos| ** GAMMA of the angles between.

    dx, dy: from the middle of one to that of the other. cos, sin: of the normals. The angle is
    that of a normal to the line between the middles.
    """
    length = math.sqrt(dx * dx + dy * dy)
    if length == 0:
        return np.float32(abs(sin_a * sin_b)) ** np.float32(GAMMA)
    across_a = (sin_a * dx - cos_a * dy) / length
    across_b = (sin_b * dx - cos_b * dy) / length
    return np.float32(abs(across_a * across_b)) ** np.float32(GAMMA)


@njit(cache=True, nogil=True)
def _sorted_by(keys, count):  # type: ignore[no-untyped-def]
    """Return where each of `count` keys starts (count + 1,) in the stable order (n,) by key."""
    starts = np.zeros(count + 1, np.int32)
    for key in keys:
        starts[key + 1] += 1
    for key in range(count):
        starts[key + 1] += starts[key]
    free = starts[:count].copy()
    order = np.empty(len(keys), np.int32)
    for i in range(len(keys)):
        order[free[keys[i]]] = i
        free[keys[i]] += 1
    return starts, order
