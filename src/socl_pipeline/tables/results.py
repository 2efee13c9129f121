"""The figures of a table: scores of its runs, their mean and spread over seeds, differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.benchmarks.tracks import Score
from socl_pipeline.statistics import Estimate
from socl_pipeline.tables.cells import Cell

METRICS = {"auc": "AUC", "precision": "P@20", "mean_iou": "AO"}
"""Figures of a score that a table may show, and what they are called."""

FloatArray = NDArray[np.float64]
SequenceScores = Sequence[Score]


@dataclass(frozen=True, eq=False)
class Result:
    """One cell's scores by one metric on one benchmark, in percent.

    values: (sequences, seeds). reference: the cell that it is compared with. difference: to that
    cell, paired by sequence, with its 95 % interval over sequences. Both None without one.
    """

    cell: Cell
    benchmark: str
    metric: str
    values: FloatArray
    reference: Cell | None = None
    difference: Estimate | None = None

    @property
    def seeds(self) -> FloatArray:
        """The mean over sequences of each seed (seeds,)."""
        return np.asarray(self.values.mean(axis=0))

    @property
    def mean(self) -> float:
        """The mean over seeds and sequences."""
        return float(self.values.mean())

    @property
    def spread(self) -> float | None:
        """The sample standard deviation over seeds; None for a single one."""
        return float(self.seeds.std(ddof=1)) if len(self.seeds) > 1 else None


def table_results(
    cells: Sequence[Cell],
    metrics: Sequence[str],
    scores: Mapping[str, Mapping[str, SequenceScores]],
    references: Mapping[Cell, Cell],
) -> list[Result]:
    """Return the results of all cells on all benchmarks.

    scores: by benchmark, then by the role of a run (`Cell.role`), the score of each sequence.
    references: what each cell is compared with (`references.references`).
    """
    results = []
    for benchmark, runs in scores.items():
        for metric in metrics:
            own = {c: _values(c, benchmark, metric, runs) for c in cells}
            for cell, values in own.items():
                base = references.get(cell)
                gap = None if base is None else _difference(values, own[base])
                results.append(Result(cell, benchmark, metric, values, base, gap))
    return results


def _values(
    cell: Cell, benchmark: str, metric: str, runs: Mapping[str, SequenceScores]
) -> FloatArray:
    by_seed = [
        [s.values[metric] for s in runs[cell.role(benchmark, tracker)]] for tracker in cell.trackers
    ]
    return 100 * np.array(by_seed, dtype=np.float64).T


def _difference(values: FloatArray, base: FloatArray) -> Estimate:
    gaps = values.mean(axis=1) - base.mean(axis=1)
    return Estimate.of(gaps, np.arange(len(gaps)))
