"""Stage `pseudo_boxes`: boxes between the sparse ones, snippets of all videos in parallel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from socl_pipeline.annotation.points import ROW_GROUP, table_digest
from socl_pipeline.annotation.shards import run_shards
from socl_pipeline.annotation.table import (
    FrameRow,
    read_point_rows,
    read_points,
    true_boxes,
    video_codes,
)
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.datasets.video import Video
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path, scratch_folder
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pseudo_boxes.making import (
    ABSENT,
    SPARSE,
    UNCLICKED,
    UNREADABLE,
    Read,
    SnippetBoxes,
    interpolated_boxes,
    tracked_boxes,
)
from socl_pipeline.pseudo_boxes.snippets import Snippet, SnippetFrames, bundles_of, snippets_of
from socl_pipeline.pseudo_boxes.table import (
    piece_table,
    published,
    read_pieces,
    write_piece,
)
from socl_pipeline.settings import InterpolatedBoxSettings, TrackedBoxSettings, TrackerSettings
from socl_pipeline.trackers.base import Correctable, Image

# A snippet is a piece of its own while its bundle is worked on; then the bundle is one. GOT-10k
# has 140,000 snippets of seconds each: so it leaves 10,000 files, of 14 snippets, on the disk.
MOST_BUNDLES = 10_000


@dataclass(frozen=True)
class Bundle:
    """A task: snippets of a points table, one after the other."""

    points: Path
    snippets: tuple[Snippet, ...]

    def __len__(self) -> int:
        return sum(map(len, self.snippets))

    def __str__(self) -> str:
        return f"frames {self.snippets[0].start} to {self.snippets[-1].stop - 1} of {self.points}"

    @property
    def file(self) -> str:
        """The name of its piece, which no bundle of another size has."""
        return f"{self.snippets[0].start:09d}-{self.snippets[-1].stop:09d}.parquet"


@dataclass(frozen=True)
class Maker:
    """How the boxes of a snippet are made; travels to the workers.

    tracker: its settings, and model the folder of its trained model; None of an interpolation.
    """

    settings: TrackedBoxSettings | InterpolatedBoxSettings
    tracker: TrackerSettings | None
    model: Path | None

    @classmethod
    def of(cls, job: Job) -> "Maker":
        """Take the job's settings. Raises InputError if the tracker's model is not trained."""
        settings = job.config.boxes(job.names["boxes"])
        if isinstance(settings, InterpolatedBoxSettings):
            return cls(settings, None, None)
        model = job.input("model").resolve() if "model" in job.inputs else None
        return cls(settings, job.config.tracker(settings.tracker), model)

    def build(self) -> Callable[[SnippetFrames, Read], SnippetBoxes]:
        """Return what makes the boxes of one snippet after the other, in this process."""
        if isinstance(self.settings, InterpolatedBoxSettings):
            control = self.settings
            return lambda frames, read: interpolated_boxes(frames, control)
        tracking, tracker = self.settings, self._build_tracker()
        return lambda frames, read: tracked_boxes(frames, read, tracker, tracking)

    def _build_tracker(self) -> Correctable:
        import torch  # interpolation does without

        from socl_pipeline.trackers.build import build_tracker

        torch.set_num_threads(1)  # one process is one core
        assert self.tracker is not None
        return build_tracker(self.tracker, self.model)


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Write the pseudo boxes of a dataset; returns counts, speed and what was left out."""
    points = job.input("points").resolve()
    table = read_points(points, ["video", "box_x", "box_y", "box_w", "box_h"])
    codes, boxed = video_codes(table), ~np.isnan(true_boxes(table)[:, 0])
    snippets = snippets_of(codes, boxed)
    if not snippets:
        raise InputError(f"{points}: no frame has a box, so pseudo boxes have nothing to start on")
    bundles = [Bundle(points, part) for part in bundles_of(snippets, MOST_BUNDLES)]
    scratch = scratch_folder(path)
    done = scratch / "bundles"
    run_shards(
        job,
        bundles,
        lambda bundle: (done / bundle.file).exists(),
        partial(
            _make_bundle,
            done=done,
            pieces=scratch / "snippets",
            videos=_Videos(job.dataset),
            maker=Maker.of(job),
            skip_bad_frames=job.on_bad_frame == "skip",
        ),
    )
    pieces = read_pieces([done / bundle.file for bundle in bundles])
    result = published(pieces)
    with atomic_path(path) as temporary:
        plain = result.replace_schema_metadata(job.recipe.metadata())
        pq.write_table(plain, temporary, row_group_size=ROW_GROUP)
    left_out = np.setdiff1d(codes, codes[boxed])
    names = table["video"].combine_chunks().dictionary.to_pylist()
    return {
        **_statistics(pieces),
        "videos_left_out": [names[code] for code in left_out],
        "digest": table_digest(result),
    }


