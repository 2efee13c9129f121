"""Why frames were left out of a TOP-map store: text, so it lies beside the store's numbers.

While a store is built, each shard's reasons are a small file in the build's scratch folder,
written before the shard is finished; at the end they are the summary's list `skipped`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from socl_pipeline.pipeline.artifact import scratch_folder, write_atomic
from socl_pipeline.top.store.store import SCORED, STATUS_MEANINGS, UNWRITTEN, TopStore

Reasons = dict[int, str]


def write_reasons(path: Path, start: int, reasons: Reasons) -> None:
    """Keep the reasons (by row of the store) of the shard that begins at row `start`."""
    file = _folder(path) / f"{start:09d}.json"
    if reasons:
        write_atomic(file, json.dumps(reasons))
    else:  # an earlier attempt at this shard may have met a frame that has been mended since
        file.unlink(missing_ok=True)


def skipped_frames(store: TopStore, path: Path) -> list[dict[str, Any]]:
    """Return video, frame and reason of the rows of a store that were left out."""
    reasons = _read_reasons(path)
    status, videos, frames = (store.column(name) for name in ("status", "video", "frame"))
    names = store.video_names
    return [
        {
            "video": names[videos[row]],
            "frame": int(frames[row]),
            # a scratch folder that was deleted by hand takes the sentence with it, not the frame
            "reason": reasons.get(
                int(row), f"frame {frames[row]} of {names[videos[row]]}: {_meaning(status[row])}"
            ),
        }
        for row in np.flatnonzero((status != SCORED) & (status != UNWRITTEN))
    ]


def restore_reasons(store: TopStore, path: Path, skipped: Iterable[Mapping[str, Any]]) -> None:
    """Write a finished summary's list back, for a store that is to be built on."""
    videos, frames, names = store.column("video"), store.column("frame"), store.video_names
    place = {(names[v], int(f)): i for i, (v, f) in enumerate(zip(videos, frames, strict=True))}
    shards: dict[int, Reasons] = {}
    for item in skipped:
        row = place[item["video"], item["frame"]]
        start = row // store.shard_frames * store.shard_frames
        shards.setdefault(start, {})[row] = item["reason"]
    for start, reasons in shards.items():
        write_reasons(path, start, reasons)


def _folder(path: Path) -> Path:
    return scratch_folder(path) / "left_out"


def _read_reasons(path: Path) -> Reasons:
    found: Reasons = {}
    for file in sorted(_folder(path).glob("*.json")):
        found |= {int(row): reason for row, reason in json.loads(file.read_text()).items()}
    return found


def _meaning(status: int) -> str:
    return STATUS_MEANINGS.get(int(status), f"status {status}")
