"""Is a TOP-map store what was written? Every file against the ledger, and the repair of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from socl_pipeline.annotation.table import read_points
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import SUMMARY, lock, read_summary
from socl_pipeline.top.store.ledger import (
    Entry,
    entry_file,
    file_hash,
    read_entry,
    seal,
    shard_done,
    shard_file,
)
from socl_pipeline.top.store.left_out import restore_reasons
from socl_pipeline.top.store.store import COLUMNS, UNWRITTEN, TopStore, index_digest

Fault = Literal["missing", "corrupt", "foreign"]


@dataclass(frozen=True)
class ShardFault:
    """What is wrong with a shard. `stop` is behind its last row; `reason` is a clause."""

    shard: int
    start: int
    stop: int
    fault: Fault
    reason: str


@dataclass(frozen=True)
class StoreCheck:
    """The outcome of a check. sizes: bytes on disk of each array, the ledger and the metadata.

    index_reason: what is wrong with the columns that say which frame a row is; "" if nothing.
    """

    frames: int
    shards: int
    faults: list[ShardFault]
    sizes: dict[str, int]
    index_reason: str

    @property
    def sound(self) -> bool:
        """Whether the store is complete and holds what was written."""
        return not self.faults and not self.index_reason

    @property
    def bytes_per_frame(self) -> float:
        """Bytes on disk, everything included, by finished or broken frame; 0 if there is none."""
        missing = sum(f.stop - f.start for f in self.faults if f.fault == "missing")
        written = self.frames - missing
        return sum(self.sizes.values()) / written if written else 0.0


def check_store(path: Path) -> StoreCheck:
    """Check every shard of a store. Raises InputError if it cannot be opened."""
    store = TopStore(path)
    return StoreCheck(
        len(store),
        len(store.shards),
        list(_Checker(store).faults()),
        array_sizes(path),
        _index_reason(store),
    )


@dataclass
class _Checker:
    """Checks shard by shard; `entries` are the sealed ones, read when a file is looked for."""

    store: TopStore
    entries: dict[int, Entry] = field(default_factory=dict)

    def faults(self) -> Iterator[ShardFault]:
        for shard, (start, stop) in enumerate(self.store.shards):
            if found := self._fault(shard):
                yield ShardFault(shard, start, stop, *found)

    def _fault(self, shard: int) -> tuple[Fault, str] | None:
        path, group = self.store.path, self.store.group
        if not shard_done(path, shard):
            return "missing", "not in the ledger, so it was not finished"
        entry = read_entry(group, shard)
        if entry is None:
            return "corrupt", f"{entry_file(path, shard).relative_to(path)} is damaged"
        if not np.array_equal(entry[-1], seal(group, shard, entry[:-1])):
            return "foreign", "its ledger entry was written for another store or position"
        for i, name in enumerate(COLUMNS):
            file = shard_file(path, group, name, shard)
            shown = file.relative_to(path)
            if not file.exists():
                return "corrupt", f"{shown} is gone"
            found = file_hash(file)
            if not np.array_equal(found, entry[i]):
                other = self._owner(i, found)
                if other is not None:
                    return "foreign", f"{shown} is the file of shard {other}"
                return "corrupt", f"{shown} is not what was written (damaged, cut or replaced)"
        return None

    def _owner(self, column: int, digest: Entry) -> int | None:
        """Return the shard whose ledger entry has this hash for a column."""
        if not self.entries:
            shards = [s for s in range(len(self.store.shards)) if shard_done(self.store.path, s)]
            read = {s: read_entry(self.store.group, s) for s in shards}
            self.entries = {s: entry for s, entry in read.items() if entry is not None}
        for shard, entry in self.entries.items():
            if np.array_equal(entry[column], digest):
                return shard
        return None


def _index_reason(store: TopStore) -> str:
    try:
        digest = index_digest(store.column("video"), store.column("frame"))
    except (ValueError, RuntimeError, OSError):
        return "the columns video and frame cannot be read"
    if digest != store.attributes["index_digest"]:
        return "the columns video and frame are not what was written"
    return ""


def array_sizes(path: Path) -> dict[str, int]:
    """Return the bytes on disk of each array of a store; "metadata" is that of the group."""
    folders = sorted(p for p in path.resolve().iterdir() if p.is_dir())
    sizes = {f.name: sum(p.stat().st_size for p in f.rglob("*") if p.is_file()) for f in folders}
    return sizes | {"metadata": (path / "zarr.json").stat().st_size}


def require_sound(path: Path) -> None:
    """Raise InputError if a store is not complete and as it was written."""
    check = check_store(path)
    if not check.sound:
        raise InputError(
            f"{path}: {next(sentences(check))}; run `socl check {path} --repair`, then this again"
        )


def sentences(check: StoreCheck) -> Iterator[str]:
    """Yield what is wrong with a store; neighbouring shards with the same fault share a line."""
    if check.index_reason:
        yield check.index_reason
    # consecutive numbers minus their position in the list are equal
    runs = groupby(enumerate(check.faults), lambda p: (p[1].shard - p[0], p[1].reason))
    for _, run in runs:
        faults = [fault for _, fault in run]
        first, last = faults[0], faults[-1]
        shards = f"shard {first.shard}" if first is last else f"shards {first.shard}-{last.shard}"
        reason = first.reason
        yield f"{shards} (frames {first.start} to {last.stop - 1}): {first.fault}, {reason}"


def points_mismatch(store: TopStore, table: pa.Table) -> str:
    """Return where a points table is not the one that a store was built from; "" if nowhere.

    table: with the columns video, frame, x and y.
    """
    if table.num_rows != len(store):
        return f"the points table has {table.num_rows} rows, the store {len(store)}"
    video = table["video"].combine_chunks()
    codes = {name: i for i, name in enumerate(store.video_names)}
    ours = np.array([codes.get(name, -1) for name in video.dictionary.to_pylist()])
    other = (ours[video.indices.to_numpy()] != store.column("video")) | (
        table["frame"].to_numpy() != store.column("frame")
    )
    if other.any():
        row = int(np.argmax(other))
        return (
            f"row {row} is frame {table['frame'][row]} of {table['video'][row]} in the points "
            "table, but another frame in the store"
        )
    clicks = np.stack([table[c].to_numpy() for c in "xy"], axis=1)
    moved = _written(store) & (clicks != store.column("points")).any(axis=1)
    return f"the click of row {int(np.argmax(moved))} is another one" if moved.any() else ""


def _written(store: TopStore) -> NDArray[np.bool_]:
    return np.asarray(store.column("status") != UNWRITTEN)


def repair(path: Path, results: Path) -> list[Path]:
    """Delete the broken shards of a store, so that `socl top_maps` computes them again.

    A finished artifact is reopened: its summary is deleted (the reasons of frames that were left
    out go back to where a running build keeps them) and what links to it below `results` is taken
    down, so that Snakemake sees that it is to be built. Returns those links. Raises InputError if
    the index columns are broken, which no shard can mend.
    """
    with _locked(path.resolve()) as store_path:
        check = check_store(store_path)
        if check.index_reason:
            raise InputError(
                f"{path}: {check.index_reason}; delete {store_path.parent} and run `socl top_maps`"
            )
        if not check.faults:
            return []
        store = TopStore(store_path)
        links = _reopen(store, results)
        for fault in check.faults:
            _delete_shard(store, fault.shard)
    return links


@contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """Hold the lock of the build that the store belongs to; a copy elsewhere has none."""
    folder = path.parent
    if folder.name != TopStore(path).key:
        yield path
        return
    with lock(folder.with_name(folder.name + ".lock")):
        yield path


def _reopen(store: TopStore, results: Path) -> list[Path]:
    summary = store.path.parent / SUMMARY
    links = [p for p in results.rglob("*") if p.is_symlink() and p.resolve() == store.path]
    for link in links:
        link.unlink()
        link.with_name(link.name.split(".")[0] + ".summary.json").unlink(missing_ok=True)
    if summary.exists():
        restore_reasons(store, store.path, read_summary(summary).stats.get("skipped", []))
        summary.unlink()
    return links


def _delete_shard(store: TopStore, shard: int) -> None:
    """Delete a shard, its ledger entry first: without it the rest does not count."""
    entry_file(store.path, shard).unlink(missing_ok=True)
    for name in COLUMNS:
        shard_file(store.path, store.group, name, shard).unlink(missing_ok=True)


def check_command(
    path: Path, points: Path | None = None, repair_below: Path | None = None
) -> tuple[bool, list[str]]:
    """Check a store and say in lines what is wrong and what to do; returns (sound, lines).

    points: a points table to compare with. repair_below: repair what is broken, and take down
    what links to the store below this results folder.
    """
    check = check_store(path)
    lines = [f"{path}: {sentence}" for sentence in sentences(check)]
    lines.append(_totals(check))
    mismatch = "" if points is None else points_mismatch(TopStore(path), read_points(points))
    if mismatch:
        lines.append(f"{points}: {mismatch}; give the table that the store was built from")
    if not check.sound:
        lines.append(_advice(check) if repair_below is None else _repaired(path, repair_below))
    return check.sound and not mismatch, lines


def _totals(check: StoreCheck) -> str:
    kinds = Counter(fault.fault for fault in check.faults)
    parts = [
        f"{check.shards - len(check.faults):,} sound",
        *(f"{n:,} {k}" for k, n in kinds.items()),
    ]
    return (
        f"{check.frames:,} frames in {check.shards:,} shards: {', '.join(parts)}; "
        f"{check.bytes_per_frame:.1f} bytes a frame on disk"
    )


def _advice(check: StoreCheck) -> str:
    if all(fault.fault == "missing" for fault in check.faults) and not check.index_reason:
        return "not finished: run `socl top_maps`; if that says it is, --repair here first"
    return "broken: pass --repair to delete what is wrong, then run `socl top_maps` again"


def _repaired(path: Path, results: Path) -> str:
    links = repair(path, results)
    taken = "".join(f"; {link} is taken down until then" for link in links)
    return f"deleted what was wrong: run `socl top_maps` (or Snakemake) again{taken}"
