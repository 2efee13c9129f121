"""The figures of one benchmark, from the rows of its scores table."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from matplotlib.figure import Figure

from socl_pipeline.benchmarks.protocols import Protocol
from socl_pipeline.datasets.manifest import Constants, VotConstants
from socl_pipeline.figures.accuracy_robustness import ar_plot
from socl_pipeline.figures.attributes import MIN_ATTRIBUTES, attribute_means, attribute_radar
from socl_pipeline.figures.eao import eao_curve_plot, eao_rank_plot
from socl_pipeline.figures.speed import speed_plot
from socl_pipeline.figures.thresholds import NORM_PRECISION, PRECISION, SUCCESS, threshold_plot

FIGURES = (
    *("success", "precision", "norm_precision"),
    *("eao", "eao_rank", "ar", "attributes", "speed"),
)
"""The names of all figures, in the order in which they are shown."""

Row = Mapping[str, Any]


class Style(TypedDict):
    """What all figures of a benchmark share: a tracker looks the same in each."""

    colors: Sequence[str]
    order: Sequence[str]


@dataclass(frozen=True)
class BenchmarkScores:
    """What the figures of a benchmark show.

    name: of the benchmark. rows: of the scores table. attributes: of each sequence, by its name;
    empty sets where the benchmark has none.
    """

    name: str
    protocol: Protocol
    constants: Constants
    rows: Sequence[Row]
    attributes: Mapping[str, frozenset[str]]

    @property
    def quality(self) -> str:
        """The metric that ranks trackers."""
        return self.protocol.headline[0]

    @property
    def sequence_quality(self) -> str | None:
        """The first of the protocol's metrics that single sequences have: EAO is of all."""
        sequences = [r for r in self.rows if r["sequence"] is not None]
        known = (m for m in self.protocol.headline if any(_known(r[m]) for r in sequences))
        return next(known, None)

    @property
    def means(self) -> list[Row]:
        """The rows of whole benchmarks, one a tracker."""
        return [r for r in self.rows if r["sequence"] is None]

    @property
    def order(self) -> list[str]:
        """What figures call all trackers, in whose order they have their styles."""
        return [_shown(r) for r in self.means]

    def curves(self, curve: str, metric: str) -> dict[str, tuple[Sequence[float], float]]:
        """Return each tracker's curve and the score that ranks it; those without are left out."""
        return {
            _shown(r): (r[curve], r[metric])
            for r in self.means
            if r[curve] is not None and _known(r[metric])
        }

    def points(self, across: str, up: str) -> dict[str, tuple[float, float]]:
        """Return two figures of each tracker; those that lack one are left out."""
        return {
            _shown(r): (r[across], r[up]) for r in self.means if _known(r[across]) and _known(r[up])
        }


@dataclass(frozen=True)
class Drawn:
    """A figure, the name of its files, and what it shows, in words."""

    name: str
    figure: Figure
    caption: str


def benchmark_figures(scores: BenchmarkScores, colors: Sequence[str]) -> list[Drawn]:
    """Return the figures that a benchmark's scores allow, in the order in which they are shown."""
    style: Style = {"colors": colors, "order": scores.order}
    return [
        Drawn(name, figure, f"{caption} of {_trackers(len(shown))} on {scores.name}")
        for draw in (_curve_plots, _vot_plots, _radar, _speed)
        for name, figure, caption, shown in draw(scores, style)
    ]


def _trackers(count: int) -> str:
    return "1 tracker" if count == 1 else f"{count} trackers"


_Figures = Iterator[tuple[str, Figure, str, Collection[str]]]
"""Name, figure, caption, and the trackers that it shows."""


def _curve_plots(scores: BenchmarkScores, style: Style) -> _Figures:
    for name, metric, axes in (
        ("success", scores.quality, SUCCESS),
        ("precision", "precision", PRECISION),
        ("norm_precision", "norm_precision", NORM_PRECISION),
    ):
        if curves := scores.curves(f"{name}_curve", metric):
            title = f"{axes.name} on {scores.name}"
            label = scores.protocol.label(metric)
            figure = threshold_plot(axes, curves, title, score=label, **style)
            yield name, figure, f"{axes.name} plot", curves


def _vot_plots(scores: BenchmarkScores, style: Style) -> _Figures:
    constants = scores.constants
    if not isinstance(constants, VotConstants):
        return
    if curves := scores.curves("eao_curve", "eao"):
        title = f"Expected average overlap on {scores.name}"
        figure = eao_curve_plot(curves, constants.eao_interval, title, **style)
        yield "eao", figure, "Expected overlap by sequence length", curves
        ranked = {name: score for name, (_, score) in curves.items()}
        figure = eao_rank_plot(ranked, f"EAO on {scores.name}", **style)
        yield "eao_rank", figure, "EAO ranking", ranked
    if points := scores.points("reliability", "accuracy"):
        title = f"Accuracy and robustness on {scores.name}"
        figure = ar_plot(points, constants.sensitivity, title, **style)
        yield "ar", figure, "AR plot", points


def _radar(scores: BenchmarkScores, style: Style) -> _Figures:
    metric = scores.sequence_quality
    if metric is None:
        return
    by_tracker: dict[str, dict[str, float]] = {}
    for row in scores.rows:
        if row["sequence"] is not None and _known(row[metric]):
            by_tracker.setdefault(row["tracker"], {})[row["sequence"]] = row[metric]
    full = {t: own for t, own in by_tracker.items() if own.keys() == scores.attributes.keys()}
    means, counts = attribute_means(full, scores.attributes)
    if full and len(counts) >= MIN_ATTRIBUTES:
        label = "Accuracy" if metric == "accuracy" else scores.protocol.label(metric)
        title = f"{label} by attribute of {scores.name}"
        figure = attribute_radar(means, counts, title, **style)
        yield "attributes", figure, f"{label} by attribute", means


def _speed(scores: BenchmarkScores, style: Style) -> _Figures:
    label = scores.protocol.label(scores.quality)
    points = {n: p for n, p in scores.points("frames_per_second", scores.quality).items() if p[0]}
    if points:
        title = f"Speed and {label} on {scores.name}"
        figure = speed_plot(points, label, title, **style)
        yield "speed", figure, f"Speed and {label}", points


def _shown(mean: Row) -> str:
    """Return what figures call a tracker: with what is missing, its score is of the others."""
    return f"{mean['tracker']} ({mean['missing']} missing)" if mean["missing"] else mean["tracker"]


def _known(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))
