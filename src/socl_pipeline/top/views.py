"""Views of a frame: the crops around a click in which windows are searched and judged.

A cue means something only beside its surroundings and at some resolution: edges are counted in
pixels, contrast is taken against a ring, saliency against the whole picture. Judged in the whole
frame at one working size, a drone's target is smaller than the smallest window and a cat on a
sofa is not. So a window is judged in the smallest of a few nested crops that is still `context`
times as wide as the window: every window then has a similar size and similar surroundings in
its view, whatever the frame. Our choice; `kind: frame` is the paper's whole frame.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from socl_pipeline.annotation.table import FrameRow
from socl_pipeline.settings import ViewSettings

Float = NDArray[np.floating]


@dataclass(frozen=True)
class View:
    """A crop of an image, resized.

    left, top, right, bottom: its image pixels, the end exclusive. size: width and height that
    it is resized to. largest: windows up to this side (root of the area, image pixels) are judged
    in it, unless a smaller view can take them.
    """

    left: int
    top: int
    right: int
    bottom: int
    size: tuple[int, int]
    largest: float

    @cached_property
    def scale(self) -> Float:
        """View pixels per image pixel, across and down (2,)."""
        crop = np.array([self.right - self.left, self.bottom - self.top])
        return np.asarray(self.size / crop, np.float64)

    @cached_property
    def zoom(self) -> float:
        """View pixels per image pixel: the geometric mean of across and down."""
        return math.sqrt(self.scale[0] * self.scale[1])

    @cached_property
    def _offset(self) -> Float:
        return np.array([self.left, self.top, 0, 0])

    @cached_property
    def _factors(self) -> Float:
        return np.tile(self.scale, 2)

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the view (h, w, 3) of an image (H, W, 3)."""
        crop = image[self.top : self.bottom, self.left : self.right]
        if self.size == (crop.shape[1], crop.shape[0]):
            return np.ascontiguousarray(crop)
        method = cv2.INTER_AREA if self.size[0] < crop.shape[1] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(crop, self.size, interpolation=method))

    def to_view(self, boxes: Float) -> NDArray[np.float64]:
        """Return boxes (n, 4) of the image in pixels of the view."""
        return np.asarray((boxes - self._offset) * self._factors, np.float64)

    def to_image(self, boxes: Float) -> NDArray[np.float64]:
        """Return boxes (n, 4) of the view in pixels of the image."""
        return np.asarray(boxes / self._factors + self._offset, np.float64)


@dataclass(frozen=True)
class ViewedFrame:
    """A frame, its click and its views.

    image: uint8 RGB (h, w, 3), perhaps decoded at a reduced scale (<= 1). size: width and height
    of the whole frame. point: (2,) click. Points and boxes are in pixels of the frame, views in
    those of the image.
    """

    image: NDArray[np.uint8]
    scale: float
    size: tuple[int, int]
    point: Float
    settings: ViewSettings

    @classmethod
    def of(cls, image: NDArray[np.uint8], point: Float, settings: ViewSettings) -> "ViewedFrame":
        """Return the views of a whole frame (H, W, 3) around a click (2,)."""
        return cls(image, 1.0, (image.shape[1], image.shape[0]), point, settings)

    @classmethod
    def read(cls, row: FrameRow, settings: ViewSettings) -> "ViewedFrame":
        """Read an annotated frame, no larger than the views need. Raises InputError as it does."""
        if settings.read_side is None:
            image, scale = row.read(), 1.0
        else:
            image, scale = row.read_reduced(settings.read_side)
        return cls(image, scale, (row.width, row.height), row.point, settings)

    @property
    def smallest(self) -> float:
        """The side of the smallest windows, in image pixels."""
        return self.settings.min_side_px * self.scale

    @cached_property
    def views(self) -> list[View]:
        """The whole image first, then ever smaller crops around the click.

        Each is `ratio` times smaller than the one before, down to the one for the smallest
        windows. Crops have whole numbers of pixels: OpenCV shrinks those by whole factors faster.
        """
        s = self.settings
        height, width = self.image.shape[:2]
        views = [_view((0, 0, width, height), s.zoom(max(width, height)), np.inf)]
        side = max(width, height) / s.ratio
        while s.kind == "context" and side / s.context > self.smallest:
            pixels = round(side)
            left, top = np.rint(self.point * self.scale - pixels / 2).astype(int)
            crop = (
                min(max(left, 0), width - 1),
                min(max(top, 0), height - 1),
                max(min(left + pixels, width), 1),
                max(min(top + pixels, height), 1),
            )
            views.append(_view(crop, s.zoom(pixels), side / s.context))
            side /= s.ratio
        return views

    @cached_property
    def pictures(self) -> list[NDArray[np.uint8]]:
        """The views' pixels, each (h, w, 3)."""
        return [view.cut(self.image) for view in self.views]

    def view_of(self, boxes: Float) -> NDArray[np.int64]:
        """Return the index (n,) of the view in which each of the frame's boxes (n, 4) is judged."""
        side = np.sqrt(boxes[:, 2] * boxes[:, 3]) * self.scale
        limits = np.array([view.largest for view in self.views])  # descending
        return np.searchsorted(-limits, -side, side="right") - 1


def _view(crop: tuple[int, int, int, int], zoom: float, largest: float) -> View:
    left, top, right, bottom = map(int, crop)
    size = (max(1, round((right - left) * zoom)), max(1, round((bottom - top) * zoom)))
    return View(left, top, right, bottom, size, largest)
