import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.trackers.opencv import OpenCVName, OpenCVTracker
from socl_pipeline.trackers.run import run_sequence

Image = NDArray[np.uint8]
NAMES: list[OpenCVName] = ["csrt", "kcf"]


def sequence(frames: int) -> tuple[list[Image], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    background = cv2.GaussianBlur(rng.integers(0, 256, (120, 160, 3), np.uint8), (0, 0), 3)
    patch = cv2.GaussianBlur(rng.integers(0, 256, (30, 24, 3), np.uint8), (0, 0), 1)
    images, boxes = [], []
    for t in range(frames):
        image = background.copy()
        image[40 + t : 70 + t, 30 + 2 * t : 54 + 2 * t] = patch
        images.append(image)
        boxes.append((30 + 2 * t, 40 + t, 24, 30))
    return images, np.array(boxes, dtype=float)


@pytest.mark.parametrize("name", NAMES)
def test_follows_and_repeats(name: OpenCVName) -> None:
    images, truth = sequence(4)
    tracker = OpenCVTracker(name)
    boxes, _ = run_sequence(tracker, images, truth[0])
    assert boxes.dtype == np.float64
    assert np.abs(boxes - truth).max() <= 4
    again, _ = run_sequence(tracker, images, truth[0])
    assert np.array_equal(boxes, again)


def test_failure_keeps_the_last_box() -> None:
    images, truth = sequence(3)
    tracker = OpenCVTracker("kcf")
    boxes, _ = run_sequence(tracker, [*images, np.zeros_like(images[0])], truth[0])
    assert np.array_equal(boxes[3], boxes[2])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("box", [(-8.6, 100.2, 30.4, 40), (140, -5, 40.7, 30)])
def test_boxes_over_the_border_are_accepted(
    name: OpenCVName, box: tuple[float, float, float, float]
) -> None:
    images, _ = sequence(2)
    boxes, _ = run_sequence(OpenCVTracker(name), images, box)
    assert boxes[0] == pytest.approx(box)
    assert np.isfinite(boxes).all()


def test_malformed_input() -> None:
    tracker = OpenCVTracker("csrt")
    with pytest.raises(RuntimeError, match="before"):
        tracker.update(sequence(1)[0][0])
    with pytest.raises(InputError, match="first box"):
        tracker.init(sequence(1)[0][0], (3, 4, -1, 5))


@pytest.mark.parametrize("name", NAMES)
def test_a_tracker_that_was_moved_goes_on_from_there(name: OpenCVName) -> None:
    images, truth = sequence(5)
    tracker = OpenCVTracker(name)
    tracker.init(images[0], truth[0] + (60, 20, 0, 0))  # on the background
    tracker.update(images[1])
    assert np.isnan(tracker.confidence)
    tracker.move_to(truth[1, :2] + truth[1, 2:] / 2)
    boxes = [tracker.update(image) for image in images[2:]]
    assert np.abs(np.stack(boxes) - truth[2:]).max() <= 4


def test_a_move_before_the_start_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="before"):
        OpenCVTracker("kcf").move_to((3, 4))


@pytest.mark.parametrize("name", ["csrt", "kcf"])
def test_moving_a_box_across_the_border_keeps_its_size(name):
    frame = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    frame = cv2.GaussianBlur(frame, (0, 0), 4)
    tracker = OpenCVTracker(name)
    tracker.init(frame, (80, 90, 60, 50))
    for _ in range(3):
        tracker.move_to((10, 120))  # a third of the box is beyond the border
        found = tracker.update(frame)
        assert found == pytest.approx((-20, 95, 60, 50), abs=2.5)


@pytest.mark.parametrize("box", [(20, 20, 1, 1), (20, 20, 60, 1)])
def test_a_box_that_opencv_refuses_stays(box):
    frame = np.random.default_rng(0).integers(0, 255, (100, 120, 3), np.uint8)
    tracker = OpenCVTracker("csrt")
    tracker.init(frame, box)
    assert np.array_equal(tracker.update(frame), box)
    tracker.init(frame, (30, 30, 40, 40))  # and the next start is as ever
    assert tracker.update(frame)[2:] == pytest.approx((40, 40), rel=0.2)
