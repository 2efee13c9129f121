"""Readers of the layouts: GOT-10k, OTB, and folders of frames with clicks.csv."""

import csv
import hashlib
import os
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.datasets.images import image_size
from socl_pipeline.datasets.manifest import Manifest, Sequence, Split
from socl_pipeline.datasets.video import (
    Problem,
    Video,
    box_problem,
    file_size,
    is_frame,
    list_images,
    point_problem,
)
from socl_pipeline.errors import InputError

FULLY_VISIBLE = 8
MOST_WATCHED_VIDEOS = 1000
CLICK_COLUMNS = ("video", "frame", "x", "y")
BOX_COLUMNS = ("box_x", "box_y", "box_w", "box_h")


@dataclass(frozen=True)
class Dataset:
    """A split of a dataset on disk: names of videos, and the reader of one video."""

    manifest: Manifest
    root: Path
    split: str = ""
    only: tuple[str, ...] | None = None

    def names(self) -> list[str]:
        """Return the names of the videos (OTB: targets) in the dataset's own order."""
        names = self._all_names()
        if self.only is None:
            return names
        unknown = [n for n in self.only if n not in names]
        if unknown:
            raise InputError(f"{self.manifest.name}: there is no sequence {unknown[0]!r}")
        return list(self.only)

    def is_there(self) -> bool:
        """Return whether the list of videos exists (a generated dataset may not be drawn yet)."""
        match self.manifest.layout:
            case "got10k":
                return (self._split_folder() / self._split().list).exists()
            case "otb":
                return self.root.is_dir()
            case "clips":
                return self._clicks_file().exists()

    def _all_names(self) -> list[str]:
        match self.manifest.layout:
            case "got10k":
                return read_list(self._split_folder() / self._split().list)
            case "otb":
                return list(self.manifest.sequences)
            case "clips":
                return sorted(self._clicks)

    def read(self, name: str) -> Video:
        """Return one video. Raises InputError if it cannot be used as a whole."""
        match self.manifest.layout:
            case "got10k":
                return read_got10k(self._split_folder() / name)
            case "otb":
                return read_otb(self.root, name, self.manifest.sequences[name])
            case "clips":
                return read_clips(self.root, name, self._clicks[name], self._clicks_file())

    def watched_files(self) -> list[Path]:
        """Return the files whose change changes the dataset, as far as a workflow can watch them.

        Of a large dataset only the list is: tens of thousands of files would slow every start.
        """
        names = self.names() if self.manifest.layout != "clips" else []
        files = [path for name in names for path in self._files(name)[1] if path.exists()]
        match self.manifest.layout:
            case "got10k":
                index = self._split_folder() / self._split().list
                return [index, *(files if len(names) <= MOST_WATCHED_VIDEOS else [])]
            case "otb":
                return list(dict.fromkeys(files))
            case "clips":
                return [self._clicks_file()]

    def digest(self) -> str:
        """Return a hash of all annotations and of each frame's name and size in bytes."""
        digest = hashlib.sha256()
        annotations: dict[Path, None] = {}  # an ordered set: one clicks.csv serves many videos
        for name in self.names():
            folder, files = self._files(name)
            if not folder.is_dir():
                raise InputError(f"{folder}: no such folder of frames")
            frames = [e for e in os.scandir(folder) if is_frame(e.name)]
            listing = sorted(f"{e.name} {file_size(e.path)}" for e in frames)
            where = folder.relative_to(self.root).as_posix()
            digest.update("\n".join([name, where, *listing]).encode())
            if name in self.manifest.sequences:  # frame ranges belong to the annotation
                digest.update(self.manifest.sequences[name].model_dump_json().encode())
            annotations |= dict.fromkeys(files)
        for path in annotations:
            digest.update(path.read_bytes() if path.exists() else b"none")
        return digest.hexdigest()

    def _files(self, name: str) -> tuple[Path, list[Path]]:
        """Return a video's folder of frames and its annotation files."""
        match self.manifest.layout:
            case "got10k":
                folder = self._split_folder() / name
                labels = ("groundtruth.txt", "absence.label", "cover.label")
                return folder, [folder / label for label in labels]
            case "otb":
                sequence = self.manifest.sequences[name]
                folder = self.root / (sequence.folder or name)
                return folder / "img", [folder / sequence.groundtruth]
            case "clips":
                return self.root / name, [self._clicks_file()]

    @cached_property
    def _clicks(self) -> dict[str, list["ClickRow"]]:
        return read_clicks(self._clicks_file())

    def _clicks_file(self) -> Path:
        return self.root / self.manifest.clicks

    def _split(self) -> Split:
        splits = self.manifest.splits
        if self.split not in splits:
            known = ", ".join(splits)
            raise InputError(
                f"{self.manifest.name}: there is no split {self.split!r}; known: {known}"
            )
        return splits[self.split]

    def _split_folder(self) -> Path:
        return self.root / self._split().folder


