"""Stage `patches`: one square JPEG per annotated frame, packed with its TOP boxes.

A patch is centred on the click and `context` times as wide as the TOP extent, so the target is
about size / context pixels large in it. Training then never opens an original frame. The artifact
is a folder of Arrow IPC files, memory-mapped by the reader; boxes are in patch pixels.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from socl_pipeline.annotation.shards import FrameShard, frame_shards, run_shards
from socl_pipeline.annotation.table import FrameRow
from socl_pipeline.boxes import FloatArray
from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path
from socl_pipeline.pipeline.job import Job
from socl_pipeline.settings import PatchSettings
from socl_pipeline.top.store.store import TopStore
from socl_pipeline.trackers.crops import crop_square, mean_color


def patch_schema(top_k: int, metadata: dict[str, str]) -> pa.Schema:
    """Return the schema of a patch file; boxes are padded with zeros to top_k."""
    return pa.schema(
        [
            pa.field("video", pa.string()),
            pa.field("frame", pa.int32()),
            pa.field("jpeg", pa.binary(), metadata={"unit": "JPEG bytes"}),
            pa.field("region", pa.list_(pa.float32(), 3), metadata={"unit": "frame px: x y side"}),
            pa.field("extent", pa.float32(), metadata={"unit": "patch px"}),
            pa.field("boxes", pa.list_(pa.float32(), 4 * top_k), metadata={"unit": "patch px"}),
            pa.field("scores", pa.list_(pa.float32(), top_k)),
        ],
        metadata=metadata,
    )


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Build the patches of a dataset; returns counts and size."""
    settings = job.config.patches
    shards = frame_shards(job, settings.shard_frames)
    run_shards(
        job,
        shards,
        lambda shard: patch_file(path, shard.start).exists(),
        partial(
            _cut_shard,
            folder=path.resolve(),
            store=job.input("top_maps").resolve(),
            settings=settings,
        ),
    )
    files = sorted(path.glob("*.arrow"))
    return {
        "patches": sum(_count(file) for file in files),
        "frames": sum(map(len, shards)),
        "size_px": settings.size,
        "target_px": round(settings.size / settings.context, 2),
        "megabytes": round(sum(f.stat().st_size for f in files) / 1e6, 2),
    }


def patch_file(folder: Path, start: int) -> Path:
    """Return the file of the shard that begins at a row."""
    return folder / f"{start:09d}.arrow"


def _count(file: Path) -> int:
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all().num_rows


def patch_region(
    point: FloatArray, extent: float, long_side: float, s: PatchSettings
) -> FloatArray:
    """Return the square (3,: x, y, side) of a patch in frame pixels around a click (2,)."""
    side = min(extent * s.context, s.max_frame_share * long_side)
    return np.array([point[0] - side / 2, point[1] - side / 2, side])


def _cut_shard(shard: FrameShard, folder: Path, store: Path, settings: PatchSettings) -> None:
    top = TopStore(store).rows(shard.start, shard.stop, maps=False)
    records = []
    for i, row in enumerate(shard.rows()):
        if top.count[i] == 0:
            continue
        try:
            records.append(_cut(row, top.boxes[i], top.scores[i], top.extents[i], settings))
        except InputError:
            if not shard.skip_bad_frames:
                raise
    schema = patch_schema(top.boxes.shape[1], {"size": str(settings.size)})
    with (
        atomic_path(patch_file(folder, shard.start)) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        writer.write_table(pa.Table.from_pylist(records, schema))


def _cut(
    row: FrameRow, boxes: FloatArray, scores: FloatArray, extent: float, settings: PatchSettings
) -> dict[str, Any]:
    image = row.read()
    region = patch_region(row.point, float(extent), max(row.width, row.height), settings)
    scale = settings.size / region[2]
    patch = crop_square(image, row.point, region[2], settings.size, mean_color(image))
    inside = boxes.copy()
    inside[:, :2] -= region[:2]
    inside *= scale
    inside[scores == 0] = 0
    return {
        "video": row.video,
        "frame": row.frame,
        "jpeg": encode_jpeg(patch, settings.jpeg_quality),
        "region": region.astype(np.float32),
        "extent": float(extent) * scale,
        "boxes": inside.astype(np.float32).ravel(),
        "scores": scores.astype(np.float32),
    }
