"""VOT: NAME/color/00000001.jpg (to 2016: NAME/00000001.jpg) and groundtruth.txt with corners.

Beside the truth lie files of flags for each frame, occlusion.tag and the like (to 2016: .label),
which may end before the video does.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.datasets.layouts.layout import (
    FloatArray,
    ListedLayout,
    SequenceFiles,
    boxed_video,
    without_box,
)
from socl_pipeline.datasets.layouts.text import parse_row, read_lines, read_list
from socl_pipeline.datasets.polygons import polygon_boxes
from socl_pipeline.datasets.video import Video, list_images
from socl_pipeline.errors import InputError

COLUMNS = (4, 8)
TAG_FILES = (".tag", ".label")


class VotLayout(ListedLayout):
    """Corners and boxes are 1-based. Without sequences in the manifest, list.txt names them."""

    @property
    def index(self) -> Path:
        """The root, or the list of a copy that is not in the manifest."""
        return self.root if self.manifest.sequences else self.root / "list.txt"

    def names(self) -> list[str]:
        """Return the names of the manifest, else of the list."""
        return super().names() or read_list(self.index)

    def files(self, name: str) -> SequenceFiles:
        """Return where a sequence lies."""
        folder = self.root / name
        frames = folder / "color"
        return SequenceFiles(
            frames=frames if frames.is_dir() else folder,
            truth=folder / "groundtruth.txt",
            columns=COLUMNS,
            attributes=tuple(_tag_files(folder)),
        )

    def read(self, name: str) -> Video:
        """Return one sequence; its attributes are the tags that any frame has."""
        files = self.files(name)
        frames = list_images(files.frames)
        boxes, polygons = read_regions(files.truth)
        if len(boxes) != len(frames):
            raise InputError(f"{files.truth}: {len(boxes)} lines for {len(frames)} frames")
        tags = read_tags(self.root / name, len(frames))
        return boxed_video(
            name,
            frames,
            boxes,
            absent=without_box(boxes),
            polygons=polygons,
            attributes=frozenset(tag for tag, flags in tags.items() if flags.any()),
        )


def read_regions(path: Path) -> tuple[FloatArray, FloatArray | None]:
    """Return the boxes (n, 4) of a VOT truth, and its corners (n, 8) if any line has corners.

    Both are 0-based. A line has 8 numbers, or x, y, w, h: such a truth (VOT2013) stays one of
    boxes, so that each raster rule draws it as it draws a tracker's. Among lines with corners a
    box reaches to x + w, as toolkits of the time turned it into a polygon.
    """
    rows = [parse_row(path, i, line, COLUMNS) for i, line in enumerate(read_lines(path), start=1)]
    polygons = _zero_based([r if len(r) == 8 else _corners(r) for r in rows], 8)
    boxes = polygon_boxes(polygons)
    upright = np.array([len(r) == 4 for r in rows], bool)
    boxes[upright] = _zero_based([r for r in rows if len(r) == 4], 4)
    return boxes, None if upright.all() else polygons


def read_tags(folder: Path, frames: int) -> dict[str, NDArray[np.bool_]]:
    """Return the flags (frames,) of every tag of a sequence; past a file's end they are false."""
    tags = {}
    for path in _tag_files(folder):
        given = [line.strip() for line in read_lines(path)][:frames]
        if not set(given) <= {"0", "1"}:
            raise InputError(f"{path}: expected a 0 or a 1 in each line")
        tags[path.stem] = np.array([f == "1" for f in given] + [False] * (frames - len(given)))
    return tags


def _tag_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix in TAG_FILES)


def _corners(row: list[float]) -> list[float]:
    x, y, w, h = row
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def _zero_based(rows: list[list[float]], columns: int) -> FloatArray:
    """Return 1-based places (n, 8), or boxes (n, 4), counted from 0."""
    table = np.array(rows, dtype=np.float64).reshape(len(rows), columns)
    table[:, : 2 if columns == 4 else 8] -= 1
    return table
