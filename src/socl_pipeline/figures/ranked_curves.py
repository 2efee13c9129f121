"""Curves of trackers over a threshold, with a legend in the order of their scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.figures.style import LINE, add_legend, line_style, places, plot_axes

Curves = Mapping[str, tuple[ArrayLike, float]]
"""Per tracker its curve (points,) and the score that ranks it."""


def ranked_curves(
    curves: Curves,
    ends: tuple[float, float],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    score: str,
    colors: Sequence[str],
    order: Sequence[str] = (),
) -> tuple[Figure, Any]:
    """Draw curves whose points lie evenly between two thresholds; returns figure and axes.

    The legend is sorted by score, best first, under the score's name. order: see `style.places`.
    Raises InputError for no curves, or curves of different lengths.
    """
    drawn = checked(curves)
    styles = {name: line_style(place, colors) for name, place in places(drawn, order).items()}
    ranking = sorted(drawn, key=lambda name: -curves[name][1])
    labels = {name: f"[{curves[name][1]:.3f}] {name}" for name in ranking}
    fig, ax = plot_axes(title, xlabel, ylabel, list(labels.values()))
    for place, name in enumerate(ranking):
        color, dashes = styles[name]
        ax.plot(
            np.linspace(*ends, len(drawn[name])),
            drawn[name],
            color=color,
            linestyle=dashes,
            linewidth=LINE,
            label=labels[name],
            zorder=3 - place / len(ranking),  # the best on top
            clip_on=False,  # a line along an edge of the axes keeps its full width
        )
    ax.set_xlim(*ends)
    add_legend(ax, list(labels.values()), score)
    return fig, ax


def checked(curves: Curves) -> dict[str, NDArray[np.float64]]:
    """Return the curves as arrays (points,). Raises InputError if they cannot share an axis."""
    if not curves:
        raise InputError("There is no curve to plot: give at least one.")
    arrays = {name: np.asarray(curve, dtype=np.float64) for name, (curve, _) in curves.items()}
    first = next(iter(arrays.values()))
    for name, array in arrays.items():
        if array.ndim != 1 or array.shape != first.shape or len(array) < 2:
            raise InputError(
                f"The curve of {name!r} has shape {array.shape}: expected a vector of two points "
                f"or more, as long as the others ({first.size})."
            )
    return arrays
