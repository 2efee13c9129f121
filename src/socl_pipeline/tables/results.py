"""The figures of a table: scores of its runs, their mean and spread over seeds, differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.benchmarks.protocols import METRICS, Protocol
from socl_pipeline.benchmarks.tracks import TrackerScore
from socl_pipeline.statistics import Estimate
from socl_pipeline.tables.cells import Cell

FloatArray = NDArray[np.float64]
_AS_SHARES = ("eao",)  # printed as 0.244 by everybody; other shares are percents


@dataclass(frozen=True, eq=False)
class Result:
    """One cell's scores by one metric on one benchmark, in the unit in which it is shown.

    label: what the benchmark's protocol calls the metric.
    seeds: the benchmark's score (seeds,) of each training. reference: the cell that it is compared
    with. difference: to that cell, paired by sequence, with its 95 % interval over sequences. Both
    None without one; the difference also where the score is no mean over sequences (EAO, AO).
    """

    cell: Cell
    benchmark: str
    metric: str
    label: str
    seeds: FloatArray
    reference: Cell | None = None
    difference: Estimate | None = None

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(self.seeds.mean())

    @property
    def spread(self) -> float | None:
        """The sample standard deviation over seeds; None for a single one."""
        return float(self.seeds.std(ddof=1)) if len(self.seeds) > 1 else None


def scale(metric: str) -> float:
    """Return what scores are multiplied with to be shown: most shares are percents."""
    return 100.0 if METRICS[metric].unit == "share" and metric not in _AS_SHARES else 1.0


def digits(metric: str) -> int:
    """Return how many decimals the metric is shown with."""
    return 1 if scale(metric) == 100 else 3


def shown_metrics(wanted: Sequence[str], protocol: Protocol) -> tuple[str, ...]:
    """Return what a table shows of a benchmark: the metrics it wants, or the one that ranks.

    `mean_iou` is given by every protocol of one pass, though none is ranked by it.
    """
    one_pass = "auc" in protocol.headline
    given = {*protocol.headline, *(("mean_iou",) if one_pass else ())}
    return tuple(m for m in wanted if m in given) or protocol.headline[:1]


def table_results(
    cells: Sequence[Cell],
    wanted: Sequence[str],
    protocols: Mapping[str, Protocol],
    scores: Mapping[str, Mapping[str, TrackerScore]],
    references: Mapping[Cell, Cell],
) -> list[Result]:
    """Return the results of all cells on all benchmarks.

    wanted: the table's metrics (`shown_metrics`). protocols: of each benchmark. scores: by
    benchmark, then by the role of a run (`Cell.role`). references: what each cell is compared
    with (`references.references`).
    """
    results = []
    for benchmark, runs in scores.items():
        protocol = protocols[benchmark]
        for metric in shown_metrics(wanted, protocol):
            own = {c: [runs[c.role(benchmark, t)] for t in c.trackers] for c in cells}
            for cell, found in own.items():
                seeds = _overall(found, metric)
                base = references.get(cell)
                gap = None if base is None else _difference(found, own[base], metric)
                label = protocol.label(metric)
                results.append(Result(cell, benchmark, metric, label, seeds, base, gap))
    return results


def _overall(runs: Sequence[TrackerScore], metric: str) -> FloatArray:
    return scale(metric) * np.array([r.overall.values[metric] for r in runs], dtype=np.float64)


def _by_sequence(runs: Sequence[TrackerScore], metric: str) -> FloatArray:
    """Return the scores (sequences, seeds) of runs; NaN where the metric has none."""
    values = [[s.values.get(metric, np.nan) for s in r.sequences.values()] for r in runs]
    return scale(metric) * np.array(values, dtype=np.float64).T


def _difference(
    runs: Sequence[TrackerScore], base: Sequence[TrackerScore], metric: str
) -> Estimate | None:
    if len({tuple(r.sequences) for r in (*runs, *base)}) > 1:  # results of some are missing
        return None
    for side in (runs, base):
        if not np.allclose(_by_sequence(side, metric).mean(axis=0), _overall(side, metric)):
            return None
    gaps = _by_sequence(runs, metric).mean(axis=1) - _by_sequence(base, metric).mean(axis=1)
    return Estimate.of(gaps, np.arange(len(gaps)))
