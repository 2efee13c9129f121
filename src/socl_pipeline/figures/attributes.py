"""Radar of attributes: the score of each tracker on the sequences that have an attribute."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.figures.style import (
    LINE,
    OKABE_ITO,
    TICK,
    TITLE,
    add_legend,
    line_style,
    places,
    plot_axes,
)

MIN_ATTRIBUTES = 3  # fewer span no area


def attribute_means(
    scores: Mapping[str, Mapping[str, float]], attributes: Mapping[str, frozenset[str]]
) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Return each tracker's mean score by attribute, and how many sequences have each.

    scores: by tracker, then sequence. attributes: of each sequence, by its name. Attributes are
    in alphabetical order; all trackers must have scores of all sequences.
    """
    members = {
        attribute: [name for name, own in attributes.items() if attribute in own]
        for attribute in sorted(frozenset().union(*attributes.values()))
    }
    means = {
        tracker: {
            attribute: float(np.mean([own[name] for name in names]))
            for attribute, names in members.items()
        }
        for tracker, own in scores.items()
    }
    return means, {attribute: len(names) for attribute, names in members.items()}


def attribute_radar(
    means: Mapping[str, Mapping[str, float]],
    counts: Mapping[str, int],
    title: str = "AUC by attribute",
    *,
    colors: Sequence[str] = OKABE_ITO,
    order: Sequence[str] = (),
) -> Figure:
    """Draw each tracker's mean score in [0, 1] on one axis for each attribute.

    means: by tracker, then attribute. counts: sequences with each attribute, in the order in which
    the axes go around; they are written behind its name. Raises InputError for no trackers or
    fewer than 3 attributes.
    """
    if not means or len(counts) < MIN_ATTRIBUTES:
        raise InputError(
            f"A radar needs a tracker and {MIN_ATTRIBUTES} attributes: there are {len(means)} "
            f"and {len(counts)}."
        )
    fig, ax = plot_axes("", "", "", list(means), below=True, projection="polar")
    fig.set_figheight(fig.get_figheight() + 0.5)  # the circle fills the width
    fig.suptitle(title, fontsize=TITLE)  # a title of the axes would lie on their names
    angles = np.linspace(0, 2 * np.pi, len(counts) + 1)
    place = places(means, order)
    for name, own in means.items():
        color, dashes = line_style(place[name], colors)
        values = [own[attribute] for attribute in counts]
        ax.plot(
            angles,
            [*values, values[0]],
            color=color,
            linestyle=dashes,
            linewidth=LINE - 0.2,
            label=name,
        )
    ax.set_theta_zero_location("N")
    ax.set_theta_direction(-1)
    ax.set_xticks(angles[:-1], [""] * len(counts))
    _name_axes(ax, counts, angles)
    top = np.ceil(10 * max(max(own.values()) for own in means.values())) / 10
    ax.set_ylim(0, max(top, 0.1))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.set_rlabel_position(180 / len(counts))  # between the first two axes
    ax.tick_params(axis="y", labelsize=TICK - 1.5, colors="#666666")
    add_legend(ax, list(means), below=True)
    return fig


def _name_axes(ax: Any, counts: Mapping[str, int], angles: NDArray[np.float64]) -> None:
    """Write the names around the circle, each beginning or ending at it."""
    for (name, count), angle in zip(counts.items(), angles, strict=False):
        right, up = np.sin(angle), np.cos(angle)
        ax.annotate(
            f"{name} ({count})".replace("_", "\n"),  # a long name beside the circle narrows it
            (0.5 + 0.53 * right, 0.5 + 0.53 * up),
            xycoords="axes fraction",
            ha="center" if abs(right) < 0.1 else "left" if right > 0 else "right",
            va="center" if abs(up) < 0.5 else "bottom" if up > 0 else "top",
            fontsize=TICK,
        )
