"""The TOP-map store: exact enough, whole shards only, and readable without this package."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
import xarray
import zarr

from socl_pipeline.errors import InputError
from socl_pipeline.top.store.check import array_sizes
from socl_pipeline.top.store.ledger import shard_done
from socl_pipeline.top.store.store import (
    BOX_STEP,
    COLUMNS,
    MAP_STEP,
    PICTURES,
    UNWRITTEN,
    Layout,
    TopRows,
    TopStore,
    content_digest,
    create_store,
    write_rows,
)

FRAMES, K, SIDE, SHARD = 40, 5, 8, 16
VIDEOS = np.repeat([0, 1], 20).astype(np.int32)
INDICES = np.tile(np.arange(20), 2).astype(np.int32)


@pytest.fixture
def store(tmp_path):
    return create(tmp_path / "top.zarr")


def create(path, shard_frames=SHARD, key="some key", videos=VIDEOS, **attributes):
    attributes = {"video_names": ["a", "b"]} | attributes
    layout = Layout(len(videos), K, SIDE, shard_frames)
    create_store(path, layout, key, videos, INDICES, attributes, {"clip": 0.1})
    return path


def some_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    return TopRows(
        boxes=rng.uniform(0, 1900, (n, K, 4)).astype(np.float32),
        scores=np.sort(rng.uniform(0, 1, (n, K)))[:, ::-1].astype(np.float32),
        count=rng.integers(1, K + 1, n),
        status=np.zeros(n, np.int64),
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
    assert np.abs(read.maps - written.maps).max() <= MAP_STEP / 2 + 1e-6
    for name in ("count", "status", "points", "sizes", "extents", "regions"):
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


def test_the_ledger_comes_last(store, monkeypatch):
    """Killed between any two arrays, a shard does not count as done; written again, it does."""
    real = zarr.Array.__setitem__
    for survived in range(len(COLUMNS) + 1):
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
        assert not shard_done(store, 1), calls
    write_rows(store, SHARD, some_rows(SHARD))
    assert [shard_done(store, i) for i in range(3)] == [False, True, False]


@pytest.mark.parametrize(("start", "n"), [(8, 16), (0, 8), (32, 16), (0, 17)])
def test_only_whole_shards_are_written(store, start, n):
    with pytest.raises(ValueError, match="are not one shard of 16 frames"):
        write_rows(store, start, some_rows(n))
    assert not list(store.glob("boxes/c/*"))


def test_what_is_not_written_says_so(store):
    write_rows(store, SHARD, some_rows(SHARD))
    status = TopStore(store).column("status")
    assert (status[:SHARD] == UNWRITTEN).all() and (status[SHARD : 2 * SHARD] == 0).all()


def test_a_shard_of_frames_that_were_left_out_counts_as_done(store):
    rows = some_rows(SHARD)
    for array in (rows.boxes, rows.scores, rows.count, rows.maps):
        array[:] = 0
    write_rows(store, 0, rows)
    assert shard_done(store, 0)


def test_the_last_shard_may_be_short(store):
    write_rows(store, 32, some_rows(8))
    assert shard_done(store, 2)
    np.testing.assert_array_equal(TopStore(store).rows(32, 40).count, some_rows(8).count)


def test_creating_again_keeps_what_is_there(store):
    write_rows(store, 0, some_rows(SHARD))
    create(store, video_names=["c"])
    assert shard_done(store, 0)
    assert TopStore(store).group.attrs["video_names"] == ["a", "b"]


def test_a_half_created_store_is_begun_again(tmp_path):
    path = tmp_path / "top.zarr"
    (tmp_path / "top.zarr.partial").mkdir()
    (tmp_path / "top.zarr.partial/rubbish").write_text("x")
    create(path)
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
    assert group["maps"].attrs["clip"] == 0.1


def test_one_file_a_shard(store):
    write_all(store)
    for name in (*COLUMNS, "ledger"):
        files = [p for p in (store / name / "c").rglob("*") if p.is_file()]
        assert len(files) == 3, name


def test_what_is_no_store_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.zarr: not a TOP-map store"):
        TopStore(tmp_path / "none.zarr")
    zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=3)
    with pytest.raises(InputError, match=r"other\.zarr: store schema None, this version reads 2"):
        TopStore(tmp_path / "other.zarr")


def test_frames_beyond_the_fixed_point_are_refused(store):
    rows = dataclasses.replace(some_rows(16), sizes=np.tile([8192, 4320], (16, 1)))
    with pytest.raises(InputError, match=r"frames of 8192 px, but boxes are stored up to 8191 px"):
        write_rows(store, 0, rows)
    assert not shard_done(store, 0)


def test_xarray_decodes_it_without_a_warning(store):
    write_all(store)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = xarray.open_zarr(store)
        plain = zarr.open_group(store, mode="r", use_consolidated=False)
        members = dict(plain.members())
    assert set(members) == {*COLUMNS, "video", "frame", "ledger"}
    ours = TopStore(store).rows(0, FRAMES)
    assert data.boxes.dtype.kind == data.maps.dtype.kind == "f"
    np.testing.assert_allclose(data.boxes, ours.boxes)
    np.testing.assert_allclose(data.maps, ours.maps, atol=1e-6)
    assert data.boxes.dims == ("frame_row", "box", "xywh")
    assert data.boxes.attrs["units"] == "pixel" and "left, top" in data.boxes.attrs["long_name"]
    assert "softmax" in data.attrs["comment"]


@pytest.mark.parametrize("shard_frames", [1, 7, 40, 64])
def test_the_digest_is_of_the_content(store, tmp_path, shard_frames):
    """Shard size, key and recipe do not show; any value does."""
    write_all(store)
    whole = TopStore(store).rows(0, FRAMES)
    other = create(tmp_path / "other.zarr", shard_frames, "another key", recipe={"version": 9})
    write_in_shards(other, whole, shard_frames)
    assert content_digest(TopStore(other)) == content_digest(TopStore(store))


@pytest.mark.parametrize("name", COLUMNS)
def test_the_digest_changes_with_any_value_but_those_of_pictures(tmp_path, name):
    digests = []
    for change in (0, 1):
        path = create(tmp_path / f"{change}.zarr")
        rows = some_rows(FRAMES)
        values = getattr(rows, name)
        values[37] = values[37] * (1 - change) + change
        write_in_shards(path, rows, SHARD)
        digests.append(content_digest(TopStore(path)))
    assert (digests[0] != digests[1]) == (name not in PICTURES)


def test_the_digest_knows_which_frames_these_are(tmp_path):
    digests = set()
    for i, (videos, names) in enumerate(
        [(VIDEOS, ["a", "b"]), (1 - VIDEOS, ["a", "b"]), (VIDEOS, ["a", "c"])]
    ):
        path = create(tmp_path / f"{i}.zarr", videos=videos, video_names=names)
        write_in_shards(path, some_rows(FRAMES), SHARD)
        digests.add(content_digest(TopStore(path)))
    assert len(digests) == 3


def write_in_shards(path, rows, shard_frames):
    for start in range(0, FRAMES, shard_frames):
        part = {k: v[start : start + shard_frames] for k, v in vars(rows).items()}
        write_rows(path, start, TopRows(**part))


def test_a_frame_takes_less_than_a_kilobyte_even_if_nothing_compresses(tmp_path):
    """The guarantee for any video: 64 random boxes, scores of full precision."""
    rng = np.random.default_rng(0)
    n, k, side = 512, 64, 32
    path = tmp_path / "noise.zarr"
    layout = Layout(n, k, side, n)
    create_store(path, layout, "", np.zeros(n, np.int32), np.arange(n, dtype=np.int32), {})
    x = np.arange(side) - side / 2
    maps = np.exp(-(x[:, None] ** 2 + x**2) / rng.uniform(10, 200, (n, 1, 1)))
    rows = TopRows(
        boxes=rng.uniform(0, 8000, (n, k, 4)),
        scores=rng.uniform(0, 1, (n, k)),
        count=np.full(n, k),
        status=np.zeros(n, np.int64),
        points=rng.uniform(0, 8000, (n, 2)),
        sizes=np.tile([8000, 4000], (n, 1)),
        extents=rng.uniform(1, 400, n),
        regions=rng.uniform(-200, 900, (n, 4)),
        maps=maps,
    )
    write_rows(path, 0, rows)
    assert sum(array_sizes(path).values()) / n < 1024
