"""Stage `track`: repetitions, restarts of the stage, and trackers that crash."""

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from socl_pipeline.benchmarks.track_table import read_tracks
from socl_pipeline.benchmarks.tracks import CRASHED
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.errors import InputError
from socl_pipeline.trackers import track


class Jumpy:
    """A tracker that jumps at random, or away from its object, or crashes on some videos."""

    def __init__(self, jump=0.0, lost=(), crashes=()):
        self._jump, self._lost, self._crashes = jump, lost, crashes
        self.inits = 0

    def init(self, image, box):
        self._box, self._frame = np.array(box), 0
        self.inits += 1

    def update(self, image):
        self._frame += 1
        if self.inits in self._crashes and self._frame == 2:
            raise MemoryError("no memory\nleft")
        if self._frame in self._lost:
            return np.array([500.0, 500, 5, 5])
        return self._box + np.random.normal(0, self._jump, 4)  # noqa: NPY002  as users do


@pytest.fixture
def run_stage(make_job, raw_config, demo, tmp_path, monkeypatch):
    """A function that runs the stage with a tracker; returns its job. The protocol is VOT's."""

    def run(tracker, protocol="vot", make=None, **constants):
        content = yaml.safe_load(demo.manifest.read_text()) | {"protocol": protocol}
        if protocol == "vot":
            constants = {"eao_interval": [2, 4], "skip": 1} | constants
        manifest = tmp_path / "manifest.yaml"
        manifest.write_text(yaml.safe_dump(content | {"constants": constants}))
        raw_config["benchmarks"]["val"]["manifest"] = str(manifest)
        monkeypatch.setattr(track, "build_tracker", make or (lambda settings, model: tracker))
        job = make_job("track")
        job.execute()
        return job

    return run


def tracks_of(job):
    names = job.benchmark.names()
    return read_tracks(job.output, {n: len(job.benchmark.read(n)) for n in names}).tracks


def test_random_trackers_are_repeated(run_stage):
    job = run_stage(Jumpy(jump=0.5), repetitions=4)
    for runs in (t.runs for t in tracks_of(job).values()):
        assert len(runs) == 4
        assert len({run.boxes.tobytes() for run in runs}) == 4
    repeating = tracks_of(run_stage(Jumpy(), repetitions=7))
    assert {len(t.runs) for t in repeating.values()} == {3}


def test_a_tracker_has_one_core(run_stage):
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    run_stage(Jumpy(), protocol="ope")
    assert cv2.getNumThreads() == torch.get_num_threads() == 1
    cv2.setNumThreads(before)


def test_trackers_that_say_so_run_once(run_stage):
    tracker = Jumpy(jump=0.5)
    tracker.deterministic = True
    assert {len(t.runs) for t in tracks_of(run_stage(tracker)).values()} == {1}


def test_got10k_repeats_and_does_not_restart(run_stage):
    tracks = tracks_of(run_stage(Jumpy(jump=0.1, lost=(2,)), protocol="got10k"))
    for t in tracks.values():
        assert len(t.runs) == 3
        assert all(run.states.tolist() == [1, 0, 0, 0] for run in t.runs)


def test_vot_restarts_a_lost_tracker(run_stage):
    job = run_stage(Jumpy(lost=(2,)), repetitions=1)
    for t in tracks_of(job).values():
        assert t.runs[0].states.tolist() == [1, 0, 2, 1]
    rows = pq.read_table(job.output)
    assert rows.schema.field("state").type == "int8"
    assert rows.schema.field("repetition").type == "int16"


def test_a_killed_stage_keeps_its_finished_runs(run_stage, tmp_path, monkeypatch):
    class Killed(Jumpy):
        def update(self, image):
            if self.inits == 6:  # the second sequence's second run is under way
                raise KeyboardInterrupt
            return super().update(image)

    with pytest.raises(KeyboardInterrupt):
        run_stage(Killed(jump=0.5), repetitions=4)
    finished = set((tmp_path / "cache").rglob("scratch/**/*.parquet"))
    assert len(finished) == 4 + 1 + 1  # runs over the first sequence, that sequence, one more run
    written, write = [], track._write

    def noted(path, *arguments):
        written.append(path)
        write(path, *arguments)

    monkeypatch.setattr(track, "_write", noted)
    tracker = Jumpy(jump=0.5)
    job = run_stage(tracker, repetitions=4)
    assert tracker.inits == 3
    assert not finished & set(written)
    again = job.execute().digest
    shutil.rmtree(tmp_path / "cache")
    assert run_stage(Jumpy(jump=0.5), repetitions=4).execute().digest == again


def test_a_crash_on_one_sequence_is_recorded(run_stage, caplog):
    job = run_stage(Jumpy(crashes=(1,)), protocol="ope")
    first, second = tracks_of(job).values()
    sentence = "MemoryError: no memory left"
    assert first.failed == sentence
    assert second.failed is None
    assert np.isnan(first.runs[0].boxes[2:]).all()
    assert np.isfinite(first.runs[0].boxes[:2]).all()
    name = job.benchmark.names()[0]
    assert job.execute().stats["crashed"] == {name: sentence}
    assert json.loads(pq.read_schema(job.output).metadata[CRASHED]) == {name: sentence}
    assert f"kcf crashed on {name}: {sentence}" in caplog.text


def test_a_crash_ends_its_run_and_not_the_repetitions(run_stage):
    """The second run over each sequence crashes; the third is by a tracker made anew."""
    made = []

    def make(settings, model):
        made.append(Jumpy(jump=0.5, crashes=(2,)))
        return made[-1]

    job = run_stage(None, make=make, protocol="got10k")
    for t in tracks_of(job).values():
        assert [np.isnan(run.boxes).any() for run in t.runs] == [False, True, False]
        assert t.failed == "MemoryError: no memory left"
    assert [tracker.inits for tracker in made] == [2, 1, 2, 1]


def test_a_crash_on_every_sequence_is_an_error(run_stage):
    with pytest.raises(InputError, match=r"kcf crashed on every sequence, on .* with Memory"):
        run_stage(Jumpy(crashes=(1, 2)), protocol="ope")
    assert tracks_of(run_stage(Jumpy(), protocol="ope"))  # it is run again


def test_bad_data_names_its_sequence(run_stage, make_job, monkeypatch):
    def without_start(video):
        boxes = video.boxes.copy()
        boxes[0] = np.nan
        return dataclasses.replace(video, boxes=boxes)

    read = Dataset.read
    monkeypatch.setattr(Dataset, "read", lambda self, name: without_start(read(self, name)))
    name = make_job("track").benchmark.names()[0]
    with pytest.raises(InputError, match=f"{name}: The first box is .*nan"):
        run_stage(Jumpy(), protocol="ope")


def test_vot_needs_its_numbers(make_job, raw_config):
    raw_config["benchmarks"]["val"]["protocol"] = "vot"
    with pytest.raises(InputError, match="protocol vot needs numbers that depend on the data"):
        make_job("track").execute()