@dataclass
class _Videos:
    """Reads the videos of a dataset; the latest is kept for its other snippets."""

    dataset: Dataset
    latest: Video | None = field(default=None)

    def read(self, name: str) -> Video:
        """Return a video. Raises InputError if it cannot be used."""
        if self.latest is None or self.latest.name != name:
            self.latest = self.dataset.read(name)
        return self.latest


def _make_bundle(
    bundle: Bundle, done: Path, pieces: Path, videos: _Videos, maker: Maker, skip_bad_frames: bool
) -> None:
    first, last = bundle.snippets[0], bundle.snippets[-1]
    rows = read_point_rows(bundle.points, first.start, last.stop if last.closes else last.stop + 1)
    make = None
    files = [pieces / f"{snippet.start:09d}.parquet" for snippet in bundle.snippets]
    for snippet, file in zip(bundle.snippets, files, strict=True):
        if not file.exists():
            make = make or maker.build()
            own = rows.slice(snippet.start - first.start, len(snippet) + (not snippet.closes))
            write_piece(file, _snippet_rows(own, snippet, videos, make, skip_bad_frames))
    write_piece(done / bundle.file, read_pieces(files))
    for file in files:
        file.unlink(missing_ok=True)  # a second worker may have had the same bundle


def _snippet_rows(
    rows: pa.Table,
    snippet: Snippet,
    videos: _Videos,
    make: Callable[[SnippetFrames, Read], SnippetBoxes],
    skip_bad_frames: bool,
) -> pa.Table:
    """Return the rows of a snippet's boxes.

    rows: of the points table, with the row of the next sparse box unless the snippet closes.
    """
    video = videos.read(rows["video"][0].as_py())
    first, frames = _snippet_frames(rows, snippet, video)
    problems: list[str | None] = [None] * (len(frames) + 1)

    def read(i: int) -> Image | None:
        try:
            return _frame(video, first + i).read()
        except InputError as error:
            if not skip_bad_frames:
                raise InputError(f"{error}; mend it, or pass --on-bad-frame skip") from None
            problems[i] = str(error)
            return None

    found = make(frames, read)
    return piece_table(video.name, first, found, problems[: len(frames)])


def _frame(video: Video, index: int) -> FrameRow:
    nowhere = np.full(2, np.nan)
    return FrameRow(video.name, index, video.frames[index], video.width, video.height, nowhere)


def _snippet_frames(rows: pa.Table, snippet: Snippet, video: Video) -> tuple[int, SnippetFrames]:
    """Return the index of a snippet's first frame in its video, and its frames.

    rows: of the points table, with the row of the next sparse box unless the snippet closes.
    """
    numbers = rows["frame"].to_numpy()
    boxes = true_boxes(rows)
    here = snippet.box - snippet.start
    first = 0 if snippet.opens else int(numbers[0])
    stop = len(video) if snippet.closes else int(numbers[-1])
    clicks = np.full((stop - first, 2), np.nan)
    own = slice(0, len(snippet))
    for axis, column in enumerate("xy"):
        clicks[numbers[own] - first, axis] = rows[column].to_numpy()[own]
    return first, SnippetFrames(
        box=int(numbers[here]) - first,
        start=boxes[here],
        end=None if snippet.closes else boxes[-1],
        clicks=clicks,
        absent=video.absent[first:stop],
    )


def _statistics(pieces: pa.Table) -> dict[str, Any]:
    """Return what the summary says; failures are per 1,000 frames that have no sparse box."""
    source, frames = pieces["source"], pieces.num_rows
    boxes = int(pc.sum(pc.equal(source, SPARSE)).as_py())
    others = pc.is_in(source, pa.array([SPARSE, ABSENT, UNREADABLE]))
    made = frames - int(pc.sum(others).as_py())
    unclicked = int(pc.sum(pc.ends_with(source, UNCLICKED)).as_py())
    failures = int(pc.sum(pieces["failure"]).as_py())
    seconds = float(pc.sum(pieces["seconds"]).as_py()) / frames
    bad = pieces.filter(pc.is_valid(pieces["problem"]))
    return {
        "videos": len(pieces["video"].unique()),
        "frames": frames,
        "boxes": boxes,
        "clicked": made - unclicked,
        "unclicked": unclicked,
        "failures": failures,
        "failures_per_1000": round(1000 * failures / max(made, 1), 2),
        "seconds_per_frame": round(seconds, 5),
        "skipped": [
            {"video": r["video"], "frame": r["frame"], "reason": r["problem"]}
            for r in bad.select(["video", "frame", "problem"]).to_pylist()
        ],
    }
