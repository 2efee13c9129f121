"""The TOP-map store: Zarr v3, one flat frame axis in the order of the points table.

The kept boxes and scores are the cause of a TOP map and make it exact at any resolution and
under any crop; `maps` is a small rendering of them for people. One task writes one whole shard:
one file of every array, then the shard's entry in the ledger, which finishes it.
Plain `zarr.open` and xarray read it; boxes and maps are fixed-point numbers with a CF
`scale_factor`, and the attributes say what everything means.
"""

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec
from zarr.errors import ZarrUserWarning

from socl_pipeline.annotation.table import shard_ranges
from socl_pipeline.errors import InputError
from socl_pipeline.top.store.ledger import create_ledger, write_entry

SCHEMA_VERSION = 2
BOX_STEP = 0.125  # px; uint16 then reaches 8191 px
MAP_STEP = 1 / 255
# Measured on 1,024 frames of 43 real clips, bytes a frame with zstd 3 / this: boxes 387 / 375,
# scores 94 / 76, maps of 32 x 32 111 / 99. Bit-shuffling is worse for scores and maps.
COMPRESSION = {"cname": "zstd", "clevel": 5, "shuffle": "shuffle"}

SCORED, UNREADABLE, UNWRITTEN = 0, 1, 255
STATUS_MEANINGS = {SCORED: "scored", UNREADABLE: "unreadable", UNWRITTEN: "unwritten"}

HOW_TO_RENDER = (
    "The score map of a frame is, at each location, the sum of the scores of its first `count` "
    "boxes that cover it; its TOP map is softmax(gain * min(score / level, 1)) over all "
    "locations, where level is the mean of the highest `clip` share of the score map."
)


@dataclass(frozen=True)
class Column:
    """An array with one entry a frame: type, the dimensions behind the frame's, attributes."""

    dtype: str
    dimensions: tuple[str, ...]
    attributes: dict[str, Any]
    fill: int = 0


_PIXELS = {"units": "pixel"}
COLUMNS = {
    "boxes": Column(
        "uint16",
        ("box", "xywh"),
        {
            "long_name": "kept boxes: left, top, width, height, 0-based; zero beyond count",
            "scale_factor": BOX_STEP,
            **_PIXELS,
        },
    ),
    "scores": Column(
        "float16",
        ("box",),
        {"long_name": "objectness posterior of the boxes, best first", "units": "1"},
    ),
    "count": Column("uint16", (), {"long_name": "kept boxes; 0: left out", "units": "1"}),
    "status": Column(
        "uint8",
        (),
        {
            "long_name": "what became of the frame",
            "flag_values": list(STATUS_MEANINGS),
            "flag_meanings": " ".join(STATUS_MEANINGS.values()),
        },
        fill=UNWRITTEN,
    ),
    "points": Column("float32", ("xy",), {"long_name": "click, 0-based", **_PIXELS}),
    "sizes": Column("uint16", ("wh",), {"long_name": "frame width and height", **_PIXELS}),
    "extents": Column(
        "float32",
        (),
        {"long_name": "side of the target: score-weighted geometric mean of the boxes", **_PIXELS},
    ),
    "regions": Column(
        "float32", ("xywh",), {"long_name": "square of the frame that maps shows", **_PIXELS}
    ),
    "maps": Column(
        "uint8",
        ("row", "column"),
        {
            "long_name": "rendering of the TOP map of the region over its maximum, for people",
            "scale_factor": MAP_STEP,
            "units": "1",
        },
    ),
}


PICTURES = ("maps", "regions")  # what people look at; made from the other columns


@dataclass(frozen=True)
class TopRows:
    """A run of n frames of the store.

    boxes: (n, K, 4) float32 pixels x, y, w, h, zero beyond count. scores: (n, K) float32, best
    first. count: (n,) kept boxes, 0 for a frame that was left out. status: (n,) a key of
    STATUS_MEANINGS. points: (n, 2) clicks. sizes: (n, 2) frame width and height. extents: (n,)
    side in pixels that the boxes imply. regions: (n, 4) where `maps` lie in the frame.
    maps: (n, S, S) TOP map over its maximum.
    """

    boxes: NDArray[np.floating]
    scores: NDArray[np.floating]
    count: NDArray[np.integer]
    status: NDArray[np.integer]
    points: NDArray[np.floating]
    sizes: NDArray[np.integer]
    extents: NDArray[np.floating]
    regions: NDArray[np.floating]
    maps: NDArray[np.floating]


