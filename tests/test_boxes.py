import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from socl_pipeline.boxes import centered_boxes, centers, clip_boxes, iou, pairwise_iou

NUMBER = st.floats(-200, 200, width=32)
SIDE = st.floats(0.125, 200, width=32)
BOX = st.tuples(NUMBER, NUMBER, SIDE, SIDE).map(lambda b: np.array(b, np.float64))
GRID_BOX = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 8)] * 2).map(np.array)


def pixels(box):
    x, y, w, h = box
    return {(i, j) for i in range(x, x + w) for j in range(y, y + h)}


@given(GRID_BOX, GRID_BOX)
def test_iou_counts_pixels(a, b):
    both, either = len(pixels(a) & pixels(b)), len(pixels(a) | pixels(b))
    assert iou(a, b) == pytest.approx(both / either, abs=1e-12)


@given(BOX, BOX)
def test_iou_is_symmetric_and_bounded(a, b):
    value = iou(a, b)
    assert 0 <= value <= 1
    assert value == iou(b, a)
    assert iou(a, a) == pytest.approx(1)


@given(BOX, BOX, st.floats(0.125, 8), NUMBER)
def test_iou_ignores_scale_and_shift(a, b, scale, shift):
    moved = [np.concatenate([box[:2] * scale + shift, box[2:] * scale]) for box in (a, b)]
    assert iou(*moved) == pytest.approx(iou(a, b), abs=1e-6)


@pytest.mark.parametrize("empty", [[0, 0, 0, 5], [0, 0, 5, 0], [2, 2, -1, 3], [0, 0, 0, 0]])
def test_boxes_without_area_overlap_nothing(empty):
    assert iou(empty, [0, 0, 5, 5]) == 0
    assert iou(empty, empty) == 0


def test_nan_stays_nan():
    values = iou([[0, 0, 2, 2], [np.nan] * 4], [0, 0, 2, 2])
    assert values[0] == 1 and np.isnan(values[1])


def test_pairwise_is_every_pair():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 9, (5, 4)), rng.uniform(0, 9, (3, 4))
    expected = [[float(iou(x, y)) for y in b] for x in a]
    np.testing.assert_array_equal(pairwise_iou(a, b), expected)
    assert pairwise_iou(np.zeros((0, 4)), b).shape == (0, 3)


@given(arrays(np.float64, (4, 2), elements=NUMBER), arrays(np.float64, (4, 2), elements=SIDE))
def test_centres_of_centred_boxes(points, sizes):
    boxes = centered_boxes(points, sizes)
    np.testing.assert_allclose(centers(boxes), points, atol=1e-9)
    np.testing.assert_array_equal(boxes[:, 2:], sizes)


def test_centred_boxes_broadcast_one_point():
    expected = [[3, 3, 4, 4], [4, 0, 2, 10]]
    np.testing.assert_array_equal(centered_boxes([5, 5], [[4, 4], [2, 10]]), expected)


@given(GRID_BOX, st.integers(1, 15), st.integers(1, 15))
def test_clipped_box_keeps_the_pixels_in_the_frame(box, width, height):
    before = box.copy()
    x, y, w, h = clip_boxes(box, width, height)
    inside = {(i, j) for i, j in pixels(box) if i < width and j < height}
    assert w * h == len(inside)
    assert 0 <= x <= x + w <= width and 0 <= y <= y + h <= height
    np.testing.assert_array_equal(box, before)


def test_clipping_at_the_left_and_top():
    np.testing.assert_array_equal(clip_boxes([-3, -2, 5, 5], 10, 10), [0, 0, 2, 3])
    assert clip_boxes([-9, 0, 5, 5], 10, 10)[2] == 0
