import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.boxes import iou
from socl_pipeline.top.suppression import non_maximum_suppression


def brute_force(boxes, scores, overlap):
    """Go through the boxes from the best to the worst; keep those that overlap no kept one."""
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(iou(boxes[i], boxes[j]) <= overlap for j in kept):
            kept.append(i)
    return kept


@given(st.integers(0, 10_000), st.integers(0, 40), st.floats(0.05, 1), st.integers(1, 50))
def test_brute_force(seed, n, overlap, top_k):
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.integers(0, 12, (n, 2)), rng.integers(0, 12, (n, 2))], axis=1)
    scores = rng.integers(0, 6, n) / 5  # many ties
    kept = non_maximum_suppression(boxes.astype(float), scores, overlap, top_k)
    assert kept.tolist() == brute_force(boxes, scores, overlap)[:top_k]


def test_equal_scores_keep_the_order_of_the_input():
    boxes = np.array([[20.0, 0, 4, 4], [0, 0, 4, 4], [10, 0, 4, 4]])
    assert non_maximum_suppression(boxes, np.ones(3), 0.5, 3).tolist() == [0, 1, 2]


def test_exactly_the_threshold_is_kept():
    boxes = np.array([[0.0, 0, 4, 4], [0, 0, 2, 4]])
    assert non_maximum_suppression(boxes, np.array([1.0, 0.5]), 0.5, 9).tolist() == [0, 1]
    assert non_maximum_suppression(boxes, np.array([1.0, 0.5]), 0.49, 9).tolist() == [0]


def test_the_limit_applies_after_suppression():
    boxes = np.array([[0.0, 0, 4, 4]] * 50 + [[50, 50, 4, 4]])
    scores = np.linspace(1, 0.1, 51)
    assert non_maximum_suppression(boxes, scores, 0.7, 2).tolist() == [0, 50]


def test_no_boxes():
    kept = non_maximum_suppression(np.zeros((0, 4)), np.zeros(0), 0.7, 5)
    assert kept.shape == (0,) and kept.dtype == np.int64
