import numpy as np
import pytest

from socl_pipeline.boxes import centered_boxes, centers
from socl_pipeline.pseudo_boxes.follow import Track
from socl_pipeline.pseudo_boxes.fusion import fused

TIMES = np.arange(1, 4)


def track(x, size, confidence=np.nan, failed=False):
    boxes = centered_boxes(np.full((3, 2), float(x)), np.full((3, 2), float(size)))
    return Track(boxes, np.full(3, float(confidence)), np.full(3, failed), 1.0)


def test_weights_fall_linearly_with_the_distance_from_a_tracks_own_box():
    both = fused(track(0, 8), track(8, 8), TIMES, 4)
    np.testing.assert_allclose(centers(both.boxes)[:, 0], [2, 4, 6])
    np.testing.assert_allclose(both.boxes[:, 2:], 8)
    assert np.isnan(both.confidence).all() and both.seconds == 2


def test_sizes_have_a_geometric_mean():
    both = fused(track(0, 4), track(0, 64), TIMES, 4)
    np.testing.assert_allclose(both.boxes[:, 2], [8, 16, 32])


def test_confidence_counts_where_both_are_known():
    both = fused(track(0, 8, 0.9), track(10, 8, 0.3), TIMES, 4)
    # weights 3 x 0.9 to 1 x 0.3, ...
    np.testing.assert_allclose(centers(both.boxes)[:, 0], [1, 2.5, 5])
    np.testing.assert_allclose(both.confidence, [0.84, 0.75, 0.6])
    one = fused(track(0, 8, 0.9), track(8, 8), TIMES, 4)
    np.testing.assert_allclose(centers(one.boxes)[:, 0], [2, 4, 6])


def test_no_confidence_at_all_leaves_a_mean():
    both = fused(track(0, 8, 0.0), track(8, 8, -0.4), TIMES, 4)
    np.testing.assert_allclose(centers(both.boxes)[:, 0], [2, 4, 6])


@pytest.mark.parametrize("lost", [0, 1])
def test_a_frame_that_one_track_lacks_is_the_others(lost):
    tracks = [track(0, 8), track(8, 16)]
    tracks[lost].boxes[1] = np.nan
    both = fused(*tracks, TIMES, 4)
    np.testing.assert_allclose(both.boxes[1], tracks[1 - lost].boxes[1], atol=1e-9)
    tracks[1 - lost].boxes[1] = np.nan
    assert np.isnan(fused(*tracks, TIMES, 4).boxes[1]).all()


def test_a_frame_failed_if_either_track_did():
    assert fused(track(0, 8, failed=True), track(0, 8), TIMES, 4).failed.all()
    assert fused(track(0, 8), track(0, 8, failed=True), TIMES, 4).failed.all()
    assert not fused(track(0, 8), track(0, 8), TIMES, 4).failed.any()