@dataclass(frozen=True)
class Layout:
    """The sizes of a store: frames, boxes a frame, side of the maps, frames to a shard."""

    frames: int
    top_k: int
    map_size: int
    shard_frames: int

    def shape(self, column: Column) -> tuple[int, ...]:
        """Return the shape of one frame's entry of a column."""
        lengths = {"box": self.top_k, "xywh": 4, "xy": 2, "wh": 2}
        return tuple(lengths.get(name, self.map_size) for name in column.dimensions)


def create_store(
    path: Path,
    layout: Layout,
    key: str,
    videos: NDArray[np.int32],
    frame_indices: NDArray[np.int32],
    attributes: dict[str, Any],
    rendering: dict[str, Any] | None = None,
) -> None:
    """Create the arrays of a store, or do nothing if an earlier run has.

    key: the store's identity, to which its ledger is bound. videos, frame_indices: (frames,) the
    number of each row's video in the attribute `video_names`, and of the frame in it.
    rendering: attributes of `maps`.
    """
    if (path / "zarr.json").exists():
        return
    building = path.with_name(path.name + ".partial")
    own = {
        "title": "TOP maps: target objectness around clicks (SoCL, arXiv 2404.09504)",
        "comment": HOW_TO_RENDER,
        "socl_schema": SCHEMA_VERSION,
        "key": key,
        "shard_frames": layout.shard_frames,
        "index_digest": index_digest(videos, frame_indices),
    }
    group = zarr.open_group(building, mode="w", zarr_format=3, attributes=own | attributes)
    for name, column in COLUMNS.items():
        _create_column(group, name, column, layout, rendering if name == "maps" else None)
    _create_index(group, "video", videos, "position of the video in the attribute video_names")
    _create_index(group, "frame", frame_indices, "0-based position of the frame in its video")
    create_ledger(group, len(shard_ranges(layout.frames, layout.shard_frames)), len(COLUMNS))
    with warnings.catch_warnings():
        # one read opens the store and xarray wants it; Zarr warns that the v3 text is not out yet
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(building, zarr_format=3)
    building.replace(path)


def _create_column(
    group: zarr.Group, name: str, column: Column, layout: Layout, more: dict[str, Any] | None
) -> None:
    shape = layout.shape(column)
    group.create_array(
        name,
        shape=(layout.frames, *shape),
        chunks=(layout.shard_frames, *shape),
        dtype=column.dtype,
        fill_value=column.fill,
        compressors=BloscCodec(typesize=np.dtype(column.dtype).itemsize, **COMPRESSION),
        dimension_names=("frame_row", *column.dimensions),
        attributes=column.attributes | (more or {}),
    )


def _create_index(group: zarr.Group, name: str, values: NDArray[np.int32], meaning: str) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=(max(len(values), 1),),
        dtype="int32",
        compressors=BloscCodec(typesize=4, **COMPRESSION),
        dimension_names=("frame_row",),
        attributes={"long_name": meaning, "units": "1"},
    )
    array[:] = values


def index_digest(videos: NDArray[np.integer], frame_indices: NDArray[np.integer]) -> str:
    """Return the sha256 of the columns that say which frame a row is."""
    digest = hashlib.sha256()
    for values in (videos, frame_indices):
        digest.update(np.ascontiguousarray(values, "<i4").tobytes())
    return digest.hexdigest()


