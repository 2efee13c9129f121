"""Tracks to score, and their scores, in the form that every protocol takes and gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.errors import InputError

FloatArray = NDArray[np.float64]

TRACKED, INITIALISED, FAILED, SKIPPED = 0, 1, 2, 3
"""Column `state` of a tracks table: SKIPPED frames follow a failure, and have no box."""

CRASHED = b"crashed"
"""Metadata key of a tracks table: JSON, the error's sentence by the name of each sequence in which
the tracker crashed."""

MISSING = b"missing"
"""Metadata key of a tracks table: JSON, the names of the sequences of which a foreign tracker has
no results; they have no rows, and its scores leave them out."""


@dataclass(frozen=True, eq=False)
class Run:
    """One pass of a tracker over the n frames of a sequence.

    boxes: (n, 4) x, y, w, h, 0-based, NaN where there is none. seconds: (n,) spent on each frame.
    states: (n,) int8, of `TRACKED`, `INITIALISED`, `FAILED` and `SKIPPED`.
    """

    boxes: FloatArray
    seconds: FloatArray
    states: NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Track:
    """All passes of a tracker over a sequence; `failed` is the sentence of a crash, if any."""

    runs: tuple[Run, ...]
    failed: str | None = None

    def crash(self, run: Run) -> int | None:
        """Return in which frame of one of its passes without restarts the tracker crashed.

        None where it did not: frames at the end may have no box because it found nothing there.
        """
        failed = np.flatnonzero(run.states == FAILED)
        return int(failed[0]) if self.failed is not None and len(failed) else None


@dataclass(frozen=True, eq=False)
class Score:
    """The score of a sequence, or of a benchmark.

    values: by name in `protocols.METRICS`. curves: by name in `protocols.CURVES`, at the
    protocol's thresholds. frames: how many the values rest on.
    """

    values: Mapping[str, float]
    curves: Mapping[str, FloatArray]
    frames: int


@dataclass(frozen=True, eq=False)
class TrackerScore:
    """A tracker's score on a benchmark and on each of its sequences, by name."""

    overall: Score
    sequences: Mapping[str, Score]


def mean_values(scores: Sequence[Score], weights: Sequence[float] | None = None) -> Score:
    """Return the mean of scores, such as those of repetitions, with the first one's `frames`.

    weights: of the scores; None: they are equal.
    """
    first, *others = scores
    if not others:
        return first

    def mean(found: list[Any]) -> Any:
        return np.average(found, axis=0, weights=weights)

    return Score(
        values={name: float(mean([s.values[name] for s in scores])) for name in first.values},
        curves={name: mean([s.curves[name] for s in scores]) for name in first.curves},
        frames=first.frames,
    )


def fitting(predicted: ArrayLike, truth: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return a track and its truth as float arrays (n, 4).

    Raises InputError if one has another shape or they differ in length.
    """
    track, target = box_rows(predicted, "predicted"), box_rows(truth, "true")
    if len(track) != len(target):
        raise InputError(
            f"The track has {len(track)} boxes but the truth has {len(target)}: "
            "give one predicted box for every frame of the truth."
        )
    return track, target


def box_rows(rows: ArrayLike, name: str) -> FloatArray:
    """Return boxes as a float array (n, 4). Raises InputError that names them for other shapes."""
    array = np.asarray(rows, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 4:
        raise InputError(f"The {name} boxes have shape {array.shape}: expected (frames, 4).")
    return array
