"""The TOP-map store: Zarr v3, one flat frame axis in the order of the points table.

The kept boxes and scores are the cause of a TOP map and make it exact at any resolution and
under any crop; `maps` is a rendering of them for people and other tools. One task writes one
whole shard of every array, `count` last, so a shard of `count` on disk means a finished shard.
Plain `zarr.open` and xarray read it; boxes are fixed-point numbers with a CF `scale_factor`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from socl_pipeline.errors import InputError

SCHEMA_VERSION = 1
BOX_STEP = 0.125  # px; uint16 then reaches 8191 px
CHUNK_FRAMES = 16  # of the maps: small enough for one map, large enough to compress
COMPRESSION_LEVEL = 3
MARKER = "count"  # the array written last


@dataclass(frozen=True)
class TopRows:
    """A run of n frames of the store.

    boxes: (n, K, 4) float32 pixels x, y, w, h, zero beyond count. scores: (n, K) float32, best
    first. count: (n,) kept boxes, 0 for a frame that could not be read. points: (n, 2) clicks.
    sizes: (n, 2) frame width and height. extents: (n,) side in pixels that the boxes imply.
    regions: (n, 4) where `maps` lie in the frame. maps: (n, S, S) TOP map over its maximum.
    """

    boxes: NDArray[np.floating]
    scores: NDArray[np.floating]
    count: NDArray[np.integer]
    points: NDArray[np.floating]
    sizes: NDArray[np.integer]
    extents: NDArray[np.floating]
    regions: NDArray[np.floating]
    maps: NDArray[np.floating]


def create_store(
    path: Path,
    frames: int,
    top_k: int,
    map_size: int,
    shard_frames: int,
    attributes: dict[str, Any],
    videos: NDArray[np.int32],
    frame_indices: NDArray[np.int32],
) -> None:
    """Create the arrays of a store, or do nothing if an earlier run has."""
    if (path / "zarr.json").exists():
        return
    building = path.with_name(path.name + ".partial")
    group = zarr.open_group(building, mode="w", zarr_format=3)
    group.attrs.update({"socl_schema": SCHEMA_VERSION, "shard_frames": shard_frames} | attributes)
    small: dict[str, tuple[Any, str, Any, dict[str, Any]]] = {
        "boxes": ((top_k, 4), "uint16", ("box", "xywh"), {"scale_factor": BOX_STEP, "unit": "px"}),
        "scores": ((top_k,), "float16", ("box",), {"long_name": "objectness posterior"}),
        "points": ((2,), "float32", ("xy",), {"unit": "px"}),
        "sizes": ((2,), "uint16", ("wh",), {"unit": "px"}),
        "extents": ((), "float32", (), {"unit": "px"}),
        "regions": ((4,), "float32", ("xywh",), {"unit": "px"}),
        MARKER: ((), "uint16", (), {"long_name": "kept boxes; 0: the frame was left out"}),
    }
    for name, (shape, dtype, dims, attrs) in small.items():
        _create(group, name, (frames, *shape), (shard_frames, *shape), None, dtype, dims, attrs)
    shape = (map_size, map_size)
    _create(
        group,
        "maps",
        (frames, *shape),
        (CHUNK_FRAMES, *shape),
        (shard_frames, *shape),
        "float16",
        ("row", "column"),
        {"long_name": "TOP map over its maximum"},
    )
    for name, values in (("video", videos), ("frame", frame_indices)):
        _create(group, name, (frames,), (max(frames, 1),), None, "int32", (), {})[:] = values
    building.replace(path)


def _create(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None,
    dtype: str,
    dimensions: tuple[str, ...],
    attributes: dict[str, Any],
) -> zarr.Array:
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype=dtype,
        compressors=ZstdCodec(level=COMPRESSION_LEVEL),
        dimension_names=("frame_row", *dimensions),
        attributes=attributes,
        config={"write_empty_chunks": True},  # "the file exists" must mean "it was written"
    )


def write_rows(path: Path, start: int, rows: TopRows) -> None:
    """Write one whole shard that begins at row `start`; the marker goes last.

    Raises InputError for frames beyond the reach of the boxes' fixed point.
    """
    largest, reach = int(rows.sizes.max(initial=0)), int(BOX_STEP * np.iinfo(np.uint16).max)
    if largest > reach:
        raise InputError(f"{path}: frames of {largest} px, but boxes are stored up to {reach} px")
    group = zarr.open_group(path, mode="r+", zarr_format=3)
    stop = start + len(rows.count)
    boxes = np.clip(np.rint(rows.boxes / BOX_STEP), 0, np.iinfo(np.uint16).max)
    values = {
        "boxes": boxes.astype(np.uint16),
        "scores": rows.scores.astype(np.float16),
        "points": rows.points.astype(np.float32),
        "sizes": rows.sizes.astype(np.uint16),
        "extents": rows.extents.astype(np.float32),
        "regions": rows.regions.astype(np.float32),
        "maps": rows.maps.astype(np.float16),
        MARKER: rows.count.astype(np.uint16),
    }
    for name, value in values.items():
        array = group[name].with_config({"write_empty_chunks": True})
        array[start:stop] = value


def shard_done(path: Path, start: int, shard_frames: int) -> bool:
    """Return whether the shard that begins at row `start` is complete."""
    return (path / MARKER / "c" / str(start // shard_frames)).exists()


class TopStore:
    """A finished store, read by rows."""

    def __init__(self, path: Path) -> None:
        """Open a store. Raises InputError if it is missing or of a schema not known here."""
        try:
            self.group = zarr.open_group(path, mode="r", zarr_format=3)
        except (FileNotFoundError, ValueError):
            raise InputError(f"{path}: not a TOP-map store; run `socl top_maps`") from None
        schema = self.group.attrs.get("socl_schema")
        if schema != SCHEMA_VERSION:
            raise InputError(
                f"{path}: store schema {schema}, this version reads {SCHEMA_VERSION}; rebuild it"
            )
        self.path = path

    def __len__(self) -> int:
        return int(self.group[MARKER].shape[0])

    def column(self, name: str) -> NDArray[Any]:
        """Return one whole array with a number a frame, such as count or extents."""
        return np.asarray(self.group[name][:])

    def rows(self, start: int, stop: int, *, maps: bool = True) -> TopRows:
        """Return the rows start to stop - 1; without `maps` that array is left empty."""

        def read(name: str) -> NDArray[Any]:
            return np.asarray(self.group[name][start:stop])

        return TopRows(
            boxes=read("boxes").astype(np.float32) * np.float32(BOX_STEP),
            scores=read("scores").astype(np.float32),
            count=read(MARKER).astype(np.int64),
            points=read("points"),
            sizes=read("sizes").astype(np.int64),
            extents=read("extents"),
            regions=read("regions"),
            maps=read("maps").astype(np.float32) if maps else np.zeros((0, 0, 0), np.float32),
        )
