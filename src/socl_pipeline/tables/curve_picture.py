"""A table's results as curves over its axis, and the paper's points beside them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from socl_pipeline.figures.style import GRID, OKABE_ITO, line_style
from socl_pipeline.settings import PaperFigures, TableSettings
from socl_pipeline.settings.tables import HOURS
from socl_pipeline.tables.picture import NOTE_LINE, note_lines
from socl_pipeline.tables.results import Result, scale

_PANEL = (4.8, 4.0)  # inches
NEAR = 0.08  # of the axis: closer labels would touch
_PAPER_MARKERS = "sD^v<>"  # one for each of the paper's figures; our own points are discs


def curve_picture(
    settings: TableSettings,
    results: Sequence[Result],
    notes: Sequence[str],
    colors: Sequence[str] = OKABE_ITO,
) -> Figure | None:
    """Draw a curve for each row over the axis, side by side for each benchmark and metric.

    A row with a single figure is a level line. Bars and bands are the spread over seeds. Open
    markers are figures that the paper printed: in our panels those by the same metric at the same
    places of the axis, and in panels of their own those that have no place in ours. None if there
    is nothing to draw.
    """
    panels: dict[str, list[Result]] = {}
    for r in results:
        unit = " [%]" if scale(r.metric) == 100 else ""
        panels.setdefault(f"{r.label} on {r.benchmark}{unit}", []).append(r)
    placed = [p for p in settings.paper if any(_has_place(p, found) for found in panels.values())]
    beside = [p for p in settings.paper if p not in placed and _places(p)]
    count = len(panels) + bool(beside)
    if not count:
        return None
    width, height = _PANEL[0] * count, _PANEL[1]
    lines = note_lines(notes, width - 0.4)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    full = height + NOTE_LINE * len(lines)
    fig = Figure(figsize=(width, full), layout=layout, facecolor="white")
    fig.suptitle(settings.title, fontsize=12)
    axes = list(np.ravel(fig.subplots(1, count, squeeze=False)))
    for ax, (name, found) in zip(axes, panels.items(), strict=False):
        _draw_panel(ax, settings, found, colors)
        ax.set_ylabel(name, fontsize=11)
    if beside:
        _draw_beside(axes[-1], settings, beside, colors)
    fig.supxlabel(
        "\n".join(lines), fontsize=8, color="#444444", x=0.02, ha="left", parse_math=False
    )
    return fig


def _has_place(figures: PaperFigures, results: Sequence[Result]) -> bool:
    """Return whether the paper's figures are drawn among results of one metric."""
    ticks = _ticks(results)
    same = figures.metric == results[0].label
    return same and any(_paper_points(figures, row, ticks) for row in figures.rows)


def _ticks(results: Sequence[Result]) -> dict[float, str]:
    return {r.cell.x: r.cell.column for r in results if r.cell.x is not None and r.cell.column}


def _draw_panel(
    ax: Any, settings: TableSettings, results: Sequence[Result], colors: Sequence[str]
) -> None:
    ticks = _ticks(results)
    handles = []
    for i, row in enumerate(settings.rows):
        own = [r for r in results if r.cell.row == row.label]
        if not own:
            continue
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
    drawn = [p for p in settings.paper if p.metric == results[0].label]
    handles += _draw_paper(ax, settings, drawn, ticks, colors)
    _finish(ax, settings, ticks, handles)


def _draw_beside(
    ax: Any, settings: TableSettings, figures: Sequence[PaperFigures], colors: Sequence[str]
) -> None:
    """Draw the paper's figures where ours have no place for them."""
    ticks = {x: label for p in figures for x, label in _places(p).items()}
    rows = [i for i, r in enumerate(settings.rows) if any(r.label in p.rows for p in figures)]
    handles: list[Any] = []
    for i in rows:
        color, _ = line_style(i, colors)
        handles += ax.plot([], [], color=color, linewidth=3, label=settings.rows[i].label)
    handles += _draw_paper(ax, settings, figures, ticks, colors)
    metrics = " or ".join(dict.fromkeys(p.metric for p in figures))
    ax.set_ylabel(f"{metrics} in the paper [%]", fontsize=11)
    _finish(ax, settings, ticks, handles)


def _finish(
    ax: Any, settings: TableSettings, ticks: Mapping[float, str], handles: list[Any]
) -> None:
    log = settings.columns == HOURS  # budgets are usually multiples of each other
    ax.set_xscale("log" if log else "linear")
    ax.set_xticks(sorted(ticks), staggered(ticks, log))
    ax.set_xlabel(settings.axis, fontsize=11)
    ax.minorticks_off()
    ax.tick_params(labelsize=10)
    ax.grid(color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.06, y=0.12)
    style = {"fontsize": 9, "handlelength": 3.2, "frameon": False, "borderaxespad": 0.2}
    # above the axes, where it hides no point
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, **style)


def staggered(ticks: Mapping[float, str], log: bool) -> list[str]:
    """Return the labels of ticks from left to right, a line lower where the next is too near."""
    places = np.array(sorted(ticks))
    shares = np.log(places) if log else places
    near = np.diff(shares, prepend=-np.inf) < NEAR * np.ptp(shares)
    labels: list[str] = []
    for place, is_near in zip(places, near, strict=True):
        lower = is_near and not labels[-1].startswith("\n")
        labels.append(("\n" if lower else "") + ticks[place])
    return labels


def _draw_paper(
    ax: Any,
    settings: TableSettings,
    figures: Sequence[PaperFigures],
    ticks: Mapping[float, str],
    colors: Sequence[str],
) -> list[Any]:
    """Draw the paper's points in the colours of their rows; returns what the legend names."""
    handles = []
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


def _places(figures: PaperFigures) -> dict[float, str]:
    """Return where the paper's columns lie on an axis: at the numbers that they begin with."""
    found = {column: _quantity(column) for column in figures.columns}
    return {q[0]: column for column, q in found.items() if isinstance(q, tuple)}


def _quantity(label: str) -> tuple[float, str] | str:
    """Return number and unit of a label such as `110 h`, or one that is no quantity as it is."""
    found = re.fullmatch(r"\s*([-+]?\d+(?:\.\d+)?)\s*(\D*?)\s*", label)
    return (float(found[1]), found[2]) if found else label
