import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.annotation.table import (
    FrameRow,
    frame_rows,
    read_point_rows,
    read_points,
    row_of,
    shard_ranges,
)
from socl_pipeline.errors import InputError


@pytest.fixture
def points(make_job):
    job = make_job("points")
    job.execute()
    return job


def test_rows_name_files_that_hold_the_frame(points, demo):
    table = read_points(points.output)
    rows = frame_rows(table, demo.root)
    assert len(rows) == table.num_rows
    for row in rows:
        assert row.path.name == f"{row.frame + 1:08d}.jpg"
        assert row.path.parent.name == row.video
        assert row.read().shape == (row.height, row.width, 3) == (120, 160, 3)
    assert rows[3].point == pytest.approx([table["x"][3].as_py(), table["y"][3].as_py()])


def test_a_slice_gives_its_rows(points, demo):
    table = read_points(points.output)
    part = frame_rows(table.slice(5, 4), demo.root)
    whole = frame_rows(table, demo.root)[5:9]
    assert [(r.video, r.frame, *r.point) for r in part] == [
        (r.video, r.frame, *r.point) for r in whole
    ]


def test_a_frame_of_another_size_is_refused(points, tmp_path):
    table = read_points(points.output).slice(0, 1)
    (row,) = frame_rows(table, tmp_path)
    row.path.parent.mkdir(parents=True)
    cv2.imwrite(str(row.path), np.zeros((120, 100, 3), np.uint8))
    with pytest.raises(InputError, match=r"\.jpg: 100x120 pixels, .* first frame has 160x120"):
        row.read()
    with pytest.raises(InputError, match=r"\.jpg: 100x120 pixels, .* first frame has 160x120"):
        row.read_reduced(40)


@pytest.mark.parametrize(
    ("long_side", "scale"), [(160, 1), (81, 1), (80, 1 / 2), (30, 1 / 4), (20, 1 / 8)]
)
def test_reduced_frames_come_with_their_scale(points, demo, long_side, scale):
    row = frame_rows(read_points(points.output), demo.root)[0]
    image, found = row.read_reduced(long_side)
    assert found == scale
    assert image.shape == (120 * scale, 160 * scale, 3)


def test_the_scale_of_an_odd_frame_is_that_of_its_pixels(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((75, 101, 3), np.uint8))
    image, scale = FrameRow("v", 0, path, 101, 75, np.zeros(2)).read_reduced(50)
    assert image.shape == (38, 51, 3) and scale == 1 / 2


def test_formats_without_reduction_keep_scale_one(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((75, 101, 3), np.uint8))
    image, scale = FrameRow("v", 0, path, 101, 75, np.zeros(2)).read_reduced(50)
    assert image.shape == (75, 101, 3) and scale == 1


def test_row_of_finds_every_frame(points):
    table = read_points(points.output)
    index = row_of(table)
    assert sorted(index.values()) == list(range(table.num_rows))
    for (video, frame), row in index.items():
        assert table["video"][row].as_py() == video and table["frame"][row].as_py() == frame


@pytest.mark.parametrize("content", [None, b"not parquet"])
def test_unreadable_tables_are_named(tmp_path, content):
    path = tmp_path / "points.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"points\.parquet: not a readable points table"):
        read_points(path)


@given(st.integers(0, 200), st.integers(1, 50))
def test_shards_cover_each_row_once(rows, shard):
    ranges = shard_ranges(rows, shard)
    assert [r for start, stop in ranges for r in range(start, stop)] == list(range(rows))
    assert all(start % shard == 0 and 0 < stop - start <= shard for start, stop in ranges)


@pytest.mark.parametrize("row_group", [1, 3, 10, 40])
def test_rows_are_those_of_the_whole_table(tmp_path, row_group):
    path = tmp_path / "points.parquet"
    videos = pa.array([f"v{i // 4}" for i in range(20)]).dictionary_encode()
    table = pa.table({"video": videos, "frame": list(range(20))})
    pq.write_table(table, path, row_group_size=row_group)
    for start, stop in ((0, 20), (0, 3), (3, 6), (5, 7), (9, 10), (19, 20), (6, 19)):
        part = read_point_rows(path, start, stop)
        assert part["frame"].to_pylist() == list(range(start, stop))
        assert part["video"].to_pylist() == [f"v{i // 4}" for i in range(start, stop)]


def test_rows_of_what_is_no_table(tmp_path):
    (tmp_path / "points.parquet").write_text("x")
    with pytest.raises(InputError, match=r"points\.parquet: not a readable points table"):
        read_point_rows(tmp_path / "points.parquet", 0, 1)
    with pytest.raises(InputError, match=r"none\.parquet: not a readable points table"):
        read_point_rows(tmp_path / "none.parquet", 0, 1)
