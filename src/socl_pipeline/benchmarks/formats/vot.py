"""VOT's trajectories: a line a frame, which is a code, a rectangle or a polygon.

Codes (both toolkits): 1 the tracker was started here, 2 it failed here, 0 nothing was asked of it.
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.benchmarks.formats.text import box_line, check_count, parse_rows, read_text
from socl_pipeline.benchmarks.tracks import FAILED, INITIALISED, SKIPPED, TRACKED, Run
from socl_pipeline.errors import InputError

CODES = {0: SKIPPED, 1: INITIALISED, 2: FAILED}
EXPECTED = "a code 0, 1 or 2, a rectangle of 4 or a polygon of at least 6 numbers"
COUNTS = (1, 4, *range(6, 202, 2))
# The binary form of the Python toolkit (0.5 and later): little-endian; a version and a count,
# then for each frame the kind of its region and its numbers
HEADER, VERSION = "<hI", 1
SPECIAL, RECTANGLE, POLYGON = 0, 1, 2


def read_trajectory(path: Path, frames: int, base: int) -> Run:
    """Return the pass in a trajectory file, .txt or .bin; times are unknown.

    Of a polygon the smallest upright box around it is kept. Raises InputError that names the line
    (.bin: the frame).
    """
    if path.suffix == ".bin":
        rows = _binary_rows(path)
    else:
        rows = parse_rows(read_text(path), str(path), COUNTS, EXPECTED)
    check_count(len(rows), frames, str(path))
    boxes = np.full((frames, 4), np.nan)
    states = np.full(frames, TRACKED, np.int8)
    for i, row in enumerate(rows):
        if len(row) == 1:
            if row[0] not in CODES:
                raise InputError(f"{path}, line {i + 1}: expected {EXPECTED}, found {row[0]:g}")
            states[i] = CODES[int(row[0])]
        else:
            boxes[i] = row if len(row) == 4 else bounding_box(np.array(row))
    boxes[:, :2] -= base
    return Run(boxes, np.full(frames, np.nan), states)


def bounding_box(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upright box x, y, w, h (4,) around corners x, y, x, y... (2 k,).

    Corners are the centres of pixels, of which the box covers those of both ends.
    """
    points = corners.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    return np.concatenate([low, high - low + 1])


def trajectory_lines(run: Run, base: int, decimals: int | None) -> list[str]:
    """Return the lines of a trajectory file."""
    codes = {state: code for code, state in CODES.items()}
    shifted = run.boxes + np.array([base, base, 0, 0])
    lines = []
    for box, state in zip(shifted, run.states.tolist(), strict=True):
        if state != TRACKED:
            lines.append(str(codes[state]))
        else:
            lines.append(box_line(box, decimals) if np.isfinite(box).all() else "0,0,0,0")
    return lines


def _binary_rows(path: Path) -> list[list[float]]:
    """Return what a text file would hold. Raises InputError for masks and broken files."""
    data = path.read_bytes()
    try:
        version, count = struct.unpack_from(HEADER, data)
        if version != VERSION:
            raise InputError(f"{path}: version {version} of VOT's binary format; expected 1")
        rows, at = [], struct.calcsize(HEADER)
        for frame in range(count):
            row, at = _binary_region(path, data, at, frame)
            rows.append(row)
    except struct.error:
        raise InputError(f"{path}: ends too early; copy the file again") from None
    return rows


def _binary_region(path: Path, data: bytes, at: int, frame: int) -> tuple[list[float], int]:
    """Return the numbers of the region at byte `at`, and where the next one begins."""
    (kind,) = struct.unpack_from("<B", data, at)
    if kind == POLYGON:
        (points,) = struct.unpack_from("<H", data, at + 1)
        layout, start = f"<{2 * points}f", at + 3
    elif kind in (SPECIAL, RECTANGLE):
        layout, start = ("<I" if kind == SPECIAL else "<4f"), at + 1
    else:
        raise InputError(
            f"{path}, frame {frame}: a mask or a point; expected a rectangle or a polygon, which "
            "is what VOT2013 to VOT2019 take"
        )
    row = [float(v) for v in struct.unpack_from(layout, data, start)]
    return row, start + struct.calcsize(layout)
