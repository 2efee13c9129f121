"""Folders of frames and one clicks.csv: the layout of a user's own clips."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from socl_pipeline.datasets.images import image_size
from socl_pipeline.datasets.layouts.layout import Layout, SequenceFiles
from socl_pipeline.datasets.video import (
    FULLY_VISIBLE,
    Problem,
    Video,
    box_problem,
    list_images,
    point_problem,
)
from socl_pipeline.errors import InputError

CLICK_COLUMNS = ("video", "frame", "x", "y")
BOX_COLUMNS = ("box_x", "box_y", "box_w", "box_h")


class ClipsLayout(Layout):
    """Every video with a click is one; what is read is clicks and, if given, boxes."""

    @property
    def index(self) -> Path:
        """The file of clicks."""
        return self.root / self.manifest.clicks

    def names(self) -> list[str]:
        """Return the videos that have clicks, sorted."""
        return sorted(self._clicks)

    def files(self, name: str) -> SequenceFiles:
        """Return where a video lies; its frames may have any names."""
        named_in = f"{self.index}, line {self._clicks[name][0].line}"
        return SequenceFiles(
            self.root / name, self.index, start=None, columns=(), named_in=named_in
        )

    def read(self, name: str) -> Video:
        """Return one video."""
        return read_clips(self.root, name, self._clicks[name], self.index)

    @cached_property
    def _clicks(self) -> dict[str, list["ClickRow"]]:
        return read_clicks(self.index)


@dataclass(frozen=True)
class ClickRow:
    """One line of clicks.csv; box is None where the row has none."""

    line: int
    frame: str
    x: float
    y: float
    box: tuple[float, float, float, float] | None


def read_clicks(path: Path) -> dict[str, list[ClickRow]]:
    """Read clicks.csv: video,frame,x,y and optional box_x,box_y,box_w,box_h; all 0-based pixels."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            header = [c.strip().lower() for c in next(lines, [])]
            _check_click_header(path, header)
            rows: dict[str, list[ClickRow]] = defaultdict(list)
            for fields in lines:
                if any(f.strip() for f in fields):
                    row = dict(zip(header, (f.strip() for f in fields), strict=False))
                    rows[row.get("video", "")].append(_click_row(path, lines.line_num, row))
    except FileNotFoundError:
        raise InputError(f"{path}: the clicks are missing") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; save the file as CSV UTF-8") from None
    if not rows:
        raise InputError(f"{path}: there is no click in it")
    return dict(rows)


def _check_click_header(path: Path, header: list[str]) -> None:
    expected = f"{','.join(CLICK_COLUMNS)} and optionally {','.join(BOX_COLUMNS)}"
    for column in CLICK_COLUMNS:
        if column not in header:
            raise InputError(
                f"{path}, line 1: the column {column!r} is missing; expected {expected}, "
                f"separated by commas; found {','.join(header)!r}"
            )
    for column in header:
        if header.count(column) > 1 or column not in (*CLICK_COLUMNS, *BOX_COLUMNS):
            what = "stands twice" if header.count(column) > 1 else "is not known"
            raise InputError(f"{path}, line 1: the column {column!r} {what}; expected {expected}")
    boxes = [c for c in BOX_COLUMNS if c in header]
    if boxes and len(boxes) < len(BOX_COLUMNS):
        raise InputError(f"{path}, line 1: only {','.join(boxes)} of {','.join(BOX_COLUMNS)}")


def _click_row(path: Path, line: int, row: dict[str, str]) -> ClickRow:
    def number(column: str) -> float:
        try:
            return float(row.get(column, ""))
        except ValueError:
            found = row.get(column, "")
            raise InputError(
                f"{path}, line {line}: {column} is {found!r}, expected a number"
            ) from None

    if not row.get("video") or not row.get("frame"):
        raise InputError(f"{path}, line {line}: a click needs a video and a frame")
    box = None
    if any(row.get(c) for c in BOX_COLUMNS):
        bx, by, bw, bh = (number(c) for c in BOX_COLUMNS)
        box = (bx, by, bw, bh)
    return ClickRow(line, row["frame"], number("x"), number("y"), box)


def read_clips(root: Path, name: str, rows: list[ClickRow], source: Path) -> Video:
    """Read a folder of frames with its rows of clicks.csv.

    A row's frame is a file name, with or without its ending or its leading zeros.
    """
    if not (root / name).is_dir():
        raise InputError(f"{source}, line {rows[0].line}: {root / name}: no such folder of frames")
    frames = list_images(root / name)
    width, height = image_size(frames[0])
    n = len(frames)
    index = _frame_index(frames)
    points, boxes = np.full((n, 2), np.nan), np.full((n, 4), np.nan)
    problems = []
    lines: dict[int, int] = {}
    for row in rows:
        i = index.get(row.frame)
        if i is None:
            raise InputError(
                f"{source}, line {row.line}: {root / name} has no frame {row.frame!r}; "
                f"its first is {frames[0].name!r}"
            )
        if i in lines:
            raise InputError(
                f"{source}, line {row.line}: frame {row.frame!r} of {name} has a click already, "
                f"in line {lines[i]}"
            )
        lines[i] = row.line
        points[i] = row.x, row.y
        boxes[i] = row.box or np.nan
        what = point_problem(points[i], width, height)
        if row.box and not what:
            what = box_problem(boxes[i], width, height)
        if what:
            problems.append(Problem(name, i, f"{source}, line {row.line}: {what}"))
    return Video(
        name=name,
        frames=frames,
        width=width,
        height=height,
        boxes=boxes,
        points=points,
        absent=np.zeros(n, bool),
        cover=np.full(n, FULLY_VISIBLE, np.int8),
        problems=problems,
    )


def _frame_index(frames: list[Path]) -> dict[str, int]:
    """Map every accepted spelling of a frame to its position; exact names win over numbers."""
    index: dict[str, int] = {}
    for i, path in enumerate(frames):
        if path.stem.isdigit():
            index.setdefault(str(int(path.stem)), i)
    for i, path in enumerate(frames):
        index[path.stem] = i
        index[path.name] = i
    return index
