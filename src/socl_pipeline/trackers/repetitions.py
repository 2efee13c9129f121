"""How often a tracker runs over a sequence, and what makes its runs repeatable."""

import hashlib
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch

from socl_pipeline.benchmarks.tracks import Run
from socl_pipeline.trackers.base import Tracker

IDENTICAL_RUNS = 3  # VOT and GOT-10k: a tracker that has given the same thrice goes on giving it


def is_deterministic(tracker: Tracker) -> bool:
    """Return whether a tracker says that all its runs are the same: attribute `deterministic`.

    One that says nothing is repeated, until its first `IDENTICAL_RUNS` runs are the same.
    """
    return bool(getattr(tracker, "deterministic", False))


def repeat(run: Callable[[int], Run], limit: int, deterministic: bool) -> list[Run]:
    """Return the runs 0, 1, 2 ... at most `limit`, one if the tracker is deterministic.

    `run(repetition)` makes one. Three that are the same, box for box, end them if they are the
    first. A crash does not: it costs its own run, not those that would have followed.
    """
    runs: list[Run] = []
    for repetition in range(1 if deterministic else limit):
        runs.append(run(repetition))
        if len(runs) == IDENTICAL_RUNS and _same(runs):
            break
    return runs


def seed_generators(sequence: str, repetition: int) -> None:
    """Seed random, NumPy and torch for a run, so that it does not depend on what ran before."""
    digest = hashlib.sha256(f"{sequence}\0{repetition}".encode()).digest()
    seed = int.from_bytes(digest[:4], "little")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  trackers of others draw from the global generator
    torch.manual_seed(seed)


def _same(runs: Sequence[Run]) -> bool:
    return all(np.array_equal(runs[0].boxes, run.boxes, equal_nan=True) for run in runs[1:])
