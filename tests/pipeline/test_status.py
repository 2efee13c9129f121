import pytest

from socl_pipeline.pipeline.artifact import Recipe
from socl_pipeline.pipeline.status import (
    all_statuses,
    artifact_status,
    differences,
    disk_usage,
    format_bytes,
    remove_unused,
    unused_cache,
)
from socl_pipeline.settings import validate_config


def test_missing_complete_stale(make_job, raw_config):
    job = make_job("points")
    missing = artifact_status(job)
    assert (missing.state, missing.reason, missing.size) == ("missing", "not built", 0)
    job.execute()
    complete = artifact_status(make_job("points"))
    assert (complete.state, complete.reason) == ("complete", "")
    assert complete.size == job.output.resolve().stat().st_size
    raw_config["datasets"]["demo"]["points"] = {"noise_px": 5}
    stale = artifact_status(make_job("points", raw=raw_config))
    assert (stale.state, stale.reason) == ("stale", "noise_px was 0.0, now 5.0")


def test_a_changed_input_makes_stale(make_job, raw_config):
    for stage in ("points", "proposals"):
        make_job(stage).execute()
    raw_config["datasets"]["demo"]["points"] = {"noise_px": 5}
    make_job("points", raw=raw_config).execute()
    status = artifact_status(make_job("proposals", raw=raw_config))
    assert (status.state, status.reason) == ("stale", "points changed")


def test_a_missing_input_makes_stale(make_job):
    for stage in ("points", "proposals"):
        make_job(stage).execute()
    make_job("points").summary_path.unlink()
    status = artifact_status(make_job("proposals"))
    assert status.state == "stale" and "not built yet" in status.reason


def test_unfinished_work_is_mentioned(make_job, monkeypatch):
    job = make_job("points")

    def killed(self, job, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(job.stage), "run", killed)
    with pytest.raises(KeyboardInterrupt):
        job.execute()
    assert artifact_status(make_job("points")).reason == "begun, not finished"
    assert artifact_status(make_job("proposals")).reason == "not built"


def test_a_deleted_payload_is_missing(make_job):
    job = make_job("points")
    job.execute()
    job.output.resolve().unlink()
    assert artifact_status(make_job("points")).state == "missing"


def test_every_artifact_is_listed(make_job, raw_config, tmp_path):
    make_job("points").execute()
    config = validate_config(raw_config, "test")
    statuses = list(all_statuses(config, tmp_path / "results", tmp_path / "cache"))
    assert [s.state for s in statuses] == ["complete"] + ["missing"] * (len(statuses) - 1)
    assert [s.target.stage for s in statuses[:5]] == [
        "points",
        "proposals",
        "top_maps",
        "patches",
        "train",
    ]


def test_differences_in_words():
    old = Recipe("s", 1, {"a": 1, "deep": {"b": 2, "c": 3}}, {"x": "0", "y": "1"})
    new = Recipe("s", 2, {"a": 1, "deep": {"b": 9, "d": 4}}, {"x": "1", "z": "1"})
    assert list(differences(old, new)) == [
        "stage version 1, now 2",
        "deep.b was 2, now 9",
        "deep.c was 3, now None",
        "deep.d was None, now 4",
        "x changed",
        "y changed",
        "z changed",
    ]
    assert list(differences(old, old)) == []


def test_only_what_nothing_links_to_is_unused(make_job, raw_config, tmp_path):
    results, cache = tmp_path / "results", tmp_path / "cache"
    make_job("points").execute()
    first = make_job("points").output.resolve()
    assert unused_cache(results, cache) == []
    raw_config["datasets"]["demo"]["points"] = {"noise_px": 5}
    make_job("points", raw=raw_config).execute()
    (unused,) = unused_cache(results, cache)
    assert unused.resolve() == first.parent
    size = disk_usage(unused)
    assert remove_unused([unused]) == size > 0
    assert not unused.exists() and unused_cache(results, cache) == []
    assert make_job("points", raw=raw_config).output.exists()


def test_unfinished_work_is_not_unused(make_job, tmp_path):
    job = make_job("points")
    (tmp_path / "cache/points" / job.recipe.key).mkdir(parents=True)
    assert unused_cache(tmp_path / "results", tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (2.5e6, "2.5 MB"),
        (3e9, "3.0 GB"),
        (4e13, "40.0 TB"),
    ],
)
def test_format_bytes(size, expected):
    assert format_bytes(size) == expected
