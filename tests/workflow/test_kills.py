"""SIGKILL at random moments, again and again: finished shards stay, the bytes are the same."""

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from itertools import cycle, islice

import psutil
import pytest
import yaml

from socl_pipeline.datasets.demo import write_demo
from socl_pipeline.pipeline.artifact import read_summary

STORE = "top_maps/*/top_maps.zarr"
LEDGER = "ledger/c/*/0"  # below a store: what finishes a shard

DEMO = {"train_videos": 16, "val_videos": 1, "frames": 24, "width": 96, "height": 72}
SMALL = {
    "views": {"working_side": 64},
    "proposals": {
        "random": {"count": 200},
        "edgeboxes": {"max_boxes": 20, "min_box_area_px": 200},
        "shard_frames": 128,
    },
    "top_maps": {"top_k": 8, "map_size": 16, "shard_frames": 16},
}


def finished_shards(cache):
    return [path.parent.name for path in cache.glob(f"{STORE}/{LEDGER}")]


def stamps(cache):
    """Inode and time of all files of the finished shards; a shard that is redone changes them."""
    found = {}
    for shard in finished_shards(cache):
        for path in cache.glob(f"{STORE}/*/c/{shard}"):
            if path.parts[-3] in ("video", "frame"):
                continue  # whole columns, written once
            for file in [path] if path.is_file() else path.rglob("*"):
                if file.is_file():
                    stat = file.stat()
                    found[file] = stat.st_ino, stat.st_mtime_ns
    return found


def contents(cache):
    (store,) = cache.glob(STORE)
    return {p.relative_to(store): p.read_bytes() for p in store.rglob("*") if p.is_file()}


def kill_group(process, rng):
    """Kill what was started, with all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def below(process, *words):
    """Return the running processes at and below one whose command line has all the words."""
    found = []
    with suppress(psutil.NoSuchProcess):  # all of it has ended
        top = psutil.Process(process.pid)
        for one in (top, *top.children(recursive=True)):
            with suppress(psutil.Error):  # this one has
                line = " ".join(one.cmdline())
                found += [one] if all(word in line for word in words) else []
    return found


def kill_stage(process, rng):
    """Kill only the stage, which is Dask's scheduler; its workers must end by themselves."""
    stages = below(process, "bin/socl", "top_maps")
    for stage in stages[-1:]:  # the last is not a shell around it
        stage.kill()
        process.wait(timeout=100)


def kill_worker(process, rng):
    """Kill one Dask worker process, if there is one yet."""
    workers = below(process, "spawn_main")
    if workers:
        rng.choice(workers).kill()


def kill_until_done(start, cache, kills, seed):
    """Kill what `start()` started, or one of its workers, at random moments, until it ends well.

    kills: functions of the process and a random generator. A kill comes a random time after the
    start or after the next shard. Asserts that no file of a finished shard was written again.
    """
    rng = random.Random(seed)
    first_seen, killed, process = {}, 0, None
    for kill in kills:
        if process is None or process.poll() is not None:
            process = start()
        wait_for_a_moment(process, cache, rng)
        for file, stamp in stamps(cache).items():
            first_seen.setdefault(file, stamp)
        if process.poll() == 0:
            break
        kill(process, rng)
        killed += 1
    assert killed > len(kills) // 2, f"it was done after {killed} kills: make it slower"
    if process.poll() != 0:
        process = start() if process.poll() is not None else process
        assert process.wait(timeout=300) == 0
    last = stamps(cache)
    assert len(first_seen) > 0
    assert {file: last[file] for file in first_seen} == first_seen


def wait_for_a_moment(process, cache, rng):
    """Wait until soon after the next finished shard, or for any time at all."""
    if rng.random() < 0.8:
        before = len(finished_shards(cache))
        while len(finished_shards(cache)) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.05))
    else:
        time.sleep(rng.uniform(0, 2))


def test_five_kills_of_stage_and_workers(raw_config, make_job, tmp_path):
    root = tmp_path / "data"
    write_demo(root, **DEMO)
    raw = raw_config | SMALL
    raw["datasets"]["demo"]["root"] = str(root)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(raw))
    for stage in ("points", "proposals", "top_maps"):
        undisturbed = make_job(stage, raw=raw).execute()
    expected = contents(tmp_path / "cache")
    cache = tmp_path / "killed"
    command = ["socl", "top_maps", "--config", str(config), "--dataset", "demo", "--workers", "2"]

    def start():
        return subprocess.Popen(
            [*command, "--results", str(tmp_path / "results"), "--cache", str(cache)],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    kills = (kill_group, kill_worker, kill_stage, kill_worker, kill_worker)
    kill_until_done(start, cache, kills, seed=1)
    assert contents(cache) == expected
    assert read_summary(tmp_path / "results/demo/top_maps.summary.json") == undisturbed


@pytest.mark.slow
def test_five_kills_of_training(raw_config, make_job, tmp_path):
    """Every step is a checkpoint here, so most kills fall into the writing of one."""
    raw_config["models"]["tiny"] |= {"epochs": 60, "validate_every": 7, "checkpoint_minutes": 0}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(raw_config))
    for stage in ("points", "proposals", "top_maps", "patches", "train"):
        undisturbed = make_job(stage, raw=raw_config).execute()
    cache, rng = tmp_path / "killed", random.Random(3)
    command = ["socl", "train", "--config", str(config), "--dataset", "demo", "--model", "tiny"]
    command += ["--results", str(tmp_path / "results"), "--cache", str(cache)]

    def start():
        return subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)

    def saved():
        return [path.stat().st_mtime_ns for path in cache.rglob("checkpoint.pt")]

    for _ in range(5):
        process, before = start(), saved()
        while saved() == before:
            assert process.poll() is None, "it was done before it was killed"
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.5))
        kill_group(process, rng)
    assert start().wait(timeout=300) == 0
    summary = read_summary(tmp_path / "results/demo/models/tiny.summary.json")
    assert summary.digest == undisturbed.digest, "weights and the measures of each step"


@pytest.mark.slow
def test_twenty_kills_of_snakemake_and_workers(fresh):
    manifest = yaml.safe_load((fresh.folder / "data_manifests/tiny.yaml").read_text())
    manifest["generate"] |= {**DEMO, "train_videos": 60}
    (fresh.folder / "data_manifests/tiny.yaml").write_text(yaml.safe_dump(manifest))
    fresh.edit(lambda config: config.update(SMALL))
    fresh.run("results/tiny/top_maps.zarr")
    cache = fresh.folder / "work/cache"
    expected, digest = contents(cache), fresh.digest("top_maps")
    shutil.rmtree(cache / "top_maps")
    for published in fresh.folder.glob("results/tiny/top_maps.*"):
        published.unlink()

    def start():
        fresh.snakemake("--unlock")
        return subprocess.Popen(
            ["snakemake", "--profile", "local", "results/tiny/top_maps.zarr"],
            cwd=fresh.folder,
            env=fresh.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    kills = tuple(islice(cycle((kill_group, kill_worker, kill_stage, kill_worker)), 20))
    kill_until_done(start, cache, kills, seed=2)
    assert contents(cache) == expected
    assert fresh.digest("top_maps") == digest
