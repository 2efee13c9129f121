"""The command `socl inspect`: a TOP-map store in words, or its frames as pictures."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from socl_pipeline.annotation.table import read_points
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import open_dataset
from socl_pipeline.report.frames import picture, pictures, save_frames
from socl_pipeline.report.pictures import Image, png
from socl_pipeline.settings import load_config
from socl_pipeline.settings.derived import split_name
from socl_pipeline.top.store.check import points_mismatch
from socl_pipeline.top.store.inspect import describe, find_row, video_rows
from socl_pipeline.top.store.store import TopStore


def inspect_store(
    path: Path,
    config: Path,
    dataset: str,
    out: Path | None = None,
    *,
    points: Path | None = None,
    root: Path | None = None,
    frame: str | None = None,
    video: str | None = None,
) -> Iterator[str]:
    """Yield lines about a store, or draw a frame ("VIDEO:INDEX") or a video into `out`.

    points: the points table; none: `points.parquet` beside the store. root: of the dataset's
    frames; none: that of `dataset` in the config. Raises InputError if something is not there.
    """
    store = TopStore(path)
    beside = path.parent / "points.parquet"
    points = points or (beside if beside.exists() else None)
    if frame is None and video is None:
        yield from describe(store, points)
        return
    if out is None or (frame is not None and video is not None):
        raise InputError("give either --frame or --video, and --out for the picture")
    if points is None:
        raise InputError(f"{beside}: no such points table; give --points")
    table = _matching_points(store, points)
    root = root or _dataset_root(config, dataset)
    if frame is not None:
        _save_png(picture(table, store, root, find_row(store, *_parsed(frame))), out)
        yield f"{out}: {frame}"
    elif video is not None:
        rows = video_rows(store, video)
        count = save_frames(pictures(table, store, root, rows.tolist()), out)
        yield f"{out}: {count} of {len(rows)} frames of {video}"


def _matching_points(store: TopStore, points: Path) -> pa.Table:
    table = read_points(points)
    mismatch = points_mismatch(store, table)
    if mismatch:
        raise InputError(f"{points}: {mismatch}; give --points the table it was built from")
    return table


def _dataset_root(config: Path, dataset: str) -> Path:
    known = load_config(config)
    if split_name(dataset)[0] not in known.datasets:
        raise InputError(
            f"{config}: there is no dataset {dataset!r}; give --root, or --dataset and --config"
        )
    return open_dataset(known.dataset(dataset)).root


def _parsed(frame: str) -> tuple[str, int]:
    video, _, index = frame.rpartition(":")
    if not video or not index.isdecimal():
        raise InputError(f"--frame {frame}: expected VIDEO:INDEX, as in {video or frame}:0")
    return video, int(index)


def _save_png(image: Image, out: Path) -> None:
    if out.suffix != ".png":
        raise InputError(f"{out}: expected a name that ends in .png")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(png(image))
