"""Data that change under the same names: nothing old is served."""

import shutil

import pytest
import yaml

from socl_pipeline.errors import InputError


@pytest.fixture
def own_data(demo, raw_config, tmp_path):
    """A copy of the demo dataset that a test may spoil; the config points to it."""
    root = tmp_path / "data"
    shutil.copytree(demo.root, root)
    manifest = yaml.safe_load(demo.manifest.read_text()) | {"root": str(root)}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(manifest))
    raw_config["datasets"]["demo"]["manifest"] = str(path)
    return root / "train"


def frames(folder):
    return sorted(folder.glob("*/*.jpg"))


def test_other_pixels_under_the_same_names_are_another_dataset(own_data, make_job):
    before = make_job("points").execute().digest
    frame = frames(own_data)[5]
    frame.write_bytes(frame.read_bytes() + b"\0")
    assert make_job("points").execute().digest != before


@pytest.mark.parametrize(
    ("search", "stages"),
    [
        ("opencv", ("points", "proposals")),
        ("local", ("points", "proposals", "top_maps")),
    ],
)
def test_a_mended_frame_is_taken_up_again(own_data, raw_config, make_job, search, stages):
    raw_config["proposals"]["edgeboxes"]["search"] = search
    frame = frames(own_data)[5]
    whole = frame.read_bytes()
    frame.write_bytes(whole[: len(whole) // 2])
    for stage in stages:
        job = make_job(stage, bad_frames="skip")
        job.execute()
    assert len(job.execute().stats["skipped"]) == 1
    with pytest.raises(InputError, match="left out in all"):
        make_job(stages[-1], bad_frames="fail").execute()
    frame.write_bytes(whole)
    for stage in stages:
        summary = make_job(stage, bad_frames="fail").execute()
    assert summary.stats["skipped"] == []


def test_a_hidden_file_changes_nothing(own_data, make_job):
    before = make_job("points").recipe
    (frames(own_data)[0].parent / ".DS_Store").write_bytes(b"x")
    (frames(own_data)[0].parent / "._00000001.jpg").write_bytes(b"x")
    assert make_job("points").recipe == before


def test_what_only_costs_leaves_the_points_as_they_are(raw_config, make_job):
    before = make_job("points").execute().digest
    raw_config["datasets"]["demo"]["points"] = {"seconds_per_frame": 3.0}
    assert make_job("points", raw=raw_config).execute().digest == before
