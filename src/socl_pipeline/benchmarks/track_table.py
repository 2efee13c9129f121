"""Reads the tables that stage `track` writes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from socl_pipeline.benchmarks.tracks import CRASHED, MISSING, Run, Track
from socl_pipeline.errors import InputError


@dataclass(frozen=True, eq=False)
class Tracks:
    """A tracker's tracks on a benchmark, by sequence, and the sequences it has no results of."""

    tracks: Mapping[str, Track]
    missing: tuple[str, ...] = ()


def read_tracks(path: Path, frames: Mapping[str, int]) -> Tracks:
    """Read the tracks of sequences with these numbers of frames.

    Raises InputError if a sequence is neither complete nor named as missing in the table.
    """
    table = pq.read_table(path)
    crashed: dict[str, str] = json.loads((table.schema.metadata or {}).get(CRASHED, "{}"))
    missing = tuple(n for n in _missing(table.schema) if n in frames)
    runs = runs_of(table)
    tracks = {}
    for name, length in frames.items():
        if name in missing:
            continue
        found = runs.get(name, [])
        lengths = {len(run.boxes) for run in found}
        if lengths != {length}:
            raise InputError(
                f"{path}: {min(lengths, default=0)} boxes of {name}, its truth has {length}; run "
                "`socl track` again"
            )
        tracks[name] = Track(tuple(found), crashed.get(name))
    if not tracks:
        raise InputError(f"{path}: none of the {len(frames)} sequences is in it: nothing to score")
    return Tracks(tracks, missing)


def read_runs(path: Path) -> tuple[dict[str, list[Run]], list[str]]:
    """Return the passes over each sequence of a table, in its order, and what sequences it lacks.

    Raises InputError if the table is not there.
    """
    if not path.is_file():
        raise InputError(f"{path}: not built yet; run `socl track`")
    table = pq.read_table(path)
    return runs_of(table), _missing(table.schema)


def _missing(schema: pa.Schema) -> list[str]:
    """Return the sequences of which the tracker of a table has no results."""
    found: list[str] = json.loads((schema.metadata or {}).get(MISSING, "[]"))
    return found


def runs_of(table: pa.Table) -> dict[str, list[Run]]:
    """Return the passes over each sequence of a table of tracks.

    Rows of one stand together, in the order of frames.
    """
    names = table["sequence"].combine_chunks().dictionary_encode()
    sequences = names.indices.to_numpy()
    repetitions = table["repetition"].to_numpy()
    boxes = np.stack([table[c].to_numpy() for c in "xywh"], axis=1)
    seconds, states = table["seconds"].to_numpy(), table["state"].to_numpy().astype(np.int8)
    starts = np.flatnonzero(np.diff(sequences) | np.diff(repetitions)) + 1
    runs: dict[str, list[Run]] = {}
    for begin, end in zip([0, *starts], [*starts, len(sequences)], strict=True):
        if begin < end:
            name = names.dictionary[int(sequences[begin])].as_py()
            run = Run(boxes[begin:end], seconds[begin:end], states[begin:end])
            runs.setdefault(name, []).append(run)
    return runs


def digest_tracks(table: pa.Table) -> str:
    """Return a hash of boxes and states; the clock is not part of the result."""
    digest = hashlib.sha256("\n".join(table["sequence"].unique().to_pylist()).encode())
    for column in ("repetition", "state", *"xywh"):
        digest.update(table[column].to_numpy().tobytes())
    return digest.hexdigest()
