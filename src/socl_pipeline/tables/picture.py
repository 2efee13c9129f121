"""A table's results as a picture: rows and rules, or curves over the axis."""

import re
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from socl_pipeline.figures.style import OKABE_ITO, line_style
from socl_pipeline.settings import PaperFigures, TableSettings
from socl_pipeline.tables.cells import HOURS
from socl_pipeline.tables.results import METRICS, Result
from socl_pipeline.tables.text import Grid

_FONT = 10  # points
_CHARACTER = 0.078  # inches, the mean width at that size
_BOLD = 1.25  # times as wide, with the capitals of a header
_LINE = 0.27  # inches
_MARGIN = 0.2  # inches
_NOTE_LINE = 0.19  # inches
_MIN_WIDTH = 5.0  # inches
_PANEL = (4.8, 3.6)  # inches
_PAPER_MARKERS = "sD^v<>"  # one for each of the paper's benchmarks; our own points are discs


def table_picture(title: str, grids: Sequence[Grid], note: str) -> Figure:
    """Draw blocks of a table one below the other, with a note at the foot."""
    widths = [_widths(grid) for grid in grids]
    heading = _CHARACTER * 1.25 * len(title)
    width = 2 * _MARGIN + max(_MIN_WIDTH, heading, *(sum(w) for w in widths))
    lines = wrap(note, int((width - 2 * _MARGIN) / (_CHARACTER * 0.8)))
    rows = sum(len(g.rows) + 1.6 + bool(g.title) for g in grids)
    height = 2 * _MARGIN + (rows + 1.3) * _LINE + len(lines) * _NOTE_LINE
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
        ax.text(_MARGIN, y, line, fontsize=8, color="#444444", va="center")
        y += _NOTE_LINE
    return fig


def _widths(grid: Grid) -> list[float]:
    """Return the width of each column in inches; the header is bold."""
    columns = zip(grid.header, *grid.rows, strict=True)
    longest = (max(_BOLD * len(head), *map(len, texts)) for head, *texts in columns)
    return [_CHARACTER * (length + 4) for length in longest]


def _draw_grid(ax: Any, grid: Grid, widths: Sequence[float], y: float) -> float:
    """Draw one block from y downwards, in inches; returns where the next begins."""
    right = _MARGIN + np.cumsum(widths)
    ends = (_MARGIN, float(right[-1]))
    if grid.title:
        ax.text(_MARGIN, y, grid.title, fontsize=_FONT, style="italic", va="center")
        y += _LINE
    _rule(ax, ends, y - _LINE / 2, 1.2)
    for i, row in enumerate((grid.header, *grid.rows)):
        weight = "bold" if i == 0 else "normal"
        ax.text(_MARGIN, y, row[0], fontsize=_FONT, weight=weight, va="center")
        for x, text in zip(right[1:], row[1:], strict=True):
            ax.text(x, y, text, fontsize=_FONT, weight=weight, va="center", ha="right")
        y += _LINE
        if i == 0:
            _rule(ax, ends, y - _LINE / 2, 0.7)
    _rule(ax, ends, y - _LINE / 2, 1.2)
    return y + 0.6 * _LINE


def _rule(ax: Any, ends: tuple[float, float], y: float, width: float) -> None:
    ax.plot(ends, (y, y), color="black", linewidth=width, solid_capstyle="butt")


