"""Lists and tables of numbers in text files; what does not parse is named with file and line."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.errors import InputError

DELIMITERS = re.compile(r"[,\s;]+")  # OTB's files alone use commas, tabs and blanks


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
    lines = read_lines(path)
    rows = [parse_row(path, i, line, (columns,)) for i, line in enumerate(lines, start=1)]
    if expected is not None and len(rows) != expected:
        raise InputError(f"{path}: {len(rows)} lines for {expected} frames")
    return np.array(rows, dtype=np.float64).reshape(len(rows), columns)


def read_flags(path: Path, expected: int) -> NDArray[np.bool_]:
    """Return flags (expected,), which may stand on one line or on many; above 0 is true.

    Raises InputError if there are fewer or more, or one is not a number.
    """
    fields = [f for line in read_lines(path) for f in DELIMITERS.split(line) if f]
    try:
        flags = np.array([float(f) for f in fields]) > 0
    except ValueError:
        raise InputError(f"{path}: expected {expected} flags of 0 or 1, found other text") from None
    if len(flags) != expected:
        raise InputError(f"{path}: {len(flags)} flags, expected {expected}")
    return flags


def read_attributes(path: Path, names: tuple[str, ...]) -> frozenset[str]:
    """Return which of `names` a file with a flag for each sets; none if there is no such file."""
    if not path.exists():
        return frozenset()
    flags = read_flags(path, len(names))
    return frozenset(name for name, flag in zip(names, flags, strict=True) if flag)


def read_lines(path: Path) -> list[str]:
    """Return a text file's lines without the empty ones at its end."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: the annotation file is missing") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; copy it again") from None
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def parse_row(path: Path, number: int, line: str, columns: tuple[int, ...]) -> list[float]:
    """Return the numbers of line `number`; InputError unless they are one of `columns` many."""
    fields = [f for f in DELIMITERS.split(line.strip()) if f]
    try:
        row = [float(f) for f in fields]
    except ValueError:
        row = []
    if len(row) not in columns:
        wanted = " or ".join(str(c) for c in columns)
        raise InputError(f"{path}, line {number}: expected {wanted} numbers, found {line!r}")
    return row
