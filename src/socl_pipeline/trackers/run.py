"""Runs a tracker over one sequence."""

import time
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.trackers.base import Image, Tracker, check_box


def run_sequence(
    tracker: Tracker, frames: Iterable[Image], first_box: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the boxes (n, 4) in n frames and the seconds (n,) that the tracker took for each.

    Row 0 is `first_box` and the time of `init`. Reading the frames is not timed.

    Raises:
        InputError: there are no frames, or a frame or the box is malformed.
    """
    boxes = [check_box(first_box)]
    seconds: list[float] = []
    for image in frames:
        start = time.perf_counter()
        if seconds:
            boxes.append(tracker.update(image))
        else:
            tracker.init(image, boxes[0])
        seconds.append(time.perf_counter() - start)
    if not seconds:
        raise InputError("The sequence has no frames; check its folder.")
    return np.stack(boxes), np.array(seconds)
