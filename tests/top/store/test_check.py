"""Damage of every kind is found and named, and a repaired store is built to the same content."""

import shutil

import numpy as np
import pytest

from socl_pipeline.errors import InputError
from socl_pipeline.top.store.check import check_command, check_store, require_sound, sentences
from socl_pipeline.top.store.store import (
    COLUMNS,
    Layout,
    TopRows,
    TopStore,
    content_digest,
    create_store,
    write_rows,
)

FRAMES, K, SIDE, SHARD = 20, 3, 4, 4


def build(path, key="key", seed=0, shards=range(5)):
    rng = np.random.default_rng(seed)
    index = np.arange(FRAMES, dtype=np.int32)
    create_store(
        path, Layout(FRAMES, K, SIDE, SHARD), key, index // 10, index % 10, {"video_names": ["a"]}
    )
    for shard in shards:
        rows = TopRows(
            boxes=rng.uniform(0, 900, (SHARD, K, 4)),
            scores=rng.uniform(0, 1, (SHARD, K)),
            count=rng.integers(1, K + 1, SHARD),
            status=np.zeros(SHARD, np.int64),
            points=rng.uniform(0, 900, (SHARD, 2)),
            sizes=rng.integers(100, 900, (SHARD, 2)),
            extents=rng.uniform(1, 400, SHARD),
            regions=rng.uniform(-200, 900, (SHARD, 4)),
            maps=rng.uniform(0, 1, (SHARD, SIDE, SIDE)),
        )
        write_rows(path, shard * SHARD, rows)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("built") / "top.zarr")


@pytest.fixture
def store(built, tmp_path):
    """A whole store of 5 shards, for a test to spoil."""
    return shutil.copytree(built, tmp_path / "top.zarr")


def chunk(store, name, shard):
    (file,) = [p for p in (store / name / "c" / str(shard)).rglob("*") if p.is_file()] or [
        store / name / "c" / str(shard)
    ]
    return file


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-3])


def empty(file):
    file.write_bytes(b"")


def grow(file):
    file.write_bytes(file.read_bytes() + b"\0")


def remove(file):
    file.unlink()


def faults(store):
    return [(f.shard, f.fault) for f in check_store(store).faults]


def test_a_whole_store_is_sound(store):
    check = check_store(store)
    assert check.sound and list(sentences(check)) == []
    assert set(check.sizes) == {*COLUMNS, "video", "frame", "ledger", "metadata"}
    total = sum(p.stat().st_size for p in store.rglob("*") if p.is_file())
    assert check.bytes_per_frame == total / FRAMES
    require_sound(store)
    ok, lines = check_command(store)
    assert ok and len(lines) == 1 and "20 frames in 5 shards: 5 sound; " in lines[0]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("damage", [flip, truncate, empty, grow, remove])
def test_damaged_files_are_found(store, name, damage):
    damage(chunk(store, name, 3))
    assert faults(store) == [(3, "corrupt")]
    (sentence,) = sentences(check_store(store))
    assert sentence.startswith("shard 3 (frames 12 to 15): corrupt, ") and f"{name}/c/3" in sentence
    with pytest.raises(InputError, match=r"shard 3 .*; run `socl check .* --repair`"):
        require_sound(store)


@pytest.mark.parametrize("damage", [flip, truncate, empty, grow])
def test_a_damaged_ledger_is_found(store, damage):
    damage(chunk(store, "ledger", 2))
    assert faults(store) == [(2, "corrupt")]
    assert "ledger/c/2/0/0 is damaged" in next(sentences(check_store(store)))


def test_a_lost_ledger_entry_is_an_unfinished_shard(store):
    chunk(store, "ledger", 0).unlink()
    assert faults(store) == [(0, "missing")]


@pytest.mark.parametrize("name", ["boxes", "points"])
def test_a_file_of_another_position_is_foreign(store, name):
    shutil.copy(chunk(store, name, 1), chunk(store, name, 4))
    assert faults(store) == [(4, "foreign")]
    assert "is the file of shard 1" in next(sentences(check_store(store)))


def copy_shard(source, target, shard, to):
    for name in (*COLUMNS, "ledger"):
        shutil.copy(chunk(source, name, shard), chunk(target, name, to))


def test_a_whole_shard_of_another_position_is_foreign(store):
    copy_shard(store, store, 1, 4)
    assert faults(store) == [(4, "foreign")]


