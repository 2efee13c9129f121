"""Training metrics over steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.figures.style import LINE, OKABE_ITO, add_legend, line_style, plot_axes

FloatArray = NDArray[np.float64]

_FEW_POINTS = 30  # a running mean over fewer would mostly show its own lag
_MAX_SMOOTHING = 0.9999


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
    fig, ax = plot_axes(title, "Step", ylabel, list(series))
    for index, (name, values) in enumerate(series.items()):
        y = _checked(values, x.shape, f"series {name!r}")
        _draw_series(ax, x, y, name, smoothing, line_style(index, colors))
    if log_scale:
        ax.set_yscale("log")
    ax.margins(x=0.01)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    if len(series) > 1:
        add_legend(ax, list(series))
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
    line = {"color": color, "linestyle": dashes, "linewidth": LINE, "marker": marker}
    ax.plot(x, y, **line, markersize=3, label=name, zorder=3)


def _checked(values: ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise InputError(f"The {name} has shape {array.shape}: expected {shape}.")
    return array
