"""Tracks to score, and their scores, in the form that every protocol takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """All passes of a tracker over a sequence; `failed` is the sentence of the crash, if any."""

    runs: tuple[Run, ...]
    failed: str | None = None


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
