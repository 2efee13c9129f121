"""AR plot of VOT's reset protocol: how well the boxes overlap, and how rarely a tracker fails."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from socl_pipeline.figures.scatter import scatter
from socl_pipeline.figures.style import OKABE_ITO


def ar_plot(
    points: Mapping[str, tuple[float, float]],
    sensitivity: float,
    title: str = "AR plot",
    *,
    colors: Sequence[str] = OKABE_ITO,
    order: Sequence[str] = (),
) -> Figure:
    """Draw (reliability, accuracy) in [0, 1] of each tracker; the upper right is best.

    Reliability is the probability that S frames are tracked without a failure, S being the
    sensitivity (VOT2013 report, section 3.2; 30 in the toolkits). Raises InputError for no points.
    """
    fig, ax = scatter(
        points,
        title=title,
        xlabel=f"Robustness: share without failure in {sensitivity:g} frames",
        ylabel="Accuracy",
        colors=colors,
        order=order,
    )
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    return fig
