import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socl_pipeline.boxes import centered_boxes, clip_boxes, iou
from socl_pipeline.top.evaluation import (
    LEVELS,
    area_precision,
    best_level,
    best_square,
    level_set_boxes,
    square_precision,
    weighted_center,
)
from socl_pipeline.top.maps import score_map

NESTED = np.array([[10.0, 10, 80, 60], [30, 20, 40, 30]])


def test_nested_boxes_give_one_box_for_each_level():
    found = level_set_boxes(NESTED, np.array([1.0, 3.0]), 100, 80, [0.2, 0.25, 0.5, 1.0])
    np.testing.assert_array_equal(found, NESTED[[0, 0, 1, 1]])


def test_level_set_of_two_targets_spans_both():
    boxes = np.array([[0.0, 0, 10, 10], [80, 60, 10, 10]])
    (found,) = level_set_boxes(boxes, np.ones(2), 100, 80, [1.0])
    np.testing.assert_array_equal(found, [0, 0, 90, 70])


def test_level_set_ends_at_the_frame():
    (found,) = level_set_boxes(np.array([[-5.0, 70, 50, 50]]), np.ones(1), 100, 80, [0.5])
    np.testing.assert_array_equal(found, [0, 70, 45, 10])


def test_level_sets_agree_with_the_score_map_on_a_fine_grid():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 60, (30, 2))
    boxes = np.concatenate([low, rng.integers(5, 40, (30, 2))], axis=1).astype(float)
    scores = rng.uniform(0.1, 1, 30)
    score = score_map(boxes, scores, np.array([0, 0, 100.0, 100]), 100, 100)
    for level, (x, y, w, h) in zip(LEVELS, level_set_boxes(boxes, scores, 100, 100), strict=True):
        rows, columns = np.nonzero(score >= level * score.max() * (1 - 1e-9))
        assert (x, y) == (columns.min(), rows.min())
        assert (x + w, y + h) == (columns.max() + 1, rows.max() + 1)


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        (np.zeros((0, 4)), np.zeros(0)),
        (np.array([[200.0, 0, 10, 10]]), np.ones(1)),
        (NESTED, np.zeros(2)),
        (NESTED, np.ones(3)),
    ],
)
def test_without_a_level_set_there_is_an_error(boxes, scores):
    with pytest.raises(ValueError, match=r"level set|do not fit"):
        level_set_boxes(boxes, scores, 100, 80)


def test_best_level_is_the_best_on_average():
    assert best_level(np.array([[0.9, 0.5, 0.1], [0.0, 0.6, 0.3]])) == (1, 0.55)
    with pytest.raises(ValueError, match="overlaps"):
        best_level(np.zeros((0, 3)))


def test_targets_of_one_size_are_fitted_in_pixels():
    points = np.array([[50.0, 50], [500, 300]])
    truth = np.concatenate([points - 20, np.full((2, 2), 40.0)], axis=1)
    found = best_square(points, np.array([[100, 100], [1000, 800]]), truth)
    assert found.unit == "px"
    assert found.side == pytest.approx(40, rel=0.05)
    assert found.mean_iou > 0.9


def test_targets_that_grow_with_the_frame_are_fitted_by_share():
    sizes = np.array([[100, 100], [1000, 1000], [400, 100]])
    points = sizes / 2
    sides = 0.3 * np.sqrt(sizes.prod(axis=1))[:, None].repeat(2, axis=1)
    truth = np.concatenate([points - sides / 2, sides], axis=1)
    found = best_square(points, sizes, truth)
    assert found.unit == "share"
    assert found.side == pytest.approx(0.3, rel=0.05)
    squares = np.sqrt(sizes.prod(axis=1))[:, None].repeat(2, axis=1) * found.side
    expected = iou(np.concatenate([points - squares / 2, squares], axis=1), truth)
    np.testing.assert_allclose(found.ious, expected)


def test_square_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="do not fit"):
        best_square(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 4)))


def test_area_precision_of_the_true_box_is_one_whatever_its_score():
    truth = np.array([10.0, 20, 30, 40])
    boxes = np.stack([truth, [0, 0, 100, 100]])
    assert area_precision(boxes, np.array([0.3, 0.1]), truth, 100, 100) == pytest.approx(1)
    assert area_precision(boxes[1:], np.array([0.1]), truth, 100, 100) == pytest.approx(0.12)


def test_area_precision_of_a_shifted_box_is_what_they_share():
    truth = np.array([10.0, 20, 30, 40])
    shifted = truth + np.array([15, 0, 0, 0])
    assert area_precision(shifted[None], np.ones(1), truth, 100, 100) == pytest.approx(0.5)


@given(st.integers(0, 2**32 - 1))
def test_area_precision_agrees_with_counting_pixels(seed):
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.integers(0, 20, (5, 2)), rng.integers(1, 20, (5, 2))], 1) * 1.0
    scores, truth = rng.uniform(0.1, 1, 5), np.array([8.0, 9, 12, 7])
    score = np.zeros((40, 40))
    for (x, y, w, h), s in zip(boxes.astype(int), scores, strict=True):
        score[y : y + h, x : x + w] += s
    inside = np.zeros((40, 40))
    inside[9:16, 8:20] = 1
    expected, left = 0.0, inside.sum()
    for value in np.unique(score.round(9))[::-1]:
        plateau = score.round(9) == value
        taken = min(left, plateau.sum())
        expected += taken * inside[plateau].mean()
        left -= taken
    found = area_precision(boxes, scores, truth, 40, 40)
    assert found == pytest.approx(expected / inside.sum(), abs=1e-6)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_square_precision_is_the_area_precision_of_nested_squares(seed):
    rng = np.random.default_rng(seed)
    size, point = np.array([100, 60]), rng.uniform([0, 0], [100, 60])
    truth = np.concatenate([point - rng.uniform(0, 30, 2), rng.uniform(10, 50, 2)])
    sides = np.geomspace(5, 220, 150)[:, None].repeat(2, axis=1)
    squares = clip_boxes(centered_boxes(point, sides), *size)
    expected = area_precision(squares, np.ones(150), truth, *size)
    (found,) = square_precision(point[None], size[None], truth[None])
    assert found == pytest.approx(expected, abs=0.03)


def test_square_precision_of_simple_boxes():
    points, sizes = np.full((4, 2), 50.0), np.full((4, 2), 100)
    truth = np.array([[40.0, 40, 20, 20], [50, 40, 20, 20], [30, 45, 40, 10], [80, 80, 10, 10]])
    found = square_precision(points, sizes, truth)
    np.testing.assert_allclose(found, [1, 0.5, 0.5, 0], atol=1e-6)


def test_a_square_at_the_corner_of_the_frame_grows_into_it():
    truth = np.array([[0.0, 0, 20, 20]])
    np.testing.assert_allclose(square_precision([[0, 0]], [[100, 100]], truth), 1, atol=1e-6)


def test_weighted_center_leans_to_the_better_box():
    boxes = np.array([[0.0, 0, 10, 10], [20, 0, 10, 10]])
    np.testing.assert_allclose(weighted_center(boxes, np.array([3.0, 1])), [10, 5])
