"""Passes over sequences as our track tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from socl_pipeline.benchmarks.tracks import FAILED, TRACKED, Run


def table_of(runs: Mapping[str, Sequence[Run]], schema: pa.Schema, first: int = 0) -> pa.Table:
    """Return the track table of the repetitions of each sequence, counted from `first` on."""
    passes = [(name, i, run) for name, found in runs.items() for i, run in enumerate(found, first)]
    columns = {
        "sequence": [name for name, _, run in passes for _ in run.seconds],
        "repetition": _column([np.full(len(r.seconds), i) for _, i, r in passes]),
        "frame": _column([np.arange(len(r.seconds)) for _, _, r in passes]),
        "seconds": _column([r.seconds for _, _, r in passes]),
        "state": _column([r.states for _, _, r in passes]),
    } | {c: _column([r.boxes[:, k] for _, _, r in passes]) for k, c in enumerate("xywh")}
    arrays = [pa.array(columns[f.name], f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def lost_frames(run: Run, resets: bool) -> int:
    """Return how many frames should have a box and have none: those from a crash on.

    resets: whether a failure is none (VOT's protocol).
    """
    asked = (TRACKED,) if resets else (TRACKED, FAILED)
    return int((np.isin(run.states, asked) & ~np.isfinite(run.boxes).all(axis=1)).sum())


def _column(pieces: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(pieces) if pieces else np.zeros(0)
