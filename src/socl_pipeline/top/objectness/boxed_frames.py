"""Frames with boxes to fit objectness on: from a dataset's manifest, or a CSV beside images."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.datasets.images import image_size
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.datasets.video import Video, box_problem
from socl_pipeline.errors import InputError

COLUMNS = ("image", "x", "y", "w", "h")


@dataclass(frozen=True)
class BoxedFrame:
    """An image file and its boxes (m, 4). group: frames of one video must not be parted."""

    group: str
    path: Path
    boxes: NDArray[np.float64]


def dataset_frames(dataset: Dataset, every: int, most: int) -> list[BoxedFrame]:
    """Return every n-th boxed frame of a dataset, at most so many, spread over its videos.

    Frames that the reader reports as broken are left out. Raises InputError if no box is left.
    """
    names = dataset.names()
    names = [names[i] for i in _spread(len(names), most)]
    quotas = np.diff(np.linspace(0, most, len(names) + 1).astype(int)).tolist()
    frames = [
        BoxedFrame(name, video.frames[i], video.boxes[i : i + 1])
        for name, quota in zip(names, quotas, strict=True)
        for video in [dataset.read(name)]
        for i in _thinned(_usable(video)[::every], quota)
    ]
    if not frames:
        raise InputError(
            f"{dataset.root}: no frame of {dataset.manifest.name} has a box; "
            "objectness is learnt from boxes, so give a dataset that has them"
        )
    return frames


def _usable(video: Video) -> NDArray[np.integer]:
    broken = {problem.frame for problem in video.problems}
    boxed = np.flatnonzero(np.isfinite(video.boxes).all(axis=1))
    return np.array([i for i in boxed.tolist() if i not in broken], int)


def _thinned(indices: NDArray[np.integer], most: int) -> list[int]:
    return indices[_spread(len(indices), most)].tolist()


def _spread(count: int, most: int) -> NDArray[np.integer]:
    """Return at most so many of `count` positions, evenly spaced, the first included."""
    size = min(count, most)
    return np.arange(size) * count // max(size, 1)


def csv_frames(table: Path, images: Path) -> list[BoxedFrame]:
    """Return the images of a CSV with the columns image,x,y,w,h: 0-based pixels, a box a line.

    Several lines may name one image; image is a file below the folder `images`. Raises InputError
    naming the line and column that cannot be used.
    """
    boxes: dict[str, list[NDArray[np.float64]]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for line, row in _rows(table):
        name = row["image"]
        box = np.array([_number(table, line, c, row[c]) for c in COLUMNS[1:]])
        if name not in boxes:
            if not name or not (images / name).is_file():
                raise InputError(
                    f"{table}, line {line}: image {name!r} is not in {images}; "
                    "give its name with ending, relative to that folder"
                )
            boxes[name], sizes[name] = [], image_size(images / name)
        if what := box_problem(box, *sizes[name]):
            raise InputError(f"{table}, line {line}: {what}; boxes are 0-based x,y,w,h in pixels")
        boxes[name].append(box)
    if not boxes:
        raise InputError(f"{table}: there is no box in it")
    return [BoxedFrame(name, images / name, np.stack(found)) for name, found in boxes.items()]


def _rows(table: Path) -> Iterable[tuple[int, dict[str, str]]]:
    """Return line number and fields by column of each line that is not empty."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            header = [c.strip().lower() for c in next(lines, [])]
            if sorted(header) != sorted(COLUMNS):
                raise InputError(
                    f"{table}, line 1: the columns are {','.join(header)!r}; "
                    f"expected {','.join(COLUMNS)}, separated by commas"
                )
            rows = []
            for fields in lines:
                if not any(f.strip() for f in fields):
                    continue
                if len(fields) != len(header):
                    raise InputError(
                        f"{table}, line {lines.line_num}: {len(fields)} fields, "
                        f"expected {len(header)}: {','.join(header)}"
                    )
                named = dict(zip(header, (f.strip() for f in fields), strict=True))
                rows.append((lines.line_num, named))
            return rows
    except OSError as error:
        raise InputError(f"{table}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{table}: not UTF-8 text; save the file as CSV UTF-8") from None


def _number(table: Path, line: int, column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{table}, line {line}: {column} is {text!r}, expected a number") from None
