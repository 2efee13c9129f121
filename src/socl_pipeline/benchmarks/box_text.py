"""Reads the text files of results quickly: numbers split at commas, tabs, semicolons or blanks."""

import os
import re
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.errors import InputError

FloatArray = NDArray[np.float64]

_COLUMNS = 4
_EXACT_DIGITS = 15  # a whole number of so many digits is a double, and so are
_POWERS = 10.0 ** np.arange(23)  # these: their quotient is rounded once, as it must be (IEEE 754)
_POWERS.flags.writeable = False
_NEWLINE, _POINT, _ZERO, _NINE, _MINUS = (ord(c) for c in "\n.09-")
_SEPARATORS = np.zeros(256, np.bool_)
_SEPARATORS[[ord(c) for c in ",; \t\r"]] = True
_SEPARATORS.flags.writeable = False


def read_boxes(path: str | Path) -> FloatArray:
    """Return the boxes (lines, 4) of a text file, as they stand in it; NaN is one of its numbers.

    Raises InputError naming the file and the line that is not four numbers.
    """
    try:
        # a Path made of every name would cost as much as reading
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            text = file.read()
    except OSError as error:
        raise InputError(f"{path}: no such file of boxes ({error.strerror})") from None
    # the shortest line is 1,1,1,1 with its end
    boxes = np.empty((len(text) // (2 * _COLUMNS) + 1, _COLUMNS))
    lines = _parse(np.frombuffer(text, np.uint8), boxes, _SEPARATORS, _POWERS)
    return boxes[:lines] if lines >= 0 else _read_slowly(path, text)


def _read_slowly(path: str | Path, text: bytes) -> FloatArray:
    """Parse what is not plain decimals, line by line; blank lines at the end do not count."""
    lines = text.decode("utf-8-sig", errors="replace").rstrip().splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = [float(f) for f in re.split(r"[,;\s]+", line.strip().strip(",;"))]
        except ValueError:
            row = []
        if len(row) != _COLUMNS:
            raise InputError(
                f"{os.fspath(path)}, line {number}: expected {_COLUMNS} numbers, found {line!r}"
            )
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(len(rows), _COLUMNS)


@njit(cache=True, nogil=True)
def _parse(  # type: ignore[no-untyped-def]
    text, boxes, separators, powers
):
    """Fill rows of boxes with a text's plain decimals; returns their number, -1 if it has others.

    text: (bytes,) uint8. boxes: (at least as many as lines, 4). separators: (256,) bool, of bytes
    between numbers of a line. powers: (23,) of ten.
    """
    row = column = 0
    i, end = 0, len(text)
    while i < end:
        byte = text[i]
        if separators[byte]:
            i += 1
            continue
        if byte == _NEWLINE:
            if column == _COLUMNS:
                row, column = row + 1, 0
            elif column or row:  # a short line, or a blank one that may not be at the end
                return -1
            i += 1
            continue
        negative = byte == _MINUS
        i += negative
        whole, digits, decimals = 0, 0, 0
        while i < end and _ZERO <= text[i] <= _NINE:
            whole = 10 * whole + (text[i] - _ZERO)
            digits += 1
            i += 1
        if i < end and text[i] == _POINT:
            i += 1
            first = i
            while i < end and _ZERO <= text[i] <= _NINE:
                whole = 10 * whole + (text[i] - _ZERO)
                i += 1
            decimals = i - first
            digits += decimals
        if (
            not 0 < digits <= _EXACT_DIGITS
            or column == _COLUMNS
            or (i < end and text[i] != _NEWLINE and not separators[text[i]])
        ):
            return -1
        value = whole / powers[decimals]
        boxes[row, column] = -value if negative else value
        column += 1
    if column == _COLUMNS:
        return row + 1
    return -1 if column else row
