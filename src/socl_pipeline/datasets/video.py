"""What every reader returns: a video with its annotations, and what was wrong with it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.errors import InputError

FULLY_VISIBLE = 8  # of `Video.cover`
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True)
class Problem:
    """A broken frame (or, with frame None, a broken video) and the sentence that says why."""

    video: str
    frame: int | None
    reason: str


@dataclass(frozen=True)
class Video:
    """One target in one video. n frames; boxes are float x, y, w, h, 0-based.

    frames: n image paths. width, height: of the first frame, in pixels.
    boxes: (n, 4), NaN where there is none. points: (n, 2) clicks, NaN where there is none.
    absent: (n,) bool. cover: (n,) visible share in eighths, 8 is fully visible.
    problems: frames that must not be used, with the reason.
    polygons: (n, 8) corners x1, y1 to x4, y4 in px, 0-based, where the truth is rotated.
    attributes: the benchmark's own names of what is hard in it (OTB's IV, SV, OCC).
    """

    name: str
    frames: list[Path]
    width: int
    height: int
    boxes: NDArray[np.float64]
    points: NDArray[np.float64]
    absent: NDArray[np.bool_]
    cover: NDArray[np.int8]
    problems: list[Problem] = field(default_factory=list)
    polygons: NDArray[np.float64] | None = None
    attributes: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def withheld(self) -> bool:
        """Whether only the first box is given, as in test splits that a server scores."""
        boxed = np.asarray(np.isfinite(self.boxes).all(axis=1))
        more = boxed[1:].any() or self.absent.any() or np.isfinite(self.points).any()
        return len(self) > 1 and bool(boxed[0] and not more)


def require_truth(video: Video, manifest: Path, split: str) -> None:
    """Raise InputError if trackers can run on a video but not be scored on it.

    manifest, split: where the video is of; they name the key that leaves it unscored.
    """
    if video.withheld:
        raise InputError(
            f"{video.name}: only its first box is given, so it cannot be scored; if a server keeps "
            f"the others, write `truth: withheld` in splits.{split} of {manifest}, and trackers "
            "run on the benchmark without being scored"
        )


def is_frame(name: str) -> bool:
    """Return whether a file of this name is a frame; hidden files (macOS's ._0001.jpg) are not."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")


def file_size(path: str | Path) -> int:
    """Return the bytes of a frame's file; 0 for a link to nowhere, which its reader will name."""
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0


def list_images(folder: Path) -> list[Path]:
    """Return a folder's images, sorted by number or name. Raises InputError if it has none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of frames")
    images = [p for p in folder.iterdir() if is_frame(p.name)]
    numbered = all(p.stem.isdigit() for p in images)
    images.sort(key=lambda p: (int(p.stem) if numbered else 0, p.name))  # 2.jpg before 10.jpg
    if not images:
        raise InputError(f"{folder}: an empty video, no {' '.join(sorted(IMAGE_SUFFIXES))} in it")
    return images


def box_problem(box: NDArray[np.float64], width: int, height: int) -> str | None:
    """Return what is wrong with a box (4,) in a frame, or None."""
    x, y, w, h = (float(v) for v in box)
    shown = f"box {x:g},{y:g},{w:g},{h:g}"
    if not np.isfinite(box).all():
        return f"{shown} is not four numbers"
    if w <= 0 or h <= 0:
        return f"{shown} has no area"
    if x + w <= 0 or y + h <= 0 or x >= width or y >= height:
        return f"{shown} lies outside the {width}x{height} frame"
    return None


def point_problem(point: NDArray[np.float64], width: int, height: int) -> str | None:
    """Return what is wrong with a click (2,) in a frame, or None."""
    x, y = (float(v) for v in point)
    if not (0 <= x <= width and 0 <= y <= height):
        return f"click {x:g},{y:g} lies outside the {width}x{height} frame"
    return None