def test_shards_of_another_store_are_foreign(store, tmp_path):
    other = build(tmp_path / "other.zarr", key="other", seed=1)
    copy_shard(other, store, 2, 2)
    assert faults(store) == [(2, "foreign")]
    shutil.copy(chunk(other, "scores", 3), chunk(store, "scores", 3))
    assert faults(store) == [(2, "foreign"), (3, "corrupt")]


def test_a_store_that_is_not_finished(tmp_path):
    store = build(tmp_path / "top.zarr", shards=[1])
    assert list(sentences(check_store(store))) == [
        "shard 0 (frames 0 to 3): missing, not in the ledger, so it was not finished",
        "shards 2-4 (frames 8 to 19): missing, not in the ledger, so it was not finished",
    ]
    ok, lines = check_command(store)
    assert not ok and lines[-1].startswith("not finished: run `socl top_maps`")
    assert "1 sound, 4 missing" in lines[-2]


def test_damage_to_the_frame_index_is_found(store):
    flip(store / "frame/c/0")
    assert check_store(store).index_reason
    with pytest.raises(InputError, match=r"delete .* and run `socl top_maps`"):
        check_command(store, repair_below=store.parent)


def test_a_copy_is_checked_and_repaired_where_it_is(store, tmp_path):
    copy = tmp_path / "elsewhere/copy.zarr"
    shutil.copytree(store, copy)
    flip(chunk(copy, "maps", 0))
    ok, lines = check_command(copy, repair_below=tmp_path / "results")
    assert not ok and lines[-1].startswith("deleted what was wrong")
    assert faults(copy) == [(0, "missing")] and faults(store) == []
    assert not (copy / "maps/c/0/0/0").exists()
    assert [p.name for p in copy.parent.iterdir()] == ["copy.zarr"], "no lock is left beside it"


@pytest.fixture
def finished(make_job):
    """The job of a finished store of 16 frames in shards of 4; its inputs are built too."""

    def build_chain(raw):
        raw["top_maps"]["shard_frames"] = 4
        for stage in ("points", "proposals", "top_maps"):
            job = make_job(stage, raw=raw, bad_frames="skip")
            job.execute()
        return job

    return build_chain


def test_a_repaired_store_is_built_to_the_same_bytes(finished, raw_config, tmp_path):
    job = finished(raw_config)
    summary, store = job.execute(), job.output.resolve()
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in store.rglob("*") if p.is_file()}
    flip(chunk(store, "boxes", 1))
    chunk(store, "ledger", 3).unlink()
    ok, lines = check_command(job.output, repair_below=tmp_path / "results")
    assert not ok and f"{job.output} is taken down" in lines[-1]
    assert not job.output.is_symlink() and not job.summary_path.exists()
    assert faults(store) == [(1, "missing"), (3, "missing")]
    assert job.execute() == summary
    assert check_command(job.output)[0]
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in store.rglob("*") if p.is_file()}
    assert {p: b for p, (b, _) in after.items()} == {p: b for p, (b, _) in before.items()}
    redone = {p.relative_to(store) for p in after if after[p][1] != before[p][1]}
    assert {p.parts[2] for p in redone} == {"1", "3"}, "only the broken shards were computed"


def test_the_points_table_is_compared(finished, raw_config, make_job):
    store = finished(raw_config).output
    points = make_job("points").output
    assert check_command(store, points)[0]
    raw_config["datasets"]["demo"]["points"] = {"noise_px": 9}
    make_job("points", raw=raw_config).execute()
    ok, lines = check_command(store, points)
    assert not ok and "the click of row 0 is another one" in lines[-1]
    raw_config["datasets"]["demo"]["points"] = {"videos": 2}
    make_job("points", raw=raw_config).execute()
    assert "has 8 rows, the store 16" in check_command(store, points)[1][-1]


def test_content_is_the_same_for_any_shard_size(finished, raw_config, make_job, tmp_path):
    digest = finished(raw_config).execute().digest
    first = content_digest(TopStore(finished(raw_config).output))
    assert first == digest
    shutil.rmtree(tmp_path / "cache")
    raw_config["proposals"]["shard_frames"] = 3
    make_job("points").execute()
    make_job("proposals", raw=raw_config).execute()
    raw_config["top_maps"]["shard_frames"] = 7
    job = make_job("top_maps", raw=raw_config)
    assert job.execute().digest == digest
    assert TopStore(job.output).shard_frames == 7
