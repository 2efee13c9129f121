"""How figures look: one column of a page wide, for readers who see no colours, or print in grey.

Every function returns a `matplotlib.figure.Figure` of its own and leaves pyplot and the global
settings alone, so figures can be drawn in any thread and without a display.

Lines differ in colour and in dash pattern, points in colour and in shape. A name keeps its style
when the same mapping order is used again, whatever its score, or the same `order` is given.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

OKABE_ITO: tuple[str, ...] = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#000000",  # black
)
"""The palette of Okabe and Ito, "Color Universal Design" (2008), without its yellow, which is
too pale for a thin line on white."""

# Offset and on-off lengths in line widths. Six patterns against seven colours: 42 distinct pairs.
_DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)),
    (0, (10, 2.5)),
)
_MARKERS = "osD^vPXp"  # eight shapes against seven colours: 56 distinct pairs

COLUMN_WIDTH = 3.5
"""Width of a figure in inches: a column of a two-column paper (IEEE, CVPR: 3.3 to 3.5)."""
PLOT_HEIGHT = 2.7
"""Height in inches, without a legend below."""
TITLE, LABEL, TICK, LEGEND = 9, 8.5, 7.5, 7.5  # points, at that width
LINE = 1.5  # points
GRID = "#DDDDDD"
RULE = "#888888"

_PAD = 0.05  # inches around the axes
_MAX_INSIDE = 4  # a longer legend would cover curves
_ENTRY_HEIGHT = 0.155  # inches
_CHARACTER = 0.062  # inches, the mean width in a legend
_HANDLE = 0.45  # inches


def line_style(index: int, colors: Sequence[str]) -> tuple[str, Any]:
    """Return the colour and dash pattern of the line at a place in the order of names."""
    return colors[index % len(colors)], _DASHES[index % len(_DASHES)]


def point_style(index: int, colors: Sequence[str]) -> tuple[str, str]:
    """Return the colour and marker of the point at a place in the order of names."""
    return colors[index % len(colors)], _MARKERS[index % len(_MARKERS)]


def places(names: Iterable[str], order: Sequence[str] = ()) -> dict[str, int]:
    """Return the place of each name, which gives it its style.

    order: names that stand before the others, drawn or not, so that each keeps its style in a
    figure that lacks some of them.
    """
    return {name: place for place, name in enumerate(dict.fromkeys([*order, *names]))}


def plot_axes(
    title: str,
    xlabel: str,
    ylabel: str,
    legend: Sequence[str] = (),
    *,
    below: bool = False,
    **axes: Any,
) -> tuple[Figure, Any]:
    """Return a figure and its axes.

    legend: its texts; a long one, or any that is to be `below`, makes the figure higher. axes:
    passed to `Figure.add_subplot`.
    """
    extra = (_rows(legend) + 1.5) * _ENTRY_HEIGHT if _is_below(legend, below) else 0.0
    layout = ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD)
    size = (COLUMN_WIDTH, PLOT_HEIGHT + extra)
    fig = Figure(figsize=size, layout=layout, facecolor="white")
    ax = fig.add_subplot(**axes)
    ax.set_title(title, fontsize=TITLE)
    ax.set_xlabel(xlabel, fontsize=LABEL)
    ax.set_ylabel(ylabel, fontsize=LABEL)
    ax.tick_params(labelsize=TICK)
    ax.grid(color=GRID, linewidth=0.5)
    ax.set_axisbelow(True)
    if not axes:
        ax.spines[["top", "right"]].set_visible(False)
    return fig, ax


def add_legend(
    ax: Any, texts: Sequence[str], title: str | None = None, *, below: bool = False
) -> None:
    """Add the legend of the axes' labelled artists: below if it is long or to be there.

    texts: what it will say, which decides how many columns fit.
    """
    style: dict[str, Any] = {
        "title": title,
        "fontsize": LEGEND,
        "title_fontsize": LEGEND,
        "framealpha": 0.9,
    }
    handles, labels = ax.get_legend_handles_labels()
    if _is_below(texts, below):
        columns = _columns(texts)
        legend = ax.figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=columns,
            columnspacing=1.2,
            handlelength=2.6,
            **style,
        )
    else:
        legend = ax.legend(handles, labels, loc="best", handlelength=2.6, **style)
    legend.set_alignment("left")
    legend.get_frame().set(edgecolor="#CCCCCC", linewidth=0.5)


def _is_below(texts: Sequence[str], below: bool) -> bool:
    return len(texts) > _MAX_INSIDE or (below and len(texts) > 0)


def _columns(texts: Sequence[str]) -> int:
    """Return into how many columns a legend fits."""
    width = _HANDLE + 0.15 + _CHARACTER * max(map(len, texts))
    return max(1, min(3, int(COLUMN_WIDTH / width)))


def _rows(texts: Sequence[str]) -> int:
    return -(-len(texts) // _columns(texts))
