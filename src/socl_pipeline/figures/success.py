"""Success plot: the share of frames by how well the boxes overlap."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from socl_pipeline.figures.ranked_curves import Curves, ranked_curves, share_axis
from socl_pipeline.figures.style import OKABE_ITO


def success_plot(
    curves: Curves,
    title: str = "Success plot of OPE",
    *,
    score: str = "AUC",
    colors: Sequence[str] = OKABE_ITO,
    order: Sequence[str] = (),
) -> Figure:
    """Draw success curves (points,) over overlap thresholds 0 to 1, each with its score.

    One-pass evaluation has 21 points (TPAMI 2015), GOT-10k 101. The legend is sorted by score,
    best first. Raises InputError for no curves or curves of different lengths.
    """
    fig, ax = ranked_curves(
        curves,
        (0.0, 1.0),
        title=title,
        xlabel="Overlap threshold",
        ylabel="Success rate",
        score=score,
        colors=colors,
        order=order,
    )
    share_axis(ax)
    return fig
