"""Expected average overlap (EAO) of VOT's reset protocol: its curve and its ranking.

Definitions: Kristan et al., "The Visual Object Tracking VOT2015 Challenge Results", ICCVW 2015,
section 3.3.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from socl_pipeline.errors import InputError
from socl_pipeline.figures.ranked_curves import Curves, checked, ranked_curves
from socl_pipeline.figures.style import (
    COLUMN_WIDTH,
    GRID,
    OKABE_ITO,
    RULE,
    TICK,
    places,
    plot_axes,
    point_style,
)

_ROW = 0.2  # inches for each tracker of the ranking
_FRAME = 0.75  # inches for its title and axis


def eao_curve_plot(
    curves: Curves,
    interval: tuple[int, int],
    title: str = "Expected average overlap",
    *,
    colors: Sequence[str] = OKABE_ITO,
    order: Sequence[str] = (),
) -> Figure:
    """Draw expected overlaps (lengths,), at sequence lengths 1, 2, ..., each with its EAO.

    interval: lengths over which EAO is the mean, both included; they are shaded. The legend is
    sorted by EAO, best first. Raises InputError for no curves or curves of different lengths.
    """
    length = len(next(iter(checked(curves).values())))
    fig, ax = ranked_curves(
        curves,
        (1.0, float(length)),
        title=title,
        xlabel="Sequence length [frames]",
        ylabel="Expected overlap",
        score="EAO",
        colors=colors,
        order=order,
    )
    ax.axvspan(*interval, color=GRID, alpha=0.6, linewidth=0, zorder=0)
    for end in interval:
        ax.axvline(end, color=RULE, linewidth=0.6, zorder=1)
    ax.set_xlim(1, max(length, interval[1]))
    ax.set_ylim(0, 1)
    return fig


def eao_rank_plot(
    scores: Mapping[str, float],
    title: str = "EAO ranking",
    *,
    colors: Sequence[str] = OKABE_ITO,
    order: Sequence[str] = (),
) -> Figure:
    """Draw one line for each tracker's EAO in [0, 1], the best at the top, with the figure.

    Raises InputError for no scores.
    """
    if not scores:
        raise InputError("There is no EAO to plot: give that of at least one tracker.")
    styles = {name: point_style(place, colors) for name, place in places(scores, order).items()}
    ranking = sorted(scores, key=lambda name: scores[name])
    fig, ax = plot_axes(title, "EAO", "")
    fig.set_size_inches(COLUMN_WIDTH, _FRAME + _ROW * max(3, len(ranking)))
    for place, name in enumerate(ranking):
        color, marker = styles[name]
        ax.plot([0, scores[name]], [place, place], color=GRID, linewidth=1.2, zorder=1)
        ax.plot(scores[name], place, color=color, marker=marker, markersize=5.5, linestyle="none")
        ax.annotate(
            f"{scores[name]:.3f}",
            (scores[name], place),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=TICK,
        )
    ax.set_yticks(range(len(ranking)), ranking)
    ax.set_ylim(-0.6, len(ranking) - 0.4)
    ax.set_xlim(0, 1.2 * max(np.max([*scores.values()]), 0.05))  # room for the figures
    ax.grid(False, axis="y")
    return fig
