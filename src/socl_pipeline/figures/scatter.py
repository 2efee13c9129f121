"""Points of trackers in a plane, told apart by colour and shape."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from socl_pipeline.errors import InputError
from socl_pipeline.figures.style import add_legend, places, plot_axes, point_style


def scatter(
    points: Mapping[str, tuple[float, float]],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    colors: Sequence[str],
    order: Sequence[str] = (),
) -> tuple[Figure, Any]:
    """Draw a marker for each name at its (x, y), the highest first in the legend and on top.

    Returns figure and axes. order: see `style.places`. Raises InputError for no points.
    """
    if not points:
        raise InputError("There is no tracker to plot: give at least one.")
    ranking = sorted(points, key=lambda name: -points[name][1])
    fig, ax = plot_axes(title, xlabel, ylabel, ranking, below=True)
    place = places(points, order)
    for below, name in enumerate(ranking):
        color, marker = point_style(place[name], colors)
        ax.plot(
            *points[name],
            color=color,
            marker=marker,
            markersize=6.5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            linestyle="none",
            label=name,
            zorder=3 - below / len(ranking),  # the best of those that coincide is seen
            clip_on=False,
        )
    add_legend(ax, ranking, below=True)  # inside it would hide points
    return fig, ax
