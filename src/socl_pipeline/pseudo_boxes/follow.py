"""Following an object through a snippet: the tracker is moved to the click where it fails."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centered_boxes, centers
from socl_pipeline.settings import TrackedBoxSettings
from socl_pipeline.trackers.base import Correctable, Image

Float = NDArray[np.floating]


@dataclass(frozen=True)
class Track:
    """What a tracker found in n frames.

    boxes: (n, 4), NaN in frames that could not be read. confidence: (n,), NaN where unknown.
    failed: (n,) whether the click took the place of the tracker's centre. seconds: that the
    tracker took, without reading.
    """

    boxes: Float
    confidence: Float
    failed: NDArray[np.bool_]
    seconds: float

    def frames(self, index: slice) -> "Track":
        """Return the track of some of its frames; the seconds stay those of all."""
        return Track(self.boxes[index], self.confidence[index], self.failed[index], self.seconds)


def follow(
    tracker: Correctable,
    images: Iterable[Image | None],
    start: Float,
    clicks: Float,
    settings: TrackedBoxSettings,
) -> Track:
    """Track the object in box `start` (4,) from the first image through all others.

    images: n frames in the order of tracking, None for one that cannot be read. clicks: (n, 2)
    in the same order, NaN where there is none: nothing is corrected there. If the first image
    cannot be read, the tracker starts on the next, with the box moved to its click, which counts
    as a failure. Raises InputError for malformed images.
    """
    n = len(clicks)
    boxes, confidence = np.full((n, 4), np.nan), np.full(n, np.nan)
    failed = np.zeros(n, bool)
    started, seconds = False, 0.0
    for i, (image, click) in enumerate(zip(images, clicks, strict=True)):
        if image is None:
            continue
        clicked = bool(np.isfinite(click).all())
        begin = time.perf_counter()
        if started:
            boxes[i], failed[i] = _step(tracker, image, click if clicked else None, settings)
            confidence[i] = tracker.confidence
        else:
            failed[i] = clicked and i > 0
            boxes[i] = centered_boxes(click, start[2:]) if failed[i] else start
            tracker.init(image, boxes[i])
            started = True
        seconds += time.perf_counter() - begin
    return Track(boxes, confidence, failed, seconds)


def _step(
    tracker: Correctable, image: Image, click: Float | None, settings: TrackedBoxSettings
) -> tuple[Float, bool]:
    """Return the box (4,) in the next frame, and whether the tracker failed there."""
    if click is not None and settings.prior == "click":
        tracker.move_to(click)
    box = tracker.update(image)
    if click is None:
        return box, False
    failed = has_failed(box, click, settings.failure_distance)
    if failed:
        tracker.correct(click)
    if failed or settings.centre == "click":
        return centered_boxes(click, box[2:]), failed
    return box, False


def has_failed(box: Float, click: Float, distance: float) -> bool:
    """Return whether the centre of a box (4,) is more than `distance` px from a click (2,)."""
    return float(np.linalg.norm(centers(box) - click)) > distance