def write_rows(path: Path, start: int, rows: TopRows) -> None:
    """Write one whole shard that begins at row `start`; its entry in the ledger goes last.

    Raises InputError for frames beyond the reach of the boxes' fixed point, ValueError for rows
    that are not one shard.
    """
    require_reach(path, int(rows.sizes.max(initial=0)))
    group = zarr.open_group(path, mode="r+", zarr_format=3)
    shard_frames = group.attrs["shard_frames"]
    stop = start + len(rows.count)
    if start % shard_frames or stop != min(start + shard_frames, group["count"].shape[0]):
        raise ValueError(f"rows {start} to {stop - 1} are not one shard of {shard_frames} frames")
    for name, column in COLUMNS.items():
        # "the file exists" must mean "it was written", so a chunk of fill values is written too
        array = group[name].with_config({"write_empty_chunks": True})
        array[start:stop] = _encoded(getattr(rows, name), column)
    write_entry(path, group, tuple(COLUMNS), start // shard_frames)


def require_reach(path: Path, largest: int) -> None:
    """Raise InputError if frames of so many pixels are beyond the reach of the boxes."""
    reach = int(BOX_STEP * np.iinfo(np.uint16).max)
    if largest > reach:
        raise InputError(f"{path}: frames of {largest} px, but boxes are stored up to {reach} px")


def _encoded(values: NDArray[Any], column: Column) -> NDArray[Any]:
    """Return values as a column stores them; fixed-point numbers are rounded and clipped."""
    step = column.attributes.get("scale_factor")
    if step is None:
        return values.astype(column.dtype)
    largest = np.iinfo(column.dtype).max
    return np.clip(np.rint(values / step), 0, largest).astype(column.dtype)


class TopStore:
    """A store, read by rows. Rows of shards that are not written read as zeros."""

    def __init__(self, path: Path) -> None:
        """Open a store. Raises InputError if it is missing or of a schema not known here."""
        try:
            self.group = zarr.open_group(path, mode="r", zarr_format=3)
        except (FileNotFoundError, ValueError, KeyError):
            raise InputError(f"{path}: not a TOP-map store; run `socl top_maps`") from None
        schema = self.group.attrs.get("socl_schema")
        if schema != SCHEMA_VERSION:
            raise InputError(
                f"{path}: store schema {schema}, this version reads {SCHEMA_VERSION}; build it "
                "again with `socl top_maps`"
            )
        self.path = path
        self.attributes: dict[str, Any] = dict(self.group.attrs)
        self.key = str(self.attributes["key"])
        self.shard_frames = int(self.attributes["shard_frames"])

    def __len__(self) -> int:
        return int(self.group["count"].shape[0])

    @property
    def shards(self) -> list[tuple[int, int]]:
        """The (start, stop) rows of each shard."""
        return shard_ranges(len(self), self.shard_frames)

    @property
    def video_names(self) -> list[str]:
        """The names that the column `video` counts."""
        return list(self.attributes.get("video_names", []))

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
            count=read("count").astype(np.int64),
            status=read("status"),
            points=read("points"),
            sizes=read("sizes").astype(np.int64),
            extents=read("extents"),
            regions=read("regions"),
            maps=read("maps").astype(np.float32) * np.float32(MAP_STEP)
            if maps
            else np.zeros((0, 0, 0), np.float32),
        )


def content_digest(store: TopStore) -> str:
    """Return a hash of what a store says, whatever its recipe, shard size and compression.

    Its pictures (PICTURES) say nothing that the boxes do not, so they do not count. Every other
    array has a hash of its own over its values in row order, so that cuts between rows do
    not show; shards are read one after the other.
    """
    digests = {name: hashlib.sha256() for name in COLUMNS if name not in PICTURES}
    for start, stop in store.shards:
        for name, digest in digests.items():
            little_endian = np.dtype(COLUMNS[name].dtype).newbyteorder("<")
            values = np.ascontiguousarray(store.group[name][start:stop], little_endian)
            digest.update(values.tobytes())
    columns = {
        name: [
            COLUMNS[name].dtype,
            store.group[name].shape,
            COLUMNS[name].attributes,
            digest.hexdigest(),
        ]
        for name, digest in digests.items()
    }
    index = [store.attributes["index_digest"], store.video_names]
    text = json.dumps([SCHEMA_VERSION, index, columns], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
