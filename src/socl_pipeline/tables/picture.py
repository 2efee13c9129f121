"""A table as a picture: rows and rules, and what is missing below."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from socl_pipeline.tables.text import Grid

_FONT = 10  # points
_CHARACTER = 0.078  # inches, the mean width at that size
_BOLD = 1.25  # times as wide, with the capitals of a header
_LINE = 0.27  # inches
_MARGIN = 0.2  # inches
NOTE_LINE = 0.19  # inches, at the size of a note
_MIN_WIDTH = 5.0  # inches


def table_picture(title: str, grids: Sequence[Grid], notes: Sequence[str]) -> Figure:
    """Draw blocks of a table one below the other, with notes at the foot."""
    widths = [_widths(grid) for grid in grids]
    heading = _CHARACTER * 1.25 * len(title)
    width = 2 * _MARGIN + max([_MIN_WIDTH, heading, *(sum(w) for w in widths)])
    lines = note_lines(notes, width - 2 * _MARGIN)
    rows = sum(len(g.rows) + 0.6 + _header_lines(g) + bool(g.title) for g in grids)
    height = 2 * _MARGIN + (rows + 1.3) * _LINE + len(lines) * NOTE_LINE
    fig = Figure(figsize=(width, height), facecolor="white")
    ax = fig.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_axis_off()
    ax.set(xlim=(0, width), ylim=(height, 0))  # in inches, from the top
    y = _MARGIN + _LINE / 2
    ax.text(_MARGIN, y, title, fontsize=12, weight="bold", va="center")
    y += 1.3 * _LINE
    for grid, columns in zip(grids, widths, strict=True):
        y = _draw_grid(ax, grid, columns, y)
    for line in lines:
        ax.text(_MARGIN, y, line, fontsize=8, color="#444444", va="center", parse_math=False)
        y += NOTE_LINE
    return fig


def _widths(grid: Grid) -> list[float]:
    """Return the width of each column in inches; the header is bold."""
    columns = zip(grid.header, *grid.rows, strict=True)
    longest = (
        max(_BOLD * max(map(len, _head(head))), *map(len, texts)) for head, *texts in columns
    )
    return [_CHARACTER * (length + 4) for length in longest]


def _draw_grid(ax: Any, grid: Grid, widths: Sequence[float], y: float) -> float:
    """Draw one block from y downwards, in inches; returns where the next begins."""
    right = _MARGIN + np.cumsum(widths)
    ends = (_MARGIN, float(right[-1]))
    if grid.title:
        ax.text(
            _MARGIN, y, grid.title, fontsize=_FONT, style="italic", va="center", parse_math=False
        )
        y += _LINE
    _rule(ax, ends, y - _LINE / 2, 1.2)
    for i, row in enumerate((*_header_rows(grid), *grid.rows)):
        weight = "bold" if i < _header_lines(grid) else "normal"
        ax.text(_MARGIN, y, row[0], fontsize=_FONT, weight=weight, va="center")
        for x, text in zip(right[1:], row[1:], strict=True):
            ax.text(x, y, text, fontsize=_FONT, weight=weight, va="center", ha="right")
        y += _LINE
        if i == _header_lines(grid) - 1:
            _rule(ax, ends, y - _LINE / 2, 0.7)
    _rule(ax, ends, y - _LINE / 2, 1.2)
    return y + 0.6 * _LINE


def _head(text: str) -> list[str]:
    """Return the one or two lines of a header: `AUC` above `on otb100`."""
    what, on, where = text.partition(" on ")
    return [what, f"on {where}"] if on else [text]


def _header_lines(grid: Grid) -> int:
    return max(len(_head(text)) for text in grid.header)


def _header_rows(grid: Grid) -> list[list[str]]:
    """Return the header as rows; a header of a single line stands in the last."""
    lines = _header_lines(grid)
    heads = [_head(text) for text in grid.header]
    padded = [[""] * (lines - len(head)) + head for head in heads]
    return [list(row) for row in zip(*padded, strict=True)]


def _rule(ax: Any, ends: tuple[float, float], y: float, width: float) -> None:
    ax.plot(ends, (y, y), color="black", linewidth=width, solid_capstyle="butt")


def note_lines(notes: Sequence[str], width: float) -> list[str]:
    """Return notes as lines that fit into a width in inches; code marks are left out."""
    plain = (note.replace("`", "") for note in notes)
    return [line for note in plain for line in wrap(note, int(width / (_CHARACTER * 0.8)))]
