import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.box_siam.pseudo_boxes import level_set_boxes
from socl_pipeline.top import evaluation

SIZE = 24

whole_boxes = st.tuples(*[st.integers(-4, SIZE)] * 2, *[st.integers(1, SIZE + 4)] * 2)
some_boxes = st.lists(whole_boxes, min_size=1, max_size=8)
thresholds = st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.9, 1.0])


def scored(boxes, scores):
    return torch.tensor([boxes], dtype=torch.float32), torch.tensor([scores], dtype=torch.float32)


def by_pixels(boxes, scores, threshold):
    """The box of the pixels that reach the threshold; boxes lie on whole pixels."""
    score = np.zeros((SIZE, SIZE))
    for (x, y, w, h), value in zip(boxes, scores, strict=True):
        score[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] += value
    if score.max() == 0:
        return [0, 0, 0, 0]
    rows, columns = np.nonzero(score >= threshold * score.max() - 1e-6)
    low, high = (columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)
    return [*low, high[0] - low[0], high[1] - low[1]]


class TestLevelSetBoxes:
    @given(some_boxes, st.integers(0, 1000), thresholds)
    def test_equals_a_raster(self, boxes, seed, threshold):
        scores = np.random.default_rng(seed).integers(0, 5, len(boxes)) / 4
        found = level_set_boxes(*scored(boxes, scores.tolist()), threshold, SIZE)
        assert found.tolist() == [by_pixels(boxes, scores, threshold)]

    @given(st.integers(0, 1000), thresholds)
    def test_equals_the_level_sets_of_the_evaluation(self, seed, threshold):
        rng = np.random.default_rng(seed)
        low = rng.uniform(0, 200, (3, 64, 2))
        boxes = np.concatenate([low, rng.uniform(5, 120, (3, 64, 2))], axis=-1).astype(np.float32)
        scores = rng.uniform(0.01, 1, (3, 64)).astype(np.float32)
        found = level_set_boxes(torch.from_numpy(boxes), torch.from_numpy(scores), threshold, 256)
        expected = [
            evaluation.level_set_boxes(b, s, 256, 256, [threshold])[0]
            for b, s in zip(boxes, scores, strict=True)
        ]
        np.testing.assert_allclose(found, expected, atol=1e-3)

    @given(
        st.tuples(*[st.floats(0, 150, width=32)] * 2, *[st.floats(0.5, 150, width=32)] * 2),
        st.floats(0.0625, 3, width=32),
        thresholds,
        st.integers(0, 3),
    )
    def test_a_single_box_comes_back(self, box, score, threshold, padding):
        nothing = [(0.0, 0.0, 0.0, 0.0)] * padding
        given_boxes = scored([box, *nothing], [score] + [0.0] * padding)
        found = level_set_boxes(*given_boxes, threshold, 320)
        np.testing.assert_allclose(found[0], box, atol=1e-4)

    def test_ends_at_the_patch(self):
        found = level_set_boxes(*scored([(-5.0, 10.0, 20.0, 300.0)], [1.0]), 0.5, 100)
        assert found.tolist() == [[0, 10, 15, 90]]

    def test_higher_thresholds_enclose_less(self):
        boxes = scored([(0.0, 0.0, 80.0, 80.0), (20.0, 30.0, 40.0, 40.0)], [1.0, 0.5])
        assert level_set_boxes(*boxes, 0.6, 100).tolist() == [[0, 0, 80, 80]]
        assert level_set_boxes(*boxes, 0.7, 100).tolist() == [[20, 30, 40, 40]]

    def test_boxes_that_touch_do_not_overlap(self):
        first = np.array([10.3, 10, 40.4, 40], np.float32)
        overlap = np.nextafter(first[0] + first[2], np.float32(0))
        second = [float(overlap), 10.0, 30.0, 40.0]
        found = level_set_boxes(*scored([first.tolist(), second], [1.0, 0.9]), 1.0, 100)
        np.testing.assert_allclose(found[0], first, atol=1e-3)

    @pytest.mark.parametrize("box", [(0.0, 0.0, 0.0, 0.0), (200.0, 10.0, 20.0, 20.0)])
    def test_nothing_in_the_patch(self, box):
        assert level_set_boxes(*scored([box], [1.0]), 0.5, 100).tolist() == [[0, 0, 0, 0]]

    def test_sums_keep_their_precision_under_autocast(self):
        boxes = scored([(0.0, 0.0, 50.0, 50.0), (0.0, 0.0, 20.0, 20.0)], [1.0, 0.001])
        with torch.autocast("cpu", torch.bfloat16):
            assert level_set_boxes(*boxes, 1.0, 100).tolist() == [[0, 0, 20, 20]]

    def test_shapes_that_do_not_fit(self):
        with pytest.raises(ValueError, match="do not fit"):
            level_set_boxes(torch.zeros(2, 3, 4), torch.zeros(2, 4), 0.5, 100)
