"""Lines of numbers: what all result files are made of."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.benchmarks import box_text
from socl_pipeline.errors import InputError

Rows = list[list[float]]
SEPARATORS = re.compile(r"[,;\s]+")  # Matlab writes blanks or tabs, most others commas
BOX = "4 numbers x,y,w,h"


def read_text(path: Path) -> str:
    """Return a file's text. Raises InputError if it is no text file."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from None


def parse_rows(
    text: str, source: str, counts: Sequence[int], expected: str, commas: bool = False
) -> Rows:
    """Return the numbers of each line; empty lines at the end do not count.

    counts: how many numbers a line may have; `expected` says so in an error. commas: whether
    nothing but commas may separate them. Raises InputError that names the line.
    """
    lines = text.rstrip().splitlines()
    return [
        _row(line, f"{source}, line {i}", counts, expected, commas)
        for i, line in enumerate(lines, start=1)
    ]


def _row(line: str, source: str, counts: Sequence[int], expected: str, commas: bool) -> list[float]:
    fields = line.split(",") if commas else [f for f in SEPARATORS.split(line) if f]
    try:
        row = [float(f) for f in fields]
    except ValueError:
        row = []
    if len(row) not in counts or np.isinf(row).any():
        separated = " separated by commas" if commas else ""
        raise InputError(f"{source}: expected {expected}{separated}, found {line.strip()!r}")
    return row


def read_boxes(path: Path, frames: int, base: int, run_on: bool = False) -> NDArray[np.float64]:
    """Return the boxes (frames, 4), 0-based, of a file with one box a line; NaN is kept.

    base: 0 or 1, what the file counts pixels from. run_on: lines after the last frame are passed
    over. Raises InputError that names the line, or the number of lines if it is another than that
    of the frames.
    """
    lines = box_text.read_boxes(path)
    check_count(min(len(lines), frames) if run_on else len(lines), frames, str(path))
    boxes = np.array(lines[:frames])
    boxes[:, :2] -= base
    return boxes


def check_count(lines: int, frames: int, source: str) -> None:
    """Raise InputError unless a file has a line for each frame."""
    if lines != frames:
        raise InputError(
            f"{source}: {lines} lines for the {frames} frames of the sequence; expected one box a "
            "frame, the first frame's included"
        )


def box_line(box: Iterable[float], decimals: int | None) -> str:
    """Return a box as text; no decimals: as many as tell the number from all others."""
    if decimals is None:
        return ",".join(repr(float(v)) for v in box)
    # adding 0 turns the -0.000 of a value just below 0 into 0.000
    return ",".join(f"{round(float(v), decimals) + 0.0:.{decimals}f}" for v in box)


def box_lines(boxes: NDArray[np.float64], base: int, decimals: int | None) -> list[str]:
    """Return the lines of a file of boxes (n, 4), 0-based; one that is not there is 0,0,0,0."""
    shifted = boxes + np.array([base, base, 0, 0])
    # no toolkit reads NaN, and none finds an overlap with an empty box
    return [box_line(b, decimals) if np.isfinite(b).all() else "0,0,0,0" for b in shifted]


def read_times(path: Path, frames: int, repetitions: int) -> NDArray[np.float64]:
    """Return the seconds (repetitions, frames) of a file with a column for each repetition.

    A frame without a time is NaN. Raises InputError that names the line or the count.
    """
    expected = f"the seconds of up to {repetitions} repetitions"
    rows = parse_rows(read_text(path), str(path), range(1, repetitions + 1), expected)
    if len(rows) != frames or len({len(row) for row in rows}) > 1:
        raise InputError(f"{path}: expected {frames} lines of equal length, one a frame")
    seconds = np.full((repetitions, frames), np.nan)
    seconds[: len(rows[0])] = np.array(rows).T
    return seconds


def time_lines(seconds: Sequence[NDArray[np.float64]]) -> list[str]:
    """Return the lines of a file of times, a column for each repetition of (n,) seconds."""
    columns = np.stack(seconds, axis=1)
    return [",".join(f"{value:.8f}" for value in row) for row in columns]
