"""OpenCV's trackers, as references that need no training."""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike

from socl_pipeline.boxes import centered_boxes
from socl_pipeline.trackers.base import Box, Image, check_box, check_image, check_point

OpenCVName = Literal["csrt", "kcf"]

_CLASSES: dict[OpenCVName, str] = {"csrt": "TrackerCSRT", "kcf": "TrackerKCF"}


class OpenCVTracker:
    """One of OpenCV's trackers at its default parameters; see `trackers.base.Correctable`.

    OpenCV takes and gives boxes in whole pixels inside the image: of a box that reaches beyond it,
    it follows the part inside, and the rest goes along. When it reports failure, or refuses to
    start (on a box of a pixel or so), the last box stays.
    MIL is not offered: it draws from the C library's rand(), which OpenCV has no way to seed.
    """

    deterministic = True

    def __init__(self, name: OpenCVName) -> None:
        self.name = name
        self._tracker: Any = None
        self._image: Image = np.zeros((0, 0, 3), np.uint8)
        self._box: Box = np.zeros(4)
        self._start: tuple[Box, Box] | None = None  # a box beyond the image, and its part inside
        self._refused = False

    def init(self, image: Image, box: ArrayLike) -> None:
        """Start a fresh OpenCV tracker; see `Tracker.init`."""
        check_image(image)
        self._box, self._image = check_box(box), image
        self._tracker = getattr(cv2, _CLASSES[self.name]).create()
        height, width = image.shape[:2]
        inside = _whole_pixels(self._box, width, height)
        beyond = (self._box[:2] < 0).any() or (
            self._box[:2] + self._box[2:] > (width, height)
        ).any()
        self._start = (self._box, np.array(inside, dtype=np.float64)) if beyond else None
        try:
            self._tracker.init(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), inside)
            self._refused = False
        except cv2.error:
            self._refused = True

    def update(self, image: Image) -> Box:
        """Return the box (4,) in the next frame; see `Tracker.update`."""
        if self._tracker is None:
            raise RuntimeError("OpenCVTracker.update was called before OpenCVTracker.init.")
        check_image(image)
        self._image = image
        if not self._refused:
            found, box = self._tracker.update(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            if found:
                self._box = self._whole(np.array(box, dtype=np.float64))
        return self._box.copy()

    def _whole(self, box: Box) -> Box:
        """Return the box of the whole object, of which OpenCV follows what was inside."""
        if self._start is None:
            return box
        whole, inside = self._start
        growth = box[2:] / inside[2:]
        return np.concatenate([box[:2] + growth * (whole[:2] - inside[:2]), growth * whole[2:]])

    @property
    def confidence(self) -> float:
        """NaN: OpenCV does not tell."""
        return float("nan")

    def move_to(self, center: ArrayLike) -> None:
        """Start afresh on the latest frame, with the box there; see `Correctable.move_to`.

        OpenCV's trackers cannot be moved: what was learnt before the latest frame is lost.
        """
        if self._tracker is None:
            raise RuntimeError("OpenCVTracker.move_to was called before OpenCVTracker.init.")
        self.init(self._image, centered_boxes(check_point(center), self._box[2:]))

    def correct(self, center: ArrayLike) -> None:
        """As `move_to`; see `Correctable.correct`."""
        self.move_to(center)


def _whole_pixels(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the box rounded and cut at the image, at least a pixel large: OpenCV's demands."""
    limit = np.array([width, height])
    low = np.clip(np.rint(box[:2]), 0, limit - 1).astype(int)
    high = np.clip(np.rint(box[:2] + box[2:]), low + 1, limit).astype(int)
    x, y = low.tolist()
    w, h = (high - low).tolist()
    return x, y, w, h
