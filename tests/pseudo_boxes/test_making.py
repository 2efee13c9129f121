import numpy as np
import pytest

from socl_pipeline.boxes import centers
from socl_pipeline.pseudo_boxes.making import interpolated_boxes, tracked_boxes
from socl_pipeline.settings import InterpolatedBoxSettings

INTERPOLATE = {
    c: InterpolatedBoxSettings(kind="interpolate", centre=c) for c in ("linear", "click")
}


class Reader:
    """Returns the number of a frame for its image, or None for those that are lost."""

    def __init__(self, *lost):
        self.lost, self.asked = lost, []

    def __call__(self, i):
        self.asked.append(i)
        return None if i in self.lost else i


def test_forwards_up_to_the_next_box(still, drifting, track_settings):
    read = Reader()
    found = tracked_boxes(still(5), read, drifting(step=(3, 0), growth=1.1), track_settings())
    assert read.asked == [0, 1, 2, 3, 4]
    assert found.source == ["box"] + ["forward"] * 4
    np.testing.assert_allclose(centers(found.boxes)[:, 0], 50 + 3 * np.arange(5))


def test_backwards_to_what_precedes_the_first_box(still, drifting, track_settings):
    read = Reader()
    frames = still(6, box=2, end=False)
    found = tracked_boxes(frames, read, drifting(step=(3, 0)), track_settings())
    assert read.asked == [2, 3, 4, 5, 2, 1, 0]
    assert found.source == ["backward"] * 2 + ["box"] + ["forward"] * 3
    np.testing.assert_allclose(centers(found.boxes)[:, 0], [56, 53, 50, 53, 56, 59])


def test_both_ends_each_read_once(still, drifting, track_settings):
    read = Reader()
    tracker = drifting(step=(4, 0), growth=2.0)
    found = tracked_boxes(still(4), read, tracker, track_settings(ends="both"))
    assert read.asked == [0, 1, 2, 3, 4, 3, 2, 1]
    assert found.source == ["box"] + ["fused"] * 3
    # forwards 4, 8, 12 px, backwards 12, 8, 4 px; the weights are 3:1, 1:1, 1:3
    np.testing.assert_allclose(centers(found.boxes)[:, 0], [50, 56, 58, 56])
    np.testing.assert_allclose(found.boxes[:, 2], 20 * 2.0 ** np.array([0, 1.5, 2, 1.5]))


def test_both_ends_where_there_is_no_second_one(still, drifting, track_settings):
    read = Reader()
    found = tracked_boxes(still(3, end=False), read, drifting(), track_settings(ends="both"))
    assert read.asked == [0, 1, 2] and found.source == ["box", "forward", "forward"]


def test_frames_without_a_click_say_so(still, drifting, track_settings):
    frames = still(4)
    frames.clicks[[0, 2]] = np.nan
    found = tracked_boxes(frames, Reader(), drifting(), track_settings())
    assert found.source == ["box", "forward", "forward_unclicked", "forward"]
    found = interpolated_boxes(frames, INTERPOLATE["click"])
    assert found.source == ["box", "interpolated", "interpolated_unclicked", "interpolated"]


def test_a_failure_says_so(still, drifting, track_settings):
    found = tracked_boxes(still(4), Reader(), drifting(step=(15, 0)), track_settings())
    assert found.source == ["box", "forward", "click", "forward"]
    assert found.failed.tolist() == [False, False, True, False]


def test_frames_without_the_target_are_not_even_read(still, drifting, track_settings):
    frames = still(6, box=2, absent=np.array([1, 0, 0, 1, 0, 0], bool))
    read = Reader()
    found = tracked_boxes(frames, read, drifting(step=(4, 0)), track_settings(ends="both"))
    assert read.asked == [2, 4, 5, 6, 5, 4, 2, 1]
    assert found.source == ["absent", "backward", "box", "absent", "fused", "fused"]
    assert np.isnan(found.boxes[[0, 3]]).all()
    # 4 and 8 px forwards, 8 and 4 px backwards: half way, and three quarters of it
    np.testing.assert_allclose(centers(found.boxes)[[4, 5], 0], [56, 55])
    for centre in INTERPOLATE.values():
        assert np.isnan(interpolated_boxes(frames, centre).boxes[[0, 3]]).all()


def test_frames_that_cannot_be_read_say_so(still, drifting, track_settings):
    smooth = track_settings(smooth_scale=1.0)
    found = tracked_boxes(still(5), Reader(0, 3), drifting(growth=1.2), smooth)
    assert found.source == ["unreadable", "click", "forward", "unreadable", "forward"]
    assert np.isnan(found.boxes[[0, 3]]).all() and np.isfinite(found.boxes[[1, 2, 4]]).all()


def test_smoothing_keeps_the_centres_and_the_sparse_boxes(still, drifting, track_settings):
    frames = still(8, box=3)
    plain, smooth = (
        tracked_boxes(
            frames, Reader(), drifting((1, 2), 1.3), track_settings(smooth_scale=scale)
        ).boxes
        for scale in (0.0, 1.5)
    )
    np.testing.assert_allclose(centers(plain), centers(smooth))
    assert (smooth[3] == frames.start).all()
    assert (smooth[4:, 2] < plain[4:, 2]).all(), "drawn towards the box at the end"
    assert (smooth[:3] != plain[:3]).all()


@pytest.mark.parametrize("centre", ["linear", "click"])
def test_interpolation_is_linear_between_boxes_and_level_beyond(still, centre):
    end = np.array([80.0, 75, 40, 30])  # around (100, 90), four frames later
    frames = still(6, box=2, end=False, clicks=np.tile([7.0, 9.0], (6, 1)))
    level = interpolated_boxes(frames, INTERPOLATE[centre])
    assert (level.boxes[:, 2:] == frames.start[2:]).all()
    frames = still(6, box=2, clicks=frames.clicks)
    found = interpolated_boxes(
        type(frames)(2, frames.start, end, frames.clicks, frames.absent), INTERPOLATE[centre]
    )
    np.testing.assert_allclose(found.boxes[:, 2], [20, 20, 20, 25, 30, 35])
    np.testing.assert_allclose(found.boxes[:, 3], [10, 10, 10, 15, 20, 25])
    middle = [50, 50, 50, 62.5, 75, 87.5] if centre == "linear" else [7, 7, 50, 7, 7, 7]
    np.testing.assert_allclose(centers(found.boxes)[:, 0], middle)
    assert found.source == ["interpolated"] * 2 + ["box"] + ["interpolated"] * 3
    assert found.seconds == 0
