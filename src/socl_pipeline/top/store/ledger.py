"""The ledger of a TOP-map store: what each finished shard consists of, bound to its place.

A shard's entry is (files + 1, 32) bytes: the sha256 of the shard's file of each array, and a seal
over them, the store's key and the shard's position. It is written last, in one atomic step, so
its presence finishes the shard. A file that changed no longer has its hash; an entry brought from
another store or position has the wrong seal. Entries carry a CRC-32C of their own.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec

LEDGER = "ledger"
HASH_BYTES = 32  # of sha256

Entry = NDArray[np.uint8]


def create_ledger(group: zarr.Group, shards: int, files: int) -> None:
    """Create the empty ledger of a store whose shards consist of `files` files."""
    group.create_array(
        LEDGER,
        shape=(shards, files + 1, HASH_BYTES),
        chunks=(1, files + 1, HASH_BYTES),
        dtype="uint8",
        compressors=Crc32cCodec(),
        dimension_names=("shard", "hash", "byte"),
        attributes={
            "long_name": "sha256 of each shard's files, then of these, the key and the position"
        },
    )


def write_entry(path: Path, group: zarr.Group, names: tuple[str, ...], shard: int) -> None:
    """Finish a shard whose files of the arrays `names` are written."""
    hashes = np.stack([file_hash(shard_file(path, group, name, shard)) for name in names])
    sealed = np.concatenate([hashes, seal(group, shard, hashes)[None]])
    group[LEDGER].with_config({"write_empty_chunks": True})[shard] = sealed


def read_entry(group: zarr.Group, shard: int) -> Entry | None:
    """Return a shard's entry, None if its bytes are not those that were written."""
    try:
        return np.asarray(group[LEDGER][shard])
    except (ValueError, RuntimeError, OSError):
        return None


def entry_file(path: Path, shard: int) -> Path:
    """Return the file of a shard's entry."""
    return path / LEDGER / "c" / str(shard) / "0" / "0"


def shard_done(path: Path, shard: int) -> bool:
    """Return whether a shard is finished, by its entry alone; `top.check` reads its files."""
    return entry_file(path, shard).exists()


def shard_file(path: Path, group: zarr.Group, name: str, shard: int) -> Path:
    """Return the file that holds a shard of an array."""
    array = group[name]
    return path / name / str(array.metadata.encode_chunk_key((shard,) + (0,) * (array.ndim - 1)))


def file_hash(path: Path) -> Entry:
    """Return the sha256 (32,) of a file, read in pieces."""
    with path.open("rb") as file:
        return np.frombuffer(hashlib.file_digest(file, "sha256").digest(), np.uint8)


def seal(group: zarr.Group, shard: int, hashes: Entry) -> Entry:
    """Return the sha256 (32,) that binds a shard's file hashes (files, 32) to their place."""
    place: tuple[Any, ...] = (group.attrs["key"], group.attrs["shard_frames"], shard)
    digest = hashlib.sha256(repr(place).encode() + hashes.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
