"""The stages that read frames, shard by shard: any order, any number of workers, a full disk."""

import os
import random
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cloudpickle
import pytest

from socl_pipeline.annotation import shards
from socl_pipeline.datasets.demo import write_demo
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.parallel import run_tasks

STAGES = ("proposals", "top_maps", "patches")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def many_shards(stored_boxes, tmp_path, make_job):
    """The small config with shards of 16 frames on 40 frames, cut once; points are built."""
    root = tmp_path / "data"
    write_demo(root, train_videos=5, val_videos=1, frames=8, width=96, height=72)
    stored_boxes["datasets"]["demo"]["root"] = str(root)
    stored_boxes["patches"]["size"] = 64
    make_job("points").execute()
    return stored_boxes


def test_any_order_and_number_of_workers_gives_the_same_bytes(
    many_shards, make_job, tmp_path, monkeypatch
):
    found = {}
    for workers in (0, 2):
        for stage in STAGES:
            artifact = make_job(stage, raw=many_shards, workers=workers)
            digest = artifact.execute().digest
            found[stage, workers] = digest, contents(artifact.output.resolve())
            shutil.rmtree(tmp_path / "cache" / stage)
            if workers == 0:  # what follows reads it
                artifact.execute()

        def shuffled(function, tasks, **options):
            assert len(tasks) > 2
            again = random.Random(7).sample(tasks, len(tasks))
            assert again != tasks
            return run_tasks(function, again, **options)

        monkeypatch.setattr(shards, "run_tasks", shuffled)
    for stage in STAGES:
        assert found[stage, 0] == found[stage, 2]


def test_workers_read_relative_paths_where_the_stage_does(
    many_shards, make_job, tmp_path, monkeypatch
):
    def from_elsewhere(function, tasks, **options):
        monkeypatch.chdir("/")  # as a Dask worker that was started in another folder
        return run_tasks(function, tasks, **options)

    monkeypatch.chdir(tmp_path)
    expected = make_job("proposals", raw=many_shards, workers=0).execute().digest
    manifest = Path(many_shards["datasets"]["demo"]["manifest"]).resolve()
    many_shards["datasets"]["demo"]["manifest"] = os.path.relpath(manifest)
    job = make_job("top_maps", raw=many_shards, workers=0)
    relative = replace(job, results=Path(os.path.relpath(job.results)))
    monkeypatch.setattr(shards, "run_tasks", from_elsewhere)
    assert relative.execute().stats["left_out"] == 0
    assert expected == relative.recipe.inputs["proposals"]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, and a function that sets the size of that disk in KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, text=True)

    try:
        result = mount("size=4k")
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if result.returncode:
        pytest.skip(f"a disk cannot be mounted here: {result.stderr.strip()}")

    def resize(kib):
        assert mount("remount", f"size={kib}k").returncode == 0

    yield folder, resize
    subprocess.run(["umount", str(folder)], check=True)


def test_what_travels_with_each_task_does_not_grow_with_the_dataset(
    many_shards, make_job, monkeypatch
):
    sent = []

    def weighed(function, tasks, **options):
        sent.append(len(cloudpickle.dumps(function)))
        return run_tasks(function, tasks, **options)

    monkeypatch.setattr(shards, "run_tasks", weighed)
    for stage in STAGES:
        make_job(stage, raw=many_shards, workers=0).execute()
    assert len(sent) == len(STAGES)
    assert max(sent) < 10_000  # bytes; a store that was opened has a name for each video


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(
    stage, many_shards, make_job, small_disk
):
    for upstream in STAGES[: STAGES.index(stage) + 1]:
        expected = make_job(upstream, raw=many_shards).execute().digest
    folder, resize = small_disk
    sentences = []
    for kib in (4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 4096):
        resize(kib)
        job = replace(make_job(stage, raw=many_shards), cache=folder)
        try:
            summary = job.execute()
            break
        except InputError as error:
            sentences.append(str(error))
    assert summary.digest == expected
    assert len(sentences) >= 3
    for sentence in sentences:
        assert str(folder / stage) in sentence
        assert "the disk is full" in sentence
        assert "free space and run the same command again" in sentence
    assert any(re.search(r"so about [\d.]+ [kM]B more are needed", s) for s in sentences)


def test_a_full_disk_under_dask_workers_is_one_sentence(many_shards, make_job, small_disk):
    folder, resize = small_disk
    resize(16)
    job = replace(make_job("proposals", raw=many_shards, workers=1), cache=folder)
    with pytest.raises(InputError, match="the disk is full"):
        job.execute()
