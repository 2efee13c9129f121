"""Speed against quality."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from socl_pipeline.figures.scatter import scatter
from socl_pipeline.figures.style import OKABE_ITO, RULE, TICK

REAL_TIME = 25.0
"""Frames a second of PAL video, marked as real time."""
_MOST_TICKS = 7


def speed_plot(
    points: Mapping[str, tuple[float, float]],
    quality: str,
    title: str = "Speed and quality",
    *,
    colors: Sequence[str] = OKABE_ITO,
    order: Sequence[str] = (),
) -> Figure:
    """Draw (frames a second, quality) of each tracker, speed on a logarithmic axis.

    quality: what the vertical axis shows. A thin rule marks real time where it is in sight. Raises
    InputError for no points.
    """
    fig, ax = scatter(
        points,
        title=title,
        xlabel="Frames a second",
        ylabel=quality,
        colors=colors,
        order=order,
    )
    ax.set_xscale("log")
    speeds = [speed for speed, _ in points.values()]
    low, high = min(speeds) / 1.5, max(speeds) * 1.5
    ax.set_xlim(low, high)
    ax.set_xticks(_ticks(low, high))
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


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten between two speeds, or the powers alone if too many."""
    powers = [10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    seen = [m * p for p in powers for m in (1, 2, 5) if low <= m * p <= high]
    return seen if len(seen) <= _MOST_TICKS else [p for p in powers if low <= p <= high]
