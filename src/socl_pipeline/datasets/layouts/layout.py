"""What every layout can do, and what the readers of the layouts share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.datasets.images import image_size
from socl_pipeline.datasets.manifest import Manifest, Sequence, Split
from socl_pipeline.datasets.video import FULLY_VISIBLE, Video, list_images
from socl_pipeline.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SequenceFiles:
    """The files of one sequence, and what they should be.

    frames: folder of images. truth: file of boxes. labels: files of flags for each frame, which
    may be missing. span: first and last image number; None: every image of the folder, numbered
    without a hole, officially from `start` (None: any names). columns: how many numbers a line of
    the truth may have; none if it is not a table of numbers. counts: numbers of lines that the
    truth may have instead of one a frame. attributes: files of what is hard in the sequence, which
    may be missing. named_in: the file and line that name it, where a user wrote them.
    """

    frames: Path
    truth: Path
    labels: tuple[Path, ...] = ()
    span: tuple[int, int] | None = None
    start: int | None = 1
    columns: tuple[int, ...] = (4,)
    counts: tuple[int, ...] = ()
    attributes: tuple[Path, ...] = ()
    named_in: str | None = None

    @property
    def annotations(self) -> list[Path]:
        """The files whose change changes what is tracked and scored; attributes only group it."""
        return [self.truth, *self.labels]


class Layout(ABC):
    """How the sequences of a dataset lie below its root."""

    def __init__(self, manifest: Manifest, root: Path, split: str):
        self.manifest, self.root, self.split = manifest, root, split

    @property
    @abstractmethod
    def index(self) -> Path:
        """The file or folder that tells which sequences there are."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all sequences in the dataset's own order."""

    @abstractmethod
    def files(self, name: str) -> SequenceFiles:
        """Return where a sequence lies; nothing need be there."""

    @abstractmethod
    def read(self, name: str) -> Video:
        """Return one sequence. Raises InputError if it cannot be used as a whole."""


class SplitLayout(Layout):
    """A layout whose splits lie in folders of their own."""

    @property
    def part(self) -> Split:
        """The split's entry in the manifest."""
        splits = self.manifest.splits
        if self.split not in splits:
            known = ", ".join(splits)
            raise InputError(
                f"{self.manifest.name}: there is no split {self.split!r}; known: {known}"
            )
        return splits[self.split]

    @property
    def folder(self) -> Path:
        """The split's folder."""
        return self.root / self.part.folder


class ListedLayout(Layout):
    """A layout whose sequences the manifest names."""

    @property
    def index(self) -> Path:
        """The root: the list is in the manifest."""
        return self.root

    def names(self) -> list[str]:
        """Return the names of the manifest, in its order."""
        return list(self.manifest.sequences)

    def entry(self, name: str) -> Sequence:
        """Return a sequence's entry in the manifest."""
        return self.manifest.sequences[name]


def numbered_frames(folder: Path, span: tuple[int, int]) -> list[Path]:
    """Return the images whose names are the numbers of a span, both ends included.

    Leading zeros do not matter. Raises InputError if one is missing.
    """
    images = {int(p.stem): p for p in list_images(folder) if p.stem.isdecimal()}
    numbers = range(span[0], span[1] + 1)
    missing = [i for i in numbers if i not in images]
    if missing:
        raise InputError(
            f"{folder}: {len(missing)} of {len(numbers)} frames are missing, "
            f"the first is number {missing[0]}"
        )
    return [images[i] for i in numbers]


def one_box_a_frame(truth: Path, boxes: FloatArray, frames: int) -> FloatArray:
    """Return boxes (frames, c); a file with the first one only is filled up with NaN.

    So the organisers give out a test split. Raises InputError for any other number of lines.
    """
    if len(boxes) == 1 < frames:
        return np.concatenate([boxes, np.full((frames - 1, boxes.shape[1]), np.nan)])
    if len(boxes) != frames:
        raise InputError(f"{truth}: {len(boxes)} lines for {frames} frames")
    return boxes


def without_box(boxes: FloatArray) -> NDArray[np.bool_]:
    """Return which of the frames (n,) have no box: all four numbers are NaN."""
    return np.asarray(np.isnan(boxes).all(axis=1))


def boxed_video(
    name: str,
    frames: list[Path],
    boxes: FloatArray,
    *,
    absent: NDArray[np.bool_] | None = None,
    polygons: FloatArray | None = None,
    attributes: frozenset[str] = frozenset(),
) -> Video:
    """Return a sequence of a benchmark: boxes (n, 4), 0-based, and no clicks; sizes are read."""
    width, height = image_size(frames[0])
    n = len(frames)
    return Video(
        name=name,
        frames=frames,
        width=width,
        height=height,
        boxes=boxes,
        points=np.full((n, 2), np.nan),
        absent=np.zeros(n, bool) if absent is None else absent,
        cover=np.full(n, FULLY_VISIBLE, np.int8),
        polygons=polygons,
        attributes=attributes,
    )
