"""Precision plots: the share of frames by how far the centres are apart."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from socl_pipeline.benchmarks.ope import PRECISION_SCORE_PX
from socl_pipeline.figures.ranked_curves import Curves, ranked_curves, share_axis
from socl_pipeline.figures.style import OKABE_ITO, RULE

PRECISION_ENDS = (0.0, 50.0)
"""Centre errors in pixels between which precision is drawn (TPAMI 2015)."""
NORM_PRECISION_ENDS = (0.0, 0.5)
"""Centre errors in sides of the true box (TrackingNet, ECCV 2018, section 4.2)."""


def precision_plot(
    curves: Curves,
    title: str = "Precision plot of OPE",
    *,
    score: str = f"Precision at {PRECISION_SCORE_PX} px",
    mark: float | None = PRECISION_SCORE_PX,
    colors: Sequence[str] = OKABE_ITO,
    order: Sequence[str] = (),
) -> Figure:
    """Draw precision curves (points,) over 0 to 50 px, each with its score.

    mark: where a thin rule stands, in px. The legend is sorted by score, best first. Raises
    InputError for no curves or curves of different lengths.
    """
    fig, ax = ranked_curves(
        curves,
        PRECISION_ENDS,
        title=title,
        xlabel="Location error threshold [px]",
        ylabel="Precision",
        score=score,
        colors=colors,
        order=order,
    )
    _rule(ax, mark)
    share_axis(ax)
    return fig


def norm_precision_plot(
    curves: Curves,
    title: str = "Normalised precision plot of OPE",
    *,
    score: str = "Normalised precision",
    mark: float | None = None,
    colors: Sequence[str] = OKABE_ITO,
    order: Sequence[str] = (),
) -> Figure:
    """Draw normalised precision curves (points,) over errors of 0 to 0.5 sides of the true box.

    mark: where a thin rule stands. The legend is sorted by score, best first. Raises InputError
    for no curves or curves of different lengths.
    """
    fig, ax = ranked_curves(
        curves,
        NORM_PRECISION_ENDS,
        title=title,
        xlabel="Location error threshold [sides of the true box]",
        ylabel="Normalised precision",
        score=score,
        colors=colors,
        order=order,
    )
    _rule(ax, mark)
    share_axis(ax)
    return fig


def _rule(ax: object, mark: float | None) -> None:
    if mark is not None:
        ax.axvline(mark, color=RULE, linewidth=0.8, zorder=1)  # type: ignore[attr-defined]
