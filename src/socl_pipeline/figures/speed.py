"""Speed against quality."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from socl_pipeline.figures.scatter import scatter
from socl_pipeline.figures.style import OKABE_ITO, RULE, TICK

REAL_TIME = 25.0
"""Frames a second of PAL video, marked as real time."""
_POWERS = (0.1, 1, 10, 100, 1000)
_MOST_TICKS = 7
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def speed_plot(
    points: Mapping[str, tuple[float, float]],
    quality: str,
    title: str = "Speed and quality",
    *,
    colors: Sequence[str] = OKABE_ITO,
) -> Figure:
    """Draw (frames a second, quality) of each tracker, speed on a logarithmic axis.

    quality: what the vertical axis shows. A thin rule marks real time where it is in sight. Raises
    InputError for no points.
    """
    fig, ax = scatter(points, title=title, xlabel="Frames a second", ylabel=quality, colors=colors)
    ax.set_xscale("log")
    speeds = [speed for speed, _ in points.values()]
    low, high = min(speeds) / 1.5, max(speeds) * 1.5
    ax.set_xlim(low, high)
    seen = [t for t in _TICKS if low <= t <= high]
    if len(seen) > _MOST_TICKS:
        seen = [t for t in seen if t in _POWERS]
    ax.set_xticks(seen)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.margins(y=0.12)
    if low < REAL_TIME < high:
        ax.axvline(REAL_TIME, color=RULE, linewidth=0.8, zorder=1)
        ax.annotate(
            f"{REAL_TIME:g}/s",
            (REAL_TIME, 0.0),
            (2, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=TICK,
            color=RULE,
        )
    return fig
