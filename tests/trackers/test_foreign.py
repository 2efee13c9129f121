"""Trackers of kind results: a foreign tracker's files are scored beside ours."""

import json
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from socl_pipeline.benchmarks.formats.layouts import ResultFolder, format_of
from socl_pipeline.benchmarks.track_table import runs_of
from socl_pipeline.benchmarks.tracks import INITIALISED, MISSING, TRACKED, Run
from socl_pipeline.cli import cli
from socl_pipeline.errors import InputError
from socl_pipeline.settings import validate_config
from socl_pipeline.trackers.build import build_tracker


def one_pass(boxes):
    states = np.full(len(boxes), TRACKED, np.int8)
    states[0] = INITIALISED
    return Run(boxes, np.full(len(boxes), 0.5), states)


@pytest.fixture
def foreign(raw_config, make_job, tmp_path):
    """Result files that are the truth itself, and the config that names their tracker.

    Returns a function that makes the job of a stage, and the folder of the files.
    """
    files = tmp_path / "files" / "val"
    raw_config["trackers"] = {
        "theirs": {
            "kind": "results",
            "folder": str(tmp_path / "files" / "{benchmark}"),
            "format": "got10k",
        }
    }
    benchmark = make_job("track", tracker="theirs").benchmark
    results = ResultFolder(files, format_of("got10k", "got10k", False))
    for name in benchmark.names():
        results.write(name, [one_pass(benchmark.read(name).boxes)])

    def job(stage="track"):
        return make_job(stage, raw=raw_config, tracker="theirs")

    return job, files


def test_files_become_a_table_of_tracks(foreign):
    job, _ = foreign
    summary = job().execute()
    names = job().benchmark.names()
    assert summary.stats["sequences"] == len(names)
    runs = runs_of(pq.read_table(job().output))
    assert list(runs) == names
    truth = job().benchmark.read(names[1]).boxes
    np.testing.assert_allclose(runs[names[1]][0].boxes, truth, atol=5e-4)
    assert runs[names[1]][0].seconds.tolist() == [0.5] * len(truth)


def test_it_is_scored_like_any_other(foreign):
    job, _ = foreign
    job().execute()
    stats = job("scores").execute().stats
    # success counts overlaps above each of 21 thresholds, of which no overlap is above 1
    assert stats["auc"]["theirs"] == pytest.approx(20 / 21, abs=1e-3)


def test_other_content_is_another_result_and_reruns_what_is_below(foreign):
    job, files = foreign
    before, fingerprint, recipe = job().execute(), job().fingerprint, job().recipe
    job("scores").execute()
    path = next(files.glob("*/*_001.txt"))
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([first, "0,0,1,1", *rest[1:]]) + "\n")
    assert job().fingerprint != fingerprint and job().recipe.key != recipe.key
    assert job().execute().digest != before.digest
    assert job("scores").execute().stats["auc"]["theirs"] < 20 / 21 - 0.01


def test_where_the_files_lie_and_what_lies_beside_them_does_not_count(foreign, raw_config):
    job, files = foreign
    key = job().recipe.key
    (files / "notes.md").write_text("x")
    moved = files.with_name("moved")
    files.rename(moved)
    raw_config["trackers"]["theirs"]["folder"] = str(moved)
    assert job().recipe.key == key


def test_a_missing_sequence_is_one_sentence(foreign):
    job, files = foreign
    name = job().benchmark.names()[0]
    for path in (files / name).iterdir():
        path.unlink()
    with pytest.raises(InputError, match=f"no results of 1 of 2 sequences .{name}.; expected"):
        job().execute()


def test_skipped_it_is_listed_and_left_out(foreign, raw_config):
    job, files = foreign
    missing, other = job().benchmark.names()
    (files / missing / f"{missing}_001.txt").unlink()
    raw_config["trackers"]["theirs"]["missing"] = "skip"
    assert job().execute().stats["missing"] == [missing]
    table = pq.read_table(job().output)
    assert table["sequence"].unique().to_pylist() == [other]
    assert json.loads(table.schema.metadata[MISSING]) == [missing]
    assert job("scores").execute().stats["auc"]["theirs"] == pytest.approx(20 / 21, abs=1e-3)


def test_without_any_results_skipping_is_no_help(foreign, raw_config, tmp_path):
    job, _ = foreign
    raw_config["trackers"]["theirs"] |= {"missing": "skip", "folder": str(tmp_path / "none")}
    with pytest.raises(InputError, match="is the folder or format right"):
        job().execute()
    raw_config["trackers"]["theirs"]["missing"] = "fail"
    with pytest.raises(InputError, match="none: no such folder of results"):
        job().execute()


def test_result_files_cannot_run(foreign, raw_config):
    job, _ = foreign
    with pytest.raises(InputError, match="its boxes are in files"):
        build_tracker(job().config.tracker("theirs"), None)
    raw_config["pseudo_boxes"] = {"x": {"kind": "track", "tracker": "theirs"}}
    with pytest.raises(InputError, match=r"pseudo_boxes.x.tracker: 'theirs' is of kind results"):
        validate_config(raw_config, "test")


def test_what_is_exported_is_read_again(foreign, raw_config, tmp_path):
    job, files = foreign
    job().execute()
    config = tmp_path / "config.json"
    config.write_text(json.dumps(raw_config))
    options = ["-c", config, "--results", tmp_path / "results", "--benchmark", "val"]
    options += ["--dataset", "demo", "--tracker", "theirs"]

    def results(command, *more):
        words = ["results", command, *more, *options]
        return CliRunner().invoke(cli, [str(w) for w in words], catch_exceptions=False)

    found = results("export", "--format", "got10k", "--output", tmp_path / "out")
    assert "2 sequences" in found.output
    for path in files.glob("*/*.txt"):
        assert (tmp_path / "out" / path.relative_to(files)).read_text() == path.read_text()
    assert "no results" not in found.output
    with pytest.raises(InputError, match="2 sequences; its test set has 180"):
        results("submit", "--server", "got10k", "--output", tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()

    table = pq.read_table(job().output)
    part = table.replace_schema_metadata(table.schema.metadata | {MISSING: json.dumps(["gone"])})
    pq.write_table(part, job().output.resolve())
    found = results("export", "--format", "got10k", "--output", tmp_path / "part")
    assert "not written, as there are no results: gone (1 in all)" in found.output
    with pytest.raises(InputError, match=r"no results of gone \(1 in all\), and GOT-10k's server"):
        results("submit", "--server", "got10k", "--output", tmp_path / "x.zip")


def test_an_archive_is_checked_with_the_frames_of_a_benchmark(raw_config, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(raw_config))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.txt", "1,2,3,4")
    words = ["results", "check", tmp_path / "x.zip", "--server", "trackingnet"]
    for more, what in (([], "1 sequences"), (["--benchmark", "val", "-c", config], "2 sequences")):
        with pytest.raises(InputError, match=f"{what}; its test set has 511"):
            CliRunner().invoke(cli, [str(w) for w in (*words, *more)], catch_exceptions=False)
