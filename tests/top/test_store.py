"""The TOP-map store: exact enough, whole shards only, and readable without this package."""

import dataclasses
import json

import numpy as np
import pytest
import zarr

from socl_pipeline.errors import InputError
from socl_pipeline.top.store import (
    BOX_STEP,
    MARKER,
    TopRows,
    TopStore,
    create_store,
    shard_done,
    write_rows,
)

FRAMES, K, SIDE, SHARD = 40, 5, 8, 16
VIDEOS = np.repeat([0, 1], 20).astype(np.int32)
INDICES = np.tile(np.arange(20), 2).astype(np.int32)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "top.zarr"
    create_store(path, FRAMES, K, SIDE, SHARD, {"video_names": ["a", "b"]}, VIDEOS, INDICES)
    return path


def some_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    return TopRows(
        boxes=rng.uniform(0, 1900, (n, K, 4)).astype(np.float32),
        scores=np.sort(rng.uniform(0, 1, (n, K)))[:, ::-1].astype(np.float32),
        count=rng.integers(1, K + 1, n),
        points=rng.uniform(0, 1900, (n, 2)).astype(np.float32),
        sizes=np.tile([1920, 1080], (n, 1)),
        extents=rng.uniform(1, 400, n).astype(np.float32),
        regions=rng.uniform(-200, 900, (n, 4)).astype(np.float32),
        maps=rng.uniform(0, 1, (n, SIDE, SIDE)).astype(np.float32),
    )


def write_all(path):
    for start in range(0, FRAMES, SHARD):
        write_rows(path, start, some_rows(min(SHARD, FRAMES - start), seed=start))


def test_round_trip(store):
    write_all(store)
    opened = TopStore(store)
    assert len(opened) == FRAMES
    read, written = opened.rows(16, 32), some_rows(16, seed=16)
    assert np.abs(read.boxes - written.boxes).max() <= BOX_STEP / 2
    assert np.abs(read.scores - written.scores).max() <= 2**-11
    assert np.abs(read.maps - written.maps).max() <= 2**-11
    for name in ("count", "points", "sizes", "extents", "regions"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name), name)


def test_rows_across_shards_and_without_maps(store):
    write_all(store)
    opened = TopStore(store)
    whole, part = opened.rows(0, FRAMES), opened.rows(10, 35, maps=False)
    np.testing.assert_array_equal(part.boxes, whole.boxes[10:35])
    np.testing.assert_array_equal(part.count, whole.count[10:35])
    assert part.maps.size == 0


def test_boxes_stay_within_the_fixed_point_range(store):
    rows = some_rows(SHARD)
    rows.boxes[0, 0] = [-3, 0, 9000, 0.0624]
    write_rows(store, 0, rows)
    np.testing.assert_allclose(TopStore(store).rows(0, 1).boxes[0, 0], [0, 0, 65535 / 8, 0])


def test_the_marker_comes_last(store, monkeypatch):
    """Killed between any two arrays, a shard does not count as done; written again, it does."""
    arrays = 8
    real = zarr.Array.__setitem__
    for survived in range(arrays):
        calls = []

        def dying(self, selection, value, calls=calls, survived=survived):
            if len(calls) == survived:
                raise KeyboardInterrupt
            calls.append(self.name)
            real(self, selection, value)

        monkeypatch.setattr(zarr.Array, "__setitem__", dying)
        with pytest.raises(KeyboardInterrupt):
            write_rows(store, SHARD, some_rows(SHARD))
        monkeypatch.undo()
        assert not shard_done(store, SHARD, SHARD), calls
    write_rows(store, SHARD, some_rows(SHARD))
    assert shard_done(store, SHARD, SHARD)
    assert not shard_done(store, 0, SHARD) and not shard_done(store, 2 * SHARD, SHARD)


def test_a_shard_of_frames_that_were_left_out_counts_as_done(store):
    rows = some_rows(SHARD)
    for array in (rows.boxes, rows.scores, rows.count, rows.maps):
        array[:] = 0
    write_rows(store, 0, rows)
    assert shard_done(store, 0, SHARD)


def test_the_last_shard_may_be_short(store):
    write_rows(store, 32, some_rows(8))
    assert shard_done(store, 32, SHARD)
    np.testing.assert_array_equal(TopStore(store).rows(32, 40).count, some_rows(8).count)


def test_creating_again_keeps_what_is_there(store):
    write_rows(store, 0, some_rows(SHARD))
    create_store(store, FRAMES, K, SIDE, SHARD, {}, VIDEOS, INDICES)
    assert shard_done(store, 0, SHARD)
    assert TopStore(store).group.attrs["video_names"] == ["a", "b"]


def test_a_half_created_store_is_begun_again(tmp_path):
    path = tmp_path / "top.zarr"
    (tmp_path / "top.zarr.partial").mkdir()
    (tmp_path / "top.zarr.partial/rubbish").write_text("x")
    create_store(path, FRAMES, K, SIDE, SHARD, {}, VIDEOS, INDICES)
    write_all(path)
    assert not (path / "rubbish").exists()
    assert len(TopStore(path)) == FRAMES


def test_plain_zarr_reads_it(store):
    write_all(store)
    group = zarr.open(store, mode="r")
    assert group.attrs["video_names"] == ["a", "b"]
    boxes = group["boxes"][:] * group["boxes"].attrs["scale_factor"]
    assert np.abs(boxes[:SHARD] - some_rows(SHARD).boxes).max() <= 1 / 16
    assert group["scores"].dtype == np.float16
    np.testing.assert_array_equal(group["video"][:], VIDEOS)
    np.testing.assert_array_equal(group["frame"][:], INDICES)
    metadata = json.loads((store / "maps/zarr.json").read_text())
    assert metadata["dimension_names"] == ["frame_row", "row", "column"]


def test_one_file_a_shard(store):
    write_all(store)
    for name in ("boxes", "scores", "maps", MARKER):
        files = [p for p in (store / name / "c").rglob("*") if p.is_file()]
        assert len(files) == 3, name


def test_what_is_no_store_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.zarr: not a TOP-map store"):
        TopStore(tmp_path / "none.zarr")
    zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=3)
    with pytest.raises(InputError, match=r"other\.zarr: store schema None, this version reads 1"):
        TopStore(tmp_path / "other.zarr")


def test_frames_beyond_the_fixed_point_are_refused(store):
    rows = dataclasses.replace(some_rows(16), sizes=np.tile([8192, 4320], (16, 1)))
    with pytest.raises(InputError, match=r"frames of 8192 px, but boxes are stored up to 8191 px"):
        write_rows(store, 0, rows)
    assert not shard_done(store, 0, SHARD)
