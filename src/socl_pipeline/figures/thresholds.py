"""Success and precision plots: the share of frames that are within a threshold, over all of them.

Wu, Lim and Yang, "Object Tracking Benchmark", TPAMI 2015; normalised precision: Mueller et al.,
"TrackingNet", ECCV 2018, section 4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from socl_pipeline.benchmarks.ope import PRECISION_SCORE_PX
from socl_pipeline.figures.ranked_curves import Curves, ranked_curves
from socl_pipeline.figures.style import OKABE_ITO, RULE


@dataclass(frozen=True)
class ThresholdAxes:
    """What a plot is of.

    ends: thresholds between which the points of its curves lie evenly. at: the threshold that is
    marked if the curves' values there are the scores; None: no threshold is.
    """

    name: str
    ends: tuple[float, float]
    xlabel: str
    ylabel: str
    at: float | None = None


SUCCESS = ThresholdAxes("Success", (0.0, 1.0), "Overlap threshold", "Success rate")
PRECISION = ThresholdAxes(
    "Precision", (0.0, 50.0), "Location error threshold [px]", "Precision", PRECISION_SCORE_PX
)
NORM_PRECISION = ThresholdAxes(
    "Normalised precision",
    (0.0, 0.5),
    "Location error threshold [sides of the true box]",
    "Normalised precision",
    0.2,  # at which LaSOT reads it, in sides of the true box
)


def threshold_plot(
    axes: ThresholdAxes,
    curves: Curves,
    title: str,
    *,
    score: str,
    colors: Sequence[str] = OKABE_ITO,
    order: Sequence[str] = (),
) -> Figure:
    """Draw curves (points,) over the thresholds of their axes, each with its score.

    score: what it is called. The legend is sorted by it, best first. Raises InputError for no
    curves or curves of different lengths.
    """
    fig, ax = ranked_curves(
        curves,
        axes.ends,
        title=title,
        xlabel=axes.xlabel,
        ylabel=axes.ylabel,
        score=score,
        colors=colors,
        order=order,
    )
    if axes.at is not None and _are_values(curves, axes.at / axes.ends[1]):
        ax.axvline(axes.at, color=RULE, linewidth=0.8, zorder=1)
    ax.set_ylim(0, 1)
    ax.set_yticks(np.linspace(0, 1, 6))
    return fig


def _are_values(curves: Curves, share: float) -> bool:
    """Return whether every score is its curve's value at a share of the axis, no area under it."""
    for curve, score in curves.values():
        values = np.asarray(curve, dtype=np.float64)
        if not np.isclose(values[round((len(values) - 1) * share)], score, rtol=0, atol=1e-9):
            return False
    return True
