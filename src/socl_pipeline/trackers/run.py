"""Runs a tracker over one sequence: once through, or with restarts as VOT does.

What a tracker raises, except an InputError (bad data), is a crash, and so is an answer that is no
box (AnswerError): it ends the pass, is kept beside
the boxes so far, and leaves it to the caller what becomes of it.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.benchmarks.tracks import FAILED, INITIALISED, SKIPPED, TRACKED, Run
from socl_pipeline.benchmarks.vot.raster import overlaps
from socl_pipeline.benchmarks.vot.regions import in_files
from socl_pipeline.errors import InputError
from socl_pipeline.trackers.base import AnswerError, Box, Image, Tracker, check_box


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass of a tracker over a sequence, and what it crashed with, if it did.

    The frame of a crash is `FAILED`; from it on there are no boxes (NaN) and no seconds (0).
    """

    run: Run
    crash: Exception | None = None


def run_sequence(
    tracker: Tracker, frames: Sequence[Image], first_box: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the boxes (n, 4) in n frames and the seconds (n,) that the tracker took for each.

    Row 0 is `first_box` and the time of `init`. Reading the frames is not timed.

    Raises:
        InputError: there are no frames, or a frame or the box is malformed.
        Exception: whatever the tracker raises.
    """
    result = run_once(tracker, frames, first_box)
    if result.crash is not None:
        raise result.crash
    return result.run.boxes, result.run.seconds


def run_once(tracker: Tracker, frames: Sequence[Image], first_box: ArrayLike) -> Pass:
    """Run over n frames from the first box (4,), without restarts (one-pass evaluation).

    Raises InputError as `run_sequence` does.
    """
    if not len(frames):
        raise InputError("The sequence has no frames; check its folder.")
    recorder = _Recorder(tracker, len(frames))
    recorder.start(0, frames[0], check_box(first_box))
    for index in range(1, len(frames)):
        if recorder.crash is not None:
            break
        recorder.follow(index, frames[index])
    return recorder.result()


def run_with_restarts(
    tracker: Tracker,
    frames: Sequence[Image],
    start_boxes: NDArray[np.float64],
    truth: NDArray[np.float64],
    skip: int,
) -> Pass:
    """Run as VOT's supervised experiments do: a tracker that fails is started again.

    It fails in a frame where its box and the true region have no pixel in common (raster rule
    `rounded`), and starts again `skip` frames later; in between it does not run. Frames without a
    true region can be no failure and no start.

    start_boxes: (n, 4), the true boxes that a tracker is given. truth: true regions (n, 4) or
    (n, 8), 0-based. Raises InputError as `run_sequence` does.
    """
    if not len(frames):
        raise InputError("The sequence has no frames; check its folder.")
    recorder = _Recorder(tracker, len(frames))
    restart = 0
    for index in range(len(frames)):
        if recorder.running:
            recorder.follow(index, frames[index])
            if recorder.running and _lost(recorder.boxes[index], truth[index], frames[index]):
                recorder.fail(index)
                restart = index + skip
        elif index >= restart and np.isfinite(start_boxes[index]).all():
            recorder.start(index, frames[index], check_box(start_boxes[index]))
        else:
            recorder.skip(index)
        if recorder.crash is not None:
            break
    return recorder.result()


def _lost(box: Box, region: NDArray[np.float64], image: Image) -> bool:
    """Return whether a box has no pixel of a region in an image; not if there is no region."""
    if not np.isfinite(region).all():
        return False
    height, width = image.shape[:2]
    (overlap,) = overlaps(in_files(box[None]), in_files(region[None]), (width - 1, height - 1))
    return not overlap > 0  # NaN, of a box that is none, is a failure


class _Recorder:
    """What a tracker has given so far in a pass over n frames.

    boxes: (n, 4). running: whether the tracker has been started and did not fail since.
    crash: what it raised, if it did.
    """

    def __init__(self, tracker: Tracker, frames: int) -> None:
        self._tracker = tracker
        self._seconds = np.zeros(frames)
        self._states = np.full(frames, TRACKED, np.int8)
        self.boxes = np.full((frames, 4), np.nan)
        self.running = False
        self.crash: Exception | None = None

    def start(self, index: int, image: Image, box: Box) -> None:
        """Start the tracker on a box (4,)."""
        with self._watched(index):
            self._tracker.init(image, box)
            self.boxes[index], self._states[index] = box, INITIALISED
            self.running = True

    def follow(self, index: int, image: Image) -> None:
        """Ask the tracker for its box in the next frame."""
        with self._watched(index):
            self.boxes[index] = _four_numbers(self._tracker.update(image))

    def fail(self, index: int) -> None:
        """Note that the tracker has lost its object."""
        self._states[index] = FAILED
        self.running = False

    def skip(self, index: int) -> None:
        """Note a frame in which the tracker does not run."""
        self._states[index] = SKIPPED

    def result(self) -> Pass:
        """Return the pass."""
        return Pass(Run(self.boxes, self._seconds, self._states), self.crash)

    @contextmanager
    def _watched(self, index: int) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        except Exception as error:  # whatever a tracker's own code raises is a crash of it
            if isinstance(error, InputError) and not isinstance(error, AnswerError):
                raise
            self.crash = error
            self.fail(index)
        else:
            self._seconds[index] = time.perf_counter() - start


def _four_numbers(answer: ArrayLike) -> Box:
    box = np.asarray(answer, dtype=np.float64)
    if box.shape != (4,):
        raise ValueError(f"its update returned {answer!r}, not four numbers")
    return box
