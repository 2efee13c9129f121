"""Frames that break on the way: left out with their reason, whatever happens to the run."""

import json
import shutil

import numpy as np
import pytest
import yaml

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import scratch_folder
from socl_pipeline.top import top_maps
from socl_pipeline.top.store.check import check_command
from socl_pipeline.top.store.store import UNREADABLE, TopStore


@pytest.fixture
def raw(demo, raw_config, tmp_path):
    """A config of an own copy of the demo data, in shards of 4 frames."""
    root = tmp_path / "data"
    shutil.copytree(demo.root, root)
    manifest = yaml.safe_load(demo.manifest.read_text()) | {"root": str(root)}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(manifest))
    raw_config["datasets"]["demo"]["manifest"] = str(tmp_path / "own.yaml")
    raw_config["top_maps"]["shard_frames"] = 4
    return raw_config


def spoil(tmp_path, index):
    frame = sorted((tmp_path / "data/train").glob("*/*.jpg"))[index]
    frame.write_bytes(frame.read_bytes()[:200])
    return frame


@pytest.fixture
def broken(raw, make_job, tmp_path):
    """One frame breaks before the proposals, another one between them and the TOP maps."""
    make_job("points", raw=raw).execute()
    frames = [spoil(tmp_path, 2)]
    make_job("proposals", raw=raw, bad_frames="skip").execute()
    return [*frames, spoil(tmp_path, 9)]


def test_the_stage_stops_at_a_broken_frame(broken, raw, make_job):
    with pytest.raises(InputError, match="mend it, or pass --on-bad-frame skip"):
        make_job("top_maps", raw=raw, bad_frames="fail").execute()


def test_left_out_frames_have_a_status_and_a_reason(broken, raw, make_job):
    job = make_job("top_maps", raw=raw, bad_frames="skip")
    stats = job.execute().stats
    assert [s["frame"] for s in stats["skipped"]] == [2, 1] and stats["left_out"] == 2
    for item, frame in zip(stats["skipped"], broken, strict=True):
        assert str(frame) in item["reason"] and item["video"] == frame.parent.name
    rows = TopStore(job.output).rows(0, 16)
    bad = np.isin(np.arange(16), [2, 9])
    np.testing.assert_array_equal(rows.status == UNREADABLE, bad)
    np.testing.assert_array_equal(rows.count == 0, bad)
    assert not rows.boxes[bad].any() and not rows.maps[bad].any() and rows.points[bad].all()
    with pytest.raises(InputError, match=r"\(2 left out in all\)"):
        make_job("top_maps", raw=raw, bad_frames="fail").execute()


def test_reasons_survive_a_restart(broken, raw, make_job, monkeypatch):
    undisturbed = make_job("top_maps", raw=raw, bad_frames="skip").execute()
    shutil.rmtree(make_job("top_maps", raw=raw).cache / "top_maps")
    real = top_maps.write_rows

    def dying(path, start, rows):
        real(path, start, rows)
        if start == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(top_maps, "write_rows", dying)
    job = make_job("top_maps", raw=raw, bad_frames="skip")
    with pytest.raises(KeyboardInterrupt):
        job.execute()
    monkeypatch.undo()
    assert job.execute() == undisturbed


def test_reasons_survive_a_repair(broken, raw, make_job, tmp_path):
    job = make_job("top_maps", raw=raw, bad_frames="skip")
    before = job.execute()
    store = job.output.resolve()
    for shard in (0, 1):  # the first of them has a frame that was left out
        (store / f"ledger/c/{shard}/0/0").unlink()
    check_command(job.output, repair_below=tmp_path / "results")
    kept = [json.loads(p.read_text()) for p in scratch_folder(store).glob("left_out/*.json")]
    assert sorted(int(row) for reasons in kept for row in reasons) == [2, 9]
    assert job.execute() == before


def test_a_half_built_store_goes_on_with_its_own_shards(raw, make_job, monkeypatch):
    for stage in ("points", "proposals"):
        make_job(stage, raw=raw).execute()
    real = top_maps.write_rows

    def dying(path, start, rows):
        if start == 8:
            raise KeyboardInterrupt
        real(path, start, rows)

    monkeypatch.setattr(top_maps, "write_rows", dying)
    with pytest.raises(KeyboardInterrupt):
        make_job("top_maps", raw=raw).execute()
    monkeypatch.undo()
    raw["top_maps"]["shard_frames"] = 5
    job = make_job("top_maps", raw=raw)
    job.execute()
    assert TopStore(job.output).shard_frames == 4
    assert check_command(job.output)[0]
