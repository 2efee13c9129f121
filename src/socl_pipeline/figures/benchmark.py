"""The figures of one benchmark, from the rows of its scores table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from socl_pipeline.benchmarks.ope import PRECISION_SCORE_PX
from socl_pipeline.benchmarks.protocols import METRICS, Protocol
from socl_pipeline.datasets.manifest import Constants, VotConstants
from socl_pipeline.figures.accuracy_robustness import ar_plot
from socl_pipeline.figures.attributes import MIN_ATTRIBUTES, attribute_means, attribute_radar
from socl_pipeline.figures.eao import eao_curve_plot, eao_rank_plot
from socl_pipeline.figures.precision import (
    NORM_PRECISION_ENDS,
    PRECISION_ENDS,
    norm_precision_plot,
    precision_plot,
)
from socl_pipeline.figures.ranked_curves import Curves
from socl_pipeline.figures.speed import speed_plot
from socl_pipeline.figures.success import success_plot

_NORM_PRECISION_SCORE = 0.2  # LaSOT's threshold, in sides of the true box

Row = Mapping[str, Any]


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
    def means(self) -> list[Row]:
        """The rows of whole benchmarks, one a tracker."""
        return [r for r in self.rows if r["sequence"] is None]

    def curves(self, curve: str, metric: str) -> dict[str, tuple[Sequence[float], float]]:
        """Return each tracker's curve and the score that ranks it; those without are left out."""
        return {
            r["tracker"]: (r[curve], r[metric])
            for r in self.means
            if r[curve] is not None and _known(r[metric])
        }

    def points(self, across: str, up: str) -> dict[str, tuple[float, float]]:
        """Return two figures of each tracker; those that lack one are left out."""
        return {
            r["tracker"]: (r[across], r[up])
            for r in self.means
            if _known(r[across]) and _known(r[up])
        }


@dataclass(frozen=True)
class Drawn:
    """A figure, the name of its files, and what it shows, in words."""

    name: str
    figure: Figure
    caption: str


def benchmark_figures(scores: BenchmarkScores, colors: Sequence[str]) -> list[Drawn]:
    """Return the figures that a benchmark's scores allow, in the order in which they are shown."""
    return [
        Drawn(name, figure, f"{caption} of {len(scores.means)} trackers on {scores.name}")
        for draw in (_curve_plots, _vot_plots, _radar, _speed)
        for name, figure, caption in draw(scores, colors)
    ]


_Figures = Iterator[tuple[str, Figure, str]]


def _curve_plots(scores: BenchmarkScores, colors: Sequence[str]) -> _Figures:
    plots: list[tuple[str, str, Callable[..., Figure], str, dict[str, Any]]] = []
    success = scores.curves("success_curve", scores.quality)
    precision = scores.curves("precision_curve", "precision")
    normal = scores.curves("norm_precision_curve", "norm_precision")
    mark = {"mark": _mark(precision, PRECISION_ENDS, PRECISION_SCORE_PX)}
    norm_mark = {"mark": _mark(normal, NORM_PRECISION_ENDS, _NORM_PRECISION_SCORE)}
    plots = [
        ("success", scores.quality, success_plot, "Success", {}),
        ("precision", "precision", precision_plot, "Precision", mark),
        (
            "norm_precision",
            "norm_precision",
            norm_precision_plot,
            "Normalised precision",
            norm_mark,
        ),
    ]
    for (name, metric, plot, title, extra), curves in zip(
        plots, (success, precision, normal), strict=True
    ):
        if curves:
            label = METRICS[metric].label
            figure = plot(curves, f"{title} on {scores.name}", score=label, colors=colors, **extra)
            yield name, figure, f"{title} plot"


def _vot_plots(scores: BenchmarkScores, colors: Sequence[str]) -> _Figures:
    constants = scores.constants
    if not isinstance(constants, VotConstants):
        return
    if curves := scores.curves("eao_curve", "eao"):
        title = f"Expected average overlap on {scores.name}"
        figure = eao_curve_plot(curves, constants.eao_interval, title, colors=colors)
        yield "eao", figure, "Expected overlap by sequence length"
        ranked = {name: score for name, (_, score) in curves.items()}
        figure = eao_rank_plot(ranked, f"EAO on {scores.name}", colors=colors)
        yield "eao_rank", figure, "EAO ranking"
    if points := scores.points("reliability", "accuracy"):
        title = f"Accuracy and robustness on {scores.name}"
        yield "ar", ar_plot(points, constants.sensitivity, title, colors=colors), "AR plot"


def _radar(scores: BenchmarkScores, colors: Sequence[str]) -> _Figures:
    metric = "auc" if scores.quality == "auc" else "mean_iou"
    by_tracker: dict[str, dict[str, float]] = {}
    for row in scores.rows:
        if row["sequence"] is not None and _known(row[metric]):
            by_tracker.setdefault(row["tracker"], {})[row["sequence"]] = row[metric]
    full = {t: own for t, own in by_tracker.items() if own.keys() == scores.attributes.keys()}
    means, counts = attribute_means(full, scores.attributes)
    if full and len(counts) >= MIN_ATTRIBUTES:
        title = f"{METRICS[metric].label} by attribute of {scores.name}"
        figure = attribute_radar(means, counts, title, colors=colors)
        yield "attributes", figure, f"{METRICS[metric].label} by attribute"


def _speed(scores: BenchmarkScores, colors: Sequence[str]) -> _Figures:
    label = METRICS[scores.quality].label
    points = {n: p for n, p in scores.points("frames_per_second", scores.quality).items() if p[0]}
    if points:
        title = f"Speed and {label} on {scores.name}"
        yield "speed", speed_plot(points, label, title, colors=colors), f"Speed and {label}"


def _mark(curves: Curves, ends: tuple[float, float], at: float) -> float | None:
    """Return the threshold if every score is the curve's value there, and not an area under it."""
    for curve, score in curves.values():
        values = np.asarray(curve, dtype=np.float64)
        value = values[round((len(values) - 1) * at / ends[1])]
        if not np.isclose(value, score, rtol=0, atol=1e-9):
            return None
    return at


def _known(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))
