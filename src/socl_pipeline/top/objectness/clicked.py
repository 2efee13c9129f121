"""Objects with a click, to learn objectness from: of procedural scenes or of boxed frames."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centers
from socl_pipeline.datasets.images import read_image
from socl_pipeline.datasets.scenes import SceneSettings, build_scene
from socl_pipeline.errors import InputError
from socl_pipeline.top.objectness.boxed_frames import BoxedFrame

Float = NDArray[np.floating]

logger = logging.getLogger(__name__)

FRAME_SIZES = ((854, 480), (1280, 720), (640, 480), (480, 360))  # wide and classic video
CLICK_ERROR = 0.05  # standard deviation over the object's side: how far off the training clicks are
MIN_SIZE, MAX_SIZE = 0.02, 0.7  # of the frame: from drone targets to whole animals
FIT_SEED = 1_000_003  # scenes that no demo dataset uses


@dataclass(frozen=True)
class ClickedObject:
    """An image (H, W, 3), the box (4,) of one object and a click (2,) on it, in its pixels.

    group: name of its video or image.
    """

    group: str
    image: NDArray[np.uint8]
    box: Float
    click: Float


@dataclass(frozen=True)
class ObjectSource:
    """Where objects come from. name: for the provenance. total: how many there are at most."""

    name: str
    total: int
    objects: Iterable[ClickedObject]


def scene_source(scenes: int, seed: int = FIT_SEED) -> ObjectSource:
    """Return the targets of so many procedural scenes."""
    return ObjectSource(f"{scenes} procedural scenes", scenes, _scene_objects(scenes, seed))


def frame_source(name: str, frames: Sequence[BoxedFrame], seed: int = FIT_SEED) -> ObjectSource:
    """Return the boxes of frames; a frame that cannot be read is left out with a warning."""
    total = sum(len(frame.boxes) for frame in frames)
    return ObjectSource(name, total, _frame_objects(frames, seed))


def _scene_objects(scenes: int, seed: int) -> Iterator[ClickedObject]:
    for i in range(scenes):
        rng = np.random.default_rng([seed, i])
        width, height = FRAME_SIZES[i % len(FRAME_SIZES)]
        settings = SceneSettings(
            width=width, height=height, frames=8, min_size=MIN_SIZE, max_size=MAX_SIZE
        )
        frame = build_scene(settings, (seed, i)).render(int(rng.integers(settings.frames)))
        if not frame.absent:
            click = _click(frame.box, width, height, rng)
            yield ClickedObject(f"scene {i}", frame.image, frame.box, click)


def _frame_objects(frames: Sequence[BoxedFrame], seed: int) -> Iterator[ClickedObject]:
    for i, frame in enumerate(frames):
        rng = np.random.default_rng([seed, i])
        try:
            image = read_image(frame.path)
        except InputError as error:
            logger.warning("left out: %s", error)
            continue
        for box in frame.boxes:
            click = _click(box, image.shape[1], image.shape[0], rng)
            yield ClickedObject(frame.group, image, box, click)


def _click(box: Float, width: int, height: int, rng: np.random.Generator) -> Float:
    side = np.sqrt(box[2] * box[3])
    return np.clip(centers(box) + rng.normal(0, CLICK_ERROR * side, 2), 0, [width, height])
