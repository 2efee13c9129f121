"""Figures of the report: success and precision curves, and training metrics.

Every function returns a `matplotlib.figure.Figure` of its own and leaves pyplot and the global
settings alone, so figures can be drawn in any thread and without a display.

Lines differ in colour and in dash pattern: they stay apart for colour-blind readers and in grey
print. A name keeps its style when the same mapping order is used again, whatever its score.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.benchmarks.ope import (
    PRECISION_SCORE_PX,
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
)
from socl_pipeline.errors import InputError

FloatArray = NDArray[np.float64]
Curves = Mapping[str, tuple[ArrayLike, float]]
"""Per tracker its curve and the score that ranks it."""

OKABE_ITO: tuple[str, ...] = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#000000",  # black
)
"""The palette of Okabe and Ito, "Color Universal Design" (2008), without its yellow, which is
too pale for a thin line on white."""

# Offset and on-off lengths in line widths. Six patterns against seven colours: 42 distinct pairs.
_DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)),
    (0, (10, 2.5)),
)

_SIZE = (5.2, 4.0)  # inches
_PAD = 0.1  # inches around the axes
_LEGEND_WIDTH = 2.0  # inches added for a legend beside the axes
_MAX_INSIDE = 5  # a longer legend would cover curves
_RULE = "#888888"
_FEW_POINTS = 30  # a running mean over fewer would mostly show its own lag
_MAX_SMOOTHING = 0.9999


def success_plot(
    curves: Curves, title: str = "Success plot of OPE", colors: Sequence[str] = OKABE_ITO
) -> Figure:
    """Draw success curves (21,) at `SUCCESS_THRESHOLDS`, each with its AUC in [0, 1].

    The legend is sorted by AUC, best first. Raises InputError for no or misshapen curves.
    """
    fig, ax = _score_axes(title, "Overlap threshold", "Success rate", len(curves))
    _draw_curves(ax, SUCCESS_THRESHOLDS, curves, colors)
    _add_legend(ax, len(curves), "AUC")
    return fig


def precision_plot(
    curves: Curves, title: str = "Precision plot of OPE", colors: Sequence[str] = OKABE_ITO
) -> Figure:
    """Draw precision curves (51,) at `PRECISION_THRESHOLDS`, each with its value at 20 px.

    A thin rule marks 20 px. The legend is sorted by score, best first. Raises InputError for no
    or misshapen curves.
    """
    fig, ax = _score_axes(title, "Location error threshold [px]", "Precision", len(curves))
    ax.axvline(PRECISION_SCORE_PX, color=_RULE, linewidth=0.9, zorder=1)
    _draw_curves(ax, PRECISION_THRESHOLDS, curves, colors)
    _add_legend(ax, len(curves), f"Precision at {PRECISION_SCORE_PX} px")
    return fig


def loss_plot(
    steps: ArrayLike,
    series: Mapping[str, ArrayLike],
    title: str = "Training loss",
    *,
    ylabel: str = "Loss",
    smoothing: float = 0.9,
    log_scale: bool = False,
    colors: Sequence[str] = OKABE_ITO,
) -> Figure:
    """Draw training metrics (n,) over steps (n,): a smoothed line over the faint raw one.

    A series of at most 30 values is drawn as it is, with markers.

    Args:
        steps: x values (n,).
        series: name and values (n,) of each metric; NaN where a step has none.
        title: title of the figure.
        ylabel: what the values are, with their unit.
        smoothing: weight of the past in the running mean, in [0, 0.9999]; 0 draws raw lines only.
        log_scale: whether the y axis is logarithmic.
        colors: line colours, in the order of `series`.

    Raises:
        InputError: no series, a series whose length differs from the steps, or a bad smoothing.
    """
    x = np.asarray(steps, dtype=np.float64)
    if not series:
        raise InputError("There is no series to plot: give at least one.")
    if not 0 <= smoothing <= _MAX_SMOOTHING:
        raise InputError(f"Smoothing {smoothing} is outside [0, {_MAX_SMOOTHING}].")
    fig, ax = _axes(title, "Step", ylabel, len(series))
    for index, (name, values) in enumerate(series.items()):
        y = _checked(values, x.shape, f"series {name!r}")
        _draw_series(ax, x, y, name, smoothing, line_style(index, colors))
    if log_scale:
        ax.set_yscale("log")
    ax.margins(x=0.01)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    if len(series) > 1:
        _add_legend(ax, len(series), None)
    return fig


def running_mean(values: ArrayLike, smoothing: float) -> FloatArray:
    """Return the exponential running mean (n,) of finite values (n,).

    The mean is divided by the sum of its weights (Kingma and Ba, "Adam", 2015, section 3), so it
    starts at the first value instead of at 0.
    """
    raw = np.asarray(values, dtype=np.float64)
    out = np.empty_like(raw)
    total = weight = 0.0
    for index, value in enumerate(raw):
        total = smoothing * total + (1 - smoothing) * value
        weight = smoothing * weight + (1 - smoothing)
        out[index] = total / weight
    return out


def figure_png(fig: Figure, dpi: int = 160) -> bytes:
    """Return the figure as PNG bytes; equal figures give equal bytes."""
    buffer = BytesIO()
    # The default metadata name the matplotlib release: the same plot would differ after an update.
    fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _axes(title: str, xlabel: str, ylabel: str, entries: int) -> tuple[Figure, Any]:
    width, height = _SIZE
    extra = _LEGEND_WIDTH if entries > _MAX_INSIDE else 0
    layout = ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD)
    fig = Figure(figsize=(width + extra, height), layout=layout, facecolor="white")
    ax = fig.add_subplot()
    ax.set_title(title, fontsize=12)
    ax.set_xlabel(xlabel, fontsize=11)
    ax.set_ylabel(ylabel, fontsize=11)
    ax.tick_params(labelsize=10)
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return fig, ax


def _score_axes(title: str, xlabel: str, ylabel: str, entries: int) -> tuple[Figure, Any]:
    fig, ax = _axes(title, xlabel, ylabel, entries)
    ax.set_ylim(0, 1)
    ax.set_yticks(np.linspace(0, 1, 6))
    return fig, ax


def _draw_curves(ax: Any, thresholds: FloatArray, curves: Curves, colors: Sequence[str]) -> None:
    if not curves:
        raise InputError("There is no curve to plot: give at least one.")
    styles = {name: line_style(index, colors) for index, name in enumerate(curves)}
    ranking = sorted(curves, key=lambda name: -curves[name][1])
    for place, name in enumerate(ranking):
        curve, score = curves[name]
        color, dashes = styles[name]
        ax.plot(
            thresholds,
            _checked(curve, thresholds.shape, f"curve of {name!r}"),
            color=color,
            linestyle=dashes,
            linewidth=2.0,
            label=f"[{score:.3f}] {name}",
            zorder=3 - place / len(ranking),  # the best on top
            clip_on=False,  # a line along an edge of the axes keeps its full width
        )
    ax.set_xlim(thresholds[0], thresholds[-1])


def _draw_series(
    ax: Any, steps: FloatArray, values: FloatArray, name: str, smoothing: float, style: Any
) -> None:
    color, dashes = style
    known = np.isfinite(values)  # the line joins over the gaps of metrics that are logged rarely
    x, y = steps[known], values[known]
    few = len(x) <= _FEW_POINTS
    if smoothing > 0 and not few:
        ax.plot(x, y, color=color, linewidth=0.8, alpha=0.25, zorder=2)
        y = running_mean(y, smoothing)
    marker = "o" if few else None
    line = {"color": color, "linestyle": dashes, "linewidth": 1.8, "marker": marker}
    ax.plot(x, y, **line, markersize=4, label=name, zorder=3)


def line_style(index: int, colors: Sequence[str]) -> tuple[str, Any]:
    """Return the colour and dash pattern of the line at a place in the order of names."""
    return colors[index % len(colors)], _DASHES[index % len(_DASHES)]


def _add_legend(ax: Any, entries: int, title: str | None) -> None:
    place: dict[str, Any] = {"loc": "best"}
    if entries > _MAX_INSIDE:
        place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0.0}
    legend = ax.legend(
        **place, title=title, fontsize=9, title_fontsize=9, handlelength=3.2, framealpha=0.9
    )
    legend.set_alignment("left")
    legend.get_frame().set(edgecolor="#CCCCCC", linewidth=0.6)


def _checked(values: ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise InputError(f"The {name} has shape {array.shape}: expected {shape}.")
    return array
