"""What every tracker offers, and the checks of its input that all of them share."""

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.errors import InputError


class AnswerError(InputError):
    """What a tracker gave is no box: a fault of it as a crash is, not one of the data."""


Image = NDArray[np.uint8]
Box = NDArray[np.float64]


class Tracker(Protocol):
    """Follows one object from frame to frame.

    Images are uint8 RGB (H, W, 3). Boxes are float64 x, y, w, h, 0-based, in edge coordinates:
    a box covers [x, x + w), and the first pixel of the image is [0, 1).

    A class whose runs over the same frames are all the same may say so with an attribute,
    `deterministic = True`: benchmarks with repetitions then run it once (`trackers.repetitions`).
    """

    def init(self, image: Image, box: ArrayLike) -> None:
        """Start on the object in `box` (4,); anything learnt before is forgotten.

        Raises:
            InputError: the image or the box is malformed.
        """

    def update(self, image: Image) -> Box:
        """Return the object's box (4,) in the next frame.

        Raises:
            InputError: the image is malformed.
            RuntimeError: `init` was not called.
        """


class Correctable(Tracker, Protocol):
    """A tracker that can be told where its object is, and says how sure it is."""

    @property
    def confidence(self) -> float:
        """How well the latest update fits what was learnt, at most 1; NaN where unknown."""

    def move_to(self, center: ArrayLike) -> None:
        """Start the next search at x, y (2,), in px (edge coordinates); the size stays.

        Raises:
            InputError: it is no point.
            RuntimeError: `init` was not called.
        """

    def correct(self, center: ArrayLike) -> None:
        """Say where the object's centre x, y (2,) really was in the latest frame.

        As `move_to`; and a tracker that learns takes in the frame as it was, not as it found it.
        """


def check_image(image: Image) -> None:
    """Raise an InputError unless `image` is uint8 (H, W, 3) and not empty."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(
            f"A frame has type {image.dtype} and shape {image.shape}; "
            "expected 8-bit RGB (height, width, 3)."
        )


def check_box(box: ArrayLike) -> Box:
    """Return `box` as float64 (4,); raise an InputError unless it is finite and has an area."""
    checked = np.array(box, dtype=np.float64)  # a copy: the caller's array stays his own
    if checked.shape != (4,) or not np.isfinite(checked).all() or (checked[2:] <= 0).any():
        raise InputError(
            f"The first box is {checked.tolist()}; expected x, y, w, h with w > 0 and h > 0."
        )
    return checked


def check_point(center: ArrayLike) -> NDArray[np.float64]:
    """Return `center` as float64 (2,); raise an InputError unless it is finite."""
    checked = np.array(center, dtype=np.float64)
    if checked.shape != (2,) or not np.isfinite(checked).all():
        raise InputError(f"A centre is {checked.tolist()}; expected x, y.")
    return checked
