"""Stage `proposals`: what is proposed near each click.

The artifact is a folder: `templates.parquet`, one table of random windows for all frames, and for
the search `opencv` also `edgeboxes/`, one Parquet file per shard of rows of the points table with
a row per frame: boxes and scores as lists, and `problem`, the reason why a frame could not be
read (null for a good one). How many rows a file has stands in the metadata of the templates; the
content does not depend on it.

The boxes of the search `local` are not stored: finding them again takes as long as decoding the
frame, which the stage that scores them does in any case, and they would take more room than the
TOP maps.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from socl_pipeline.annotation.shards import FrameShard, frame_shards, run_shards
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path, canonical_json
from socl_pipeline.pipeline.job import Job
from socl_pipeline.settings import ProposalSettings, ViewSettings
from socl_pipeline.top.edgeboxes.near import edge_boxes_near
from socl_pipeline.top.views import ViewedFrame
from socl_pipeline.top.windows import window_templates

TEMPLATES = "templates.parquet"
EDGEBOX_SCHEMA = pa.schema(
    [
        pa.field("video", pa.string()),
        pa.field("frame", pa.int32()),
        pa.field("boxes", pa.list_(pa.list_(pa.float32(), 4)), metadata={"unit": "px, x y w h"}),
        pa.field("scores", pa.list_(pa.float32())),
        pa.field("problem", pa.string()),
    ]
)


def shard_file(folder: Path, start: int) -> Path:
    """Return the file of the shard that begins at a row."""
    return folder / "edgeboxes" / f"{start:09d}.parquet"


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Build the proposals of a dataset; returns counts and the frames that were left out."""
    settings = job.config.proposals
    if not (path / TEMPLATES).exists():
        _write_templates(path / TEMPLATES, settings, job.recipe.metadata())
    if settings.edgeboxes.search == "opencv":
        _store_edge_boxes(job, path)
    return _statistics(path, job.params | job.stage.files(job))


def _store_edge_boxes(job: Job, path: Path) -> None:
    run_shards(
        job,
        frame_shards(job, read_shard_frames(path)),
        lambda shard: shard_file(path, shard.start).exists(),
        partial(
            _find_edge_boxes,
            folder=path.resolve(),
            settings=job.config.proposals,
            views=job.config.views,
        ),
    )


def _find_edge_boxes(
    shard: FrameShard, folder: Path, settings: ProposalSettings, views: ViewSettings
) -> None:
    rows = []
    for row in shard.rows():
        problem = None
        try:
            boxes, scores = edge_boxes_near(ViewedFrame.read(row, views), settings.edgeboxes)
        except InputError as error:
            if not shard.skip_bad_frames:
                raise
            boxes, scores = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
            problem = str(error)
        rows.append(
            {
                "video": row.video,
                "frame": row.frame,
                "boxes": boxes.tolist(),
                "scores": scores.tolist(),
                "problem": problem,
            }
        )
    with atomic_path(shard_file(folder, shard.start)) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, EDGEBOX_SCHEMA), temporary)


def _write_templates(path: Path, settings: ProposalSettings, metadata: dict[str, str]) -> None:
    templates = window_templates(settings.random)
    table = pa.table({"side": templates[:, 0], "log_aspect": templates[:, 1]})
    metadata = metadata | {"shard_frames": str(settings.shard_frames)}
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)


def read_templates(folder: Path) -> NDArray[np.float64]:
    """Return the window templates (n, 2) of a proposals folder."""
    table = pq.read_table(folder / TEMPLATES)
    return np.stack([table["side"].to_numpy(), table["log_aspect"].to_numpy()], axis=1)


def read_shard_frames(folder: Path) -> int:
    """Return how many rows of the points table each file of a proposals folder has."""
    return int(pq.read_schema(folder / TEMPLATES).metadata[b"shard_frames"])


@dataclass(frozen=True)
class FrameProposals:
    """EdgeBoxes (n, 4) of one frame, or the problem that it has."""

    boxes: NDArray[np.float64]
    problem: str | None


def read_edge_boxes(folder: Path, start: int, stop: int) -> list[FrameProposals]:
    """Return the EdgeBoxes of the rows start to stop - 1 of the points table."""
    size = read_shard_frames(folder)
    found: list[FrameProposals] = []
    for first in range(start // size * size, stop, size):
        table = pq.read_table(shard_file(folder, first), columns=["boxes", "problem"])
        low = max(start - first, 0)
        table = table.slice(low, stop - first - low)
        found += [
            FrameProposals(np.asarray(boxes, np.float64).reshape(-1, 4), problem)
            for boxes, problem in zip(
                table["boxes"].to_pylist(), table["problem"].to_pylist(), strict=True
            )
        ]
    return found


def _statistics(path: Path, search: dict[str, Any]) -> dict[str, Any]:
    """Return counts, and the digest; search: how boxes that are not stored are to be found."""
    boxes, frames = 0, 0
    skipped: list[dict[str, Any]] = []
    digest = _ContentDigest()
    for file in sorted((path / "edgeboxes").glob("*.parquet")):
        table = pq.read_table(file)
        digest.update(table)
        frames += table.num_rows
        boxes += int(pc.sum(pc.list_value_length(table["scores"])).as_py() or 0)
        bad = table.filter(pc.is_valid(table["problem"]))
        skipped += [
            {"video": r["video"], "frame": r["frame"], "reason": r["problem"]}
            for r in bad.to_pylist()
        ]
    templates = read_templates(path)
    result = {
        "random_windows": len(templates),
        "skipped": skipped,
        "digest": digest.finish(templates, "" if frames else canonical_json(search)),
    }
    if frames:
        result |= {"frames": frames, "edge_boxes_per_frame": round(boxes / frames, 2)}
    return result


class _ContentDigest:
    """A hash of the proposals' values in row order: how they are cut into files does not show."""

    def __init__(self) -> None:
        self.digests = {n: hashlib.sha256() for n in ("rows", "frame", "boxes", "scores", "count")}

    def update(self, table: pa.Table) -> None:
        """Take in the next rows."""
        for video, problem in zip(table["video"].to_pylist(), table["problem"], strict=True):
            # the reason names files where they lie now, which is no part of the content
            self.digests["rows"].update(f"{video!r} {problem.is_valid}\n".encode())
        boxes = pc.list_flatten(pc.list_flatten(table["boxes"]))
        arrays = {
            "frame": table["frame"],
            "boxes": boxes,
            "scores": pc.list_flatten(table["scores"]),
            "count": pc.list_value_length(table["scores"]),
        }
        for name, values in arrays.items():
            self.digests[name].update(values.to_numpy().tobytes())

    def finish(self, templates: NDArray[np.float64], search: str) -> str:
        """Return the hash, with the templates in it and the text of a search to be done later."""
        parts = [f"{name} {digest.hexdigest()}" for name, digest in self.digests.items()]
        parts += [hashlib.sha256(templates.tobytes()).hexdigest(), search]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
