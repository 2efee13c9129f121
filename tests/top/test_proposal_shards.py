"""Proposals by rows: whatever shards they lie in, and only the files that it takes."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from socl_pipeline.top import proposals
from socl_pipeline.top.proposals import read_edge_boxes, read_shard_frames, shard_file

FRAMES = 16


@pytest.fixture
def folder(stored_boxes, make_job):
    """The proposals of 16 frames in files of 5."""
    make_job("points").execute()
    job = make_job("proposals")
    job.execute()
    return job.output


def boxes(found):
    return [f.boxes.tolist() for f in found]


def test_rows_are_read_across_files(folder):
    assert read_shard_frames(folder) == 5
    whole = boxes(read_edge_boxes(folder, 0, FRAMES))
    assert len(whole) == FRAMES and sum(map(len, whole)) > 100
    for start, stop in ((0, 5), (3, 4), (4, 11), (5, 10), (9, 16), (15, 16)):
        assert boxes(read_edge_boxes(folder, start, stop)) == whole[start:stop]


def test_only_the_files_of_the_rows_are_opened(folder):
    whole = boxes(read_edge_boxes(folder, 0, FRAMES))
    for start in (0, 10, 15):
        shard_file(folder, start).write_bytes(b"not a Parquet file")
    assert boxes(read_edge_boxes(folder, 6, 9)) == whole[6:9]


def test_the_digest_is_of_the_content(folder, make_job, raw_config):
    digest = make_job("proposals").execute().digest
    shutil.rmtree(make_job("proposals").cache / "proposals")
    raw_config["proposals"]["shard_frames"] = 16
    job = make_job("proposals", raw=raw_config)
    assert job.execute().digest == digest
    assert len(list((job.output / "edgeboxes").iterdir())) == 1


@pytest.mark.parametrize("column", ["video", "frame", "boxes", "scores", "problem"])
def test_the_digest_changes_with_any_value(folder, column):
    before = proposals._statistics(folder, {})["digest"]
    file = shard_file(folder, 5)
    rows = pq.read_table(file).to_pylist()
    changed = {"video": "x", "frame": 77, "problem": "gone"}
    if column == "boxes":
        rows[2]["boxes"][0][3] += 1
    elif column == "scores":
        rows[2]["scores"][0] += 1
    else:
        rows[2][column] = changed[column]
    pq.write_table(pa.Table.from_pylist(rows, proposals.EDGEBOX_SCHEMA), file)
    assert proposals._statistics(folder, {})["digest"] != before


def test_a_half_built_folder_goes_on_with_its_own_files(folder, make_job, raw_config):
    job = make_job("proposals")
    before = job.execute()
    whole = boxes(read_edge_boxes(folder, 0, FRAMES))
    built = folder.resolve()
    (built.parent / "summary.json").unlink()
    shard_file(built, 5).unlink()
    raw_config["proposals"]["shard_frames"] = 8
    assert make_job("proposals", raw=raw_config).execute() == before
    assert sorted(p.stem for p in (built / "edgeboxes").iterdir()) == [
        f"{start:09d}" for start in (0, 5, 10, 15)
    ]
    np.testing.assert_equal(boxes(read_edge_boxes(built, 0, FRAMES)), whole)