def curve_picture(
    settings: TableSettings,
    results: Sequence[Result],
    note: str,
    colors: Sequence[str] = OKABE_ITO,
) -> Figure:
    """Draw a curve for each row over the axis, side by side for each benchmark and metric.

    A row with a single figure is a level line. Bars and bands are the spread over seeds. Open
    markers are figures that the paper printed by the same metric at the same place of the axis.
    """
    panels: dict[str, list[Result]] = {}
    for r in results:
        panels.setdefault(f"{METRICS[r.metric]} on {r.benchmark} [%]", []).append(r)
    width, height = _PANEL[0] * len(panels), _PANEL[1]
    lines = wrap(note, int(width / (_CHARACTER * 0.85)))
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    full = height + _NOTE_LINE * len(lines)
    fig = Figure(figsize=(width, full), layout=layout, facecolor="white")
    fig.suptitle(settings.title, fontsize=12)
    for ax, (name, found) in zip(
        np.ravel(fig.subplots(1, len(panels), squeeze=False)), panels.items(), strict=True
    ):
        _draw_panel(ax, settings, found, colors)
        ax.set_ylabel(name, fontsize=11)
        ax.set_xlabel(settings.axis, fontsize=11)
    fig.supxlabel("\n".join(lines), fontsize=8, color="#444444", x=0.02, ha="left")
    return fig


def _draw_panel(
    ax: Any, settings: TableSettings, results: Sequence[Result], colors: Sequence[str]
) -> None:
    ticks: Mapping[float, str] = {
        r.cell.x: r.cell.column for r in results if r.cell.x is not None and r.cell.column
    }
    handles = []
    for i, row in enumerate(settings.rows):
        own = [r for r in results if r.cell.row == row.label]
        color, dashes = line_style(i, colors)
        line = {"color": color, "linestyle": dashes, "linewidth": 1.8, "label": row.label}
        spread = np.array([r.spread or 0.0 for r in own])
        mean = np.array([r.mean for r in own])
        if own[0].cell.x is None:
            handles.append(ax.axhline(mean[0], **line))
            if spread[0]:
                ax.axhspan(mean[0] - spread[0], mean[0] + spread[0], color=color, alpha=0.12, lw=0)
        else:
            x = [r.cell.x for r in own]
            bars = spread if spread.any() else None
            handles.append(ax.errorbar(x, mean, bars, **line, marker="o", markersize=5, capsize=3))
    handles += _draw_paper(ax, settings, METRICS[results[0].metric], ticks, colors)
    if settings.columns == HOURS:
        ax.set_xscale("log")  # budgets are usually multiples of each other
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.minorticks_off()
    ax.tick_params(labelsize=10)
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.06, y=0.12)
    ax.legend(handles=handles, fontsize=9, handlelength=3.2, framealpha=0.9)


def _draw_paper(
    ax: Any,
    settings: TableSettings,
    metric: str,
    ticks: Mapping[float, str],
    colors: Sequence[str],
) -> list[Any]:
    """Draw the paper's points in the colours of their rows; returns what the legend names."""
    handles = []
    figures = (f for f in settings.paper if f.metric == metric)
    for drawn, marker in zip(figures, _PAPER_MARKERS, strict=False):
        style = {"linestyle": "none", "marker": marker, "markersize": 8, "fillstyle": "none"}
        found = False
        for i, row in enumerate(settings.rows):
            if points := _paper_points(drawn, row.label, ticks):
                ax.plot(*zip(*points, strict=True), color=line_style(i, colors)[0], **style)
                found = True
        if found:
            label = f"paper, {drawn.benchmark}"
            handles += ax.plot([], [], color="#444444", label=label, **style)
    return handles


def _paper_points(
    figures: PaperFigures, row: str, ticks: Mapping[float, str]
) -> list[tuple[float, float]]:
    """Return a row's printed figures as (x, value) where columns mean a place that is drawn."""
    places = {_quantity(label): x for x, label in ticks.items()}
    pairs = zip(figures.columns, figures.rows.get(row, ()), strict=False)
    return [
        (places[quantity], value)
        for column, value in pairs
        if value is not None and (quantity := _quantity(column)) in places
    ]


def _quantity(label: str) -> tuple[float, str] | str:
    """Return number and unit of a label such as `110 h`, or one that is no quantity as it is."""
    found = re.fullmatch(r"\s*([-+]?\d+(?:\.\d+)?)\s*(\D*?)\s*", label)
    return (float(found[1]), found[2]) if found else label
