"""Views of a frame: the crops around a click in which windows are searched and judged.

A cue means something only beside its surroundings and at some resolution: edges are counted in
pixels, contrast is taken against a ring, saliency against the whole picture. Judged in the whole
frame at one working size, a drone's target is smaller than the smallest window and a cat on a
sofa is not. So a window is judged in the smallest of a few nested crops that is still `context`
times as wide as the window: every window then has a similar size and similar surroundings in
its view, whatever the frame. Our choice; `kind: frame` is the paper's whole frame.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from socl_pipeline.settings import ViewSettings

Float = NDArray[np.floating]


@dataclass(frozen=True)
class View:
    """A crop of a frame, resized.

    left, top, right, bottom: its frame pixels, the end exclusive. size: width and height that
    it is resized to. largest: windows up to this side (root of the area, frame pixels) are judged
    in it, unless a smaller view can take them.
    """

    left: int
    top: int
    right: int
    bottom: int
    size: tuple[int, int]
    largest: float

    @property
    def scale(self) -> Float:
        """View pixels per frame pixel, across and down (2,)."""
        crop = np.array([self.right - self.left, self.bottom - self.top])
        return np.asarray(self.size / crop, np.float64)

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the view (h, w, 3) of a frame (H, W, 3)."""
        crop = image[self.top : self.bottom, self.left : self.right]
        if self.size == (crop.shape[1], crop.shape[0]):
            return np.ascontiguousarray(crop)
        shrinks = self.size[0] < crop.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(crop, self.size, interpolation=method))

    def to_view(self, boxes: Float) -> NDArray[np.float64]:
        """Return boxes (n, 4) of the frame in pixels of the view."""
        offset = np.array([self.left, self.top, 0, 0])
        return np.asarray((boxes - offset) * np.tile(self.scale, 2), np.float64)

    def to_frame(self, boxes: Float) -> NDArray[np.float64]:
        """Return boxes (n, 4) of the view in pixels of the frame."""
        offset = np.array([self.left, self.top, 0, 0])
        return np.asarray(boxes / np.tile(self.scale, 2) + offset, np.float64)


def plan_views(width: int, height: int, point: Float, settings: ViewSettings) -> list[View]:
    """Return the views of a frame around a click (2,), the whole frame first, then ever smaller.

    Each is `ratio` times smaller than the one before, down to the one whose windows have the
    smallest side.
    """
    long_side = max(width, height)
    views = [_view(0, 0, width, height, settings.scale(long_side), np.inf)]
    side = long_side / settings.ratio
    taken = side / settings.context  # the largest window that the next view can take
    while settings.kind == "context" and taken > settings.min_side_px:
        left, top = np.floor(point - side / 2)
        right, bottom = np.ceil(point + side / 2)
        crop = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
        views.append(_view(*map(int, crop), settings.scale(side), taken))
        side, taken = side / settings.ratio, taken / settings.ratio
    return views


def view_of_windows(windows: Float, views: list[View]) -> NDArray[np.int64]:
    """Return the index (n,) of the view in which each of windows (n, 4) is judged."""
    side = np.sqrt(windows[:, 2] * windows[:, 3])
    limits = np.array([view.largest for view in views])  # descending
    return np.searchsorted(-limits, -side, side="right") - 1


def _view(left: int, top: int, right: int, bottom: int, scale: float, largest: float) -> View:
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    return View(left, top, right, bottom, size, largest)
