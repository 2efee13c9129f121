import numpy as np
import pytest

from socl_pipeline.boxes import centers
from socl_pipeline.pseudo_boxes.follow import follow, has_failed

START = np.array([40.0, 35, 20, 10])  # around (50, 40)
HERE = np.tile([50.0, 40.0], (6, 1))
FRAMES = list("abcdef")


def test_without_failure_the_boxes_are_the_trackers(drifting, track_settings):
    tracker = drifting(step=(2, 0), growth=1.1, confidence=0.5)
    track = follow(tracker, FRAMES, START, HERE, track_settings())
    assert not track.failed.any()
    np.testing.assert_allclose(centers(track.boxes), HERE + np.arange(6)[:, None] * (2, 0))
    np.testing.assert_allclose(track.boxes[:, 2], 20 * 1.1 ** np.arange(6))
    assert np.isnan(track.confidence[0]) and (track.confidence[1:] == 0.5).all()
    assert [what for what, _ in tracker.log] == ["init"] + ["update"] * 5
    assert [frame for _, frame in tracker.log] == FRAMES
    assert track.seconds > 0


def test_a_tracker_that_is_too_far_off_is_moved_to_the_click(drifting, track_settings):
    tracker = drifting(step=(9, 0), growth=0.9)
    track = follow(tracker, FRAMES, START, HERE, track_settings())
    # 9 and 18 px are near enough, 27 are not; then it starts from the click again
    assert track.failed.tolist() == [False, False, False, True, False, False]
    np.testing.assert_allclose(centers(track.boxes)[:, 0], [50, 59, 68, 50, 59, 68])
    np.testing.assert_allclose(track.boxes[:, 2], 20 * 0.9 ** np.arange(6))
    assert [place for what, place in tracker.log if what == "correct"] == [(50, 40)]


@pytest.mark.parametrize(("distance", "failed"), [(5.0, False), (5.1, True)])
def test_the_limit_itself_is_no_failure(distance, failed):
    box = np.array([3.0 - 10, 4 - 5, 20, 10])  # its centre is 5 px off
    assert not has_failed(box, np.zeros(2), 5.0)
    assert has_failed(np.array([distance - 10, -5.0, 20, 10]), np.zeros(2), 5.0) is failed


def test_frames_without_a_click_are_not_corrected(drifting, track_settings):
    clicks = HERE.copy()
    clicks[1:5] = np.nan
    tracker = drifting(step=(9, 0))
    track = follow(tracker, FRAMES, START, clicks, track_settings())
    np.testing.assert_allclose(centers(track.boxes)[:, 0], [50, 59, 68, 77, 86, 50])
    assert track.failed.tolist() == [False] * 5 + [True]


def test_the_search_may_start_at_the_click(drifting, track_settings):
    tracker = drifting(step=(9, 0))
    clicks = HERE + np.arange(6)[:, None] * (30, 0)
    clicks[2] = np.nan
    track = follow(tracker, FRAMES, START, clicks, track_settings(prior="click"))
    assert not track.failed.any()
    np.testing.assert_allclose(centers(track.boxes)[:, 0], [50, 89, 98, 149, 179, 209])
    assert [what for what, _ in tracker.log[:6]] == [
        "init",
        "move",
        "update",
        "update",
        "move",
        "update",
    ]


def test_a_box_may_have_the_clicks_centre_though_the_tracker_goes_on(drifting, track_settings):
    tracker = drifting(step=(9, 0), growth=1.1)
    track = follow(tracker, FRAMES, START, HERE, track_settings(centre="click"))
    np.testing.assert_allclose(centers(track.boxes), HERE)
    np.testing.assert_allclose(track.boxes[:, 2], 20 * 1.1 ** np.arange(6))
    assert track.failed.tolist() == [False, False, False, True, False, False]


def test_frames_that_cannot_be_read_have_no_box(drifting, track_settings):
    frames = [None, "b", None, "d", "e", "f"]
    clicks = HERE + np.arange(6)[:, None] * (30, 0)
    tracker = drifting()
    track = follow(tracker, frames, START, clicks, track_settings(failure_distance=200))
    assert np.isnan(track.boxes[[0, 2]]).all() and not np.isnan(track.boxes[[1, 3]]).any()
    assert tracker.log[0] == ("init", "b")
    np.testing.assert_allclose(centers(track.boxes)[1], clicks[1])
    assert track.failed.tolist() == [False, True, False, False, False, False]
    nothing = follow(drifting(), [None] * 6, START, clicks, track_settings())
    assert np.isnan(nothing.boxes).all() and not nothing.failed.any()
