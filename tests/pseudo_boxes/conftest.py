"""A tracker without pixels, and snippets to follow with it."""

import numpy as np
import pytest

from socl_pipeline.boxes import centered_boxes
from socl_pipeline.pseudo_boxes.snippets import SnippetFrames
from socl_pipeline.settings import TrackedBoxSettings


class Drifting:
    """Moves its box by `step` px and scales it by `growth` in every frame, whatever it shows.

    `log` has what it was told. A frame is any object here.
    """

    def __init__(self, step=(0.0, 0.0), growth=1.0, confidence=float("nan")):
        self.step, self.growth, self.confidence = np.array(step), growth, confidence
        self.log = []

    def init(self, image, box):
        self.center, self.size = box[:2] + box[2:] / 2, np.array(box[2:])
        self.log.append(("init", image))

    def update(self, image):
        self.center, self.size = self.center + self.step, self.size * self.growth
        self.log.append(("update", image))
        return centered_boxes(self.center, self.size)

    def move_to(self, center):
        self.center = np.array(center, dtype=float)
        self.log.append(("move", tuple(self.center.tolist())))

    def correct(self, center):
        self.center = np.array(center, dtype=float)
        self.log.append(("correct", tuple(self.center.tolist())))


@pytest.fixture
def drifting():
    """The class of the tracker."""
    return Drifting


@pytest.fixture
def track_settings():
    """A function that returns settings of kind track."""
    return lambda **changes: TrackedBoxSettings(kind="track", tracker="any", **changes)


@pytest.fixture
def still():
    """A function that returns a snippet of n frames whose target rests at (50, 40), 20 x 10."""

    def make(n, *, box=0, end=True, **changes):
        target = np.array([40.0, 35, 20, 10])
        values = {
            "box": box,
            "start": target,
            "end": target if end else None,
            "clicks": np.tile([50.0, 40.0], (n, 1)),
            "absent": np.zeros(n, bool),
        }
        return SnippetFrames(**values | changes)

    return make
