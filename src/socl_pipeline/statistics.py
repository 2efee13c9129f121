"""How far a mean can be trusted when its values come in clusters, such as the boxes of a video."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

COVERAGE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval, NaN if there is only one cluster."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: ArrayLike, clusters: ArrayLike) -> "Estimate":
        """Estimate the mean of values (n,) that come in clusters (n,), as `bootstrap_mean` does."""
        return cls(float(np.asarray(values, np.float64).mean()), *bootstrap_mean(values, clusters))

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


def bootstrap_mean(
    values: ArrayLike, clusters: ArrayLike, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval (low, high) of the mean of values (n,).

    Whole clusters are drawn with replacement, because values of one cluster are alike: single
    values would make the interval too narrow (Davison and Hinkley, Bootstrap Methods, 3.8). A
    draw's mean is over its values, so a large cluster counts as often as it has values.

    clusters: (n,) what names the cluster of each value, in any order. The same values, clusters
    and seed give the same interval. One cluster says nothing about others: its interval is NaN.
    Raises ValueError if shapes do not fit, there is no value or one is not finite.
    """
    values, clusters = np.asarray(values, np.float64), np.asarray(clusters)
    if values.ndim != 1 or not len(values) or clusters.shape != values.shape or draws < 1:
        raise ValueError(f"{values.shape} values, {clusters.shape} clusters, {draws} draws")
    if not np.isfinite(values).all():
        raise ValueError("a value is not finite")
    _, members = np.unique(clusters, return_inverse=True)
    counts = np.bincount(members)
    if len(counts) == 1:
        return float("nan"), float("nan")
    means = _drawn_means(np.bincount(members, values), counts, draws, seed)
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def _drawn_means(
    sums: NDArray[np.number], counts: NDArray[np.number], draws: int, seed: int
) -> NDArray[np.floating]:
    """Return the mean (draws,) of each draw of as many clusters as there are."""
    drawn = np.random.default_rng(seed).integers(len(sums), size=(draws, len(sums)))
    return np.asarray(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
