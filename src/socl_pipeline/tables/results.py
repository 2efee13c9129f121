"""The figures of a table: scores of its runs, their mean and spread over seeds, differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.benchmarks.ope import OpeScore
from socl_pipeline.statistics import Estimate
from socl_pipeline.tables.cells import Cell

METRICS = {"auc": "AUC", "precision": "P@20", "mean_iou": "AO"}
"""Attributes of `OpeScore` that a table may show, and what they are called."""

FloatArray = NDArray[np.float64]
SequenceScores = Sequence[OpeScore]


@dataclass(frozen=True, eq=False)
class Result:
    """One cell's scores by one metric on one benchmark, in percent.

    values: (sequences, seeds). difference: to the reference cell, paired by sequence, with its
    95 % interval over sequences; None for the reference itself and where there is none.
    """

    cell: Cell
    benchmark: str
    metric: str
    values: FloatArray
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
) -> list[Result]:
    """Return the results of all cells on all benchmarks.

    scores: by benchmark, then by the role of a run (`Cell.role`), the score of each sequence.
    """
    results = []
    for benchmark, runs in scores.items():
        for metric in metrics:
            own = {c: _values(c, benchmark, metric, runs) for c in cells}
            for cell, values in own.items():
                base = own.get(_reference(cell, cells))  # type: ignore[arg-type]
                results.append(Result(cell, benchmark, metric, values, _difference(values, base)))
    return results


def _values(
    cell: Cell, benchmark: str, metric: str, runs: Mapping[str, SequenceScores]
) -> FloatArray:
    by_seed = [
        [getattr(s, metric) for s in runs[cell.role(benchmark, tracker)]]
        for tracker in cell.trackers
    ]
    return 100 * np.array(by_seed, dtype=np.float64).T


def _reference(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """Return what a cell is compared with: the first row, or in a single row the first column."""
    first = cells[0].row
    if all(c.row == first for c in cells):
        found: Cell | None = cells[0]
    else:
        same = (c for c in cells if c.row == first and c.column == cell.column)
        found = next(same, None)
    return None if found == cell else found


def _difference(values: FloatArray, base: FloatArray | None) -> Estimate | None:
    if base is None:
        return None
    gaps = values.mean(axis=1) - base.mean(axis=1)
    return Estimate.of(gaps, np.arange(len(gaps)))