def read_list(path: Path) -> list[str]:
    """Return the non-empty lines of a list of videos."""
    try:
        names = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path}: the list of videos is missing; is the root right?") from None
    if not names:
        raise InputError(f"{path}: the list of videos is empty")
    return names


def read_numbers(path: Path, columns: int, expected: int | None = None) -> NDArray[np.float64]:
    """Return a text file of numbers, (lines, columns), split at commas, tabs or blanks.

    Raises InputError naming the line that does not parse, or the count if it is not `expected`.
    """
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: the annotation file is missing") from None
    while lines and not lines[-1].strip():
        lines.pop()
    rows = [_parse_row(path, i, line, columns) for i, line in enumerate(lines, start=1)]
    if expected is not None and len(rows) != expected:
        raise InputError(f"{path}: {len(rows)} lines for {expected} frames")
    return np.array(rows, dtype=np.float64).reshape(len(rows), columns)


def _parse_row(path: Path, number: int, line: str, columns: int) -> list[float]:
    fields = [f for f in re.split(r"[,\s;]+", line.strip()) if f]
    try:
        row = [float(f) for f in fields]
    except ValueError:
        row = []
    if len(row) != columns:
        raise InputError(f"{path}, line {number}: expected {columns} numbers, found {line!r}")
    return row


def read_got10k(folder: Path) -> Video:
    """Read a GOT-10k video: NAME/00000001.jpg, groundtruth.txt (x,y,w,h) and the labels."""
    frames = list_images(folder)
    width, height = image_size(frames[0])
    n = len(frames)
    truth = folder / "groundtruth.txt"
    boxes = read_numbers(truth, 4)
    if len(boxes) == 1 < n:  # the test split gives the first box only
        boxes = np.concatenate([boxes, np.full((n - 1, 4), np.nan)])
    elif len(boxes) != n:
        raise InputError(f"{truth}: {len(boxes)} lines for {n} frames")
    absent = _labels(folder / "absence.label", n, default=0) > 0
    given = ~absent & ~np.isnan(boxes).all(axis=1)
    problems = [
        Problem(folder.name, i, f"{truth}, line {i + 1}: {what}")
        for i in np.flatnonzero(given).tolist()
        if (what := box_problem(boxes[i], width, height))
    ]
    return Video(
        name=folder.name,
        frames=frames,
        width=width,
        height=height,
        boxes=np.where(absent[:, None], np.nan, boxes),
        points=np.full((n, 2), np.nan),
        absent=absent,
        cover=_labels(folder / "cover.label", n, default=FULLY_VISIBLE),
        problems=problems,
    )


def _labels(path: Path, n: int, default: int) -> NDArray[np.int8]:
    """Return the (n,) labels of a GOT-10k label file; it is not given for the test split."""
    if not path.exists():
        return np.full(n, default, np.int8)
    return read_numbers(path, 1, n)[:, 0].astype(np.int8)


def read_otb(root: Path, name: str, sequence: Sequence) -> Video:
    """Read an OTB target: Name/img/0001.jpg and 1-based boxes in the official frame range."""
    folder = root / (sequence.folder or name)
    truth = folder / sequence.groundtruth
    boxes = read_numbers(truth, 4)
    first, last = sequence.frames or (1, len(boxes))
    if len(boxes) == last:  # Tiger1: boxes from image 1 on, evaluated from a later one
        boxes = boxes[first - 1 :]
    if last - first + 1 != len(boxes):
        raise InputError(
            f"{truth}: {len(boxes)} lines for the {last - first + 1} frames {first} to {last} "
            "of the manifest"
        )
    images = {p.stem: p for p in list_images(folder / "img")}
    stems = [f"{i:0{sequence.digits}d}" for i in range(first, last + 1)]
    missing = [s for s in stems if s not in images]
    if missing:
        raise InputError(
            f"{folder / 'img'}: {len(missing)} of {len(stems)} frames are missing, "
            f"the first is {missing[0]}"
        )
    frames = [images[s] for s in stems]
    width, height = image_size(frames[0])
    n = len(frames)
    boxes[:, :2] -= 1  # OTB counts pixels from 1
    return Video(
        name=name,
        frames=frames,
        width=width,
        height=height,
        boxes=boxes,
        points=np.full((n, 2), np.nan),
        absent=np.zeros(n, bool),
        cover=np.full(n, FULLY_VISIBLE, np.int8),
        problems=[],
    )


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
