"""Which config serves which dataset, and what is refused before any job starts."""

import json
from pathlib import Path

import pytest
import yaml

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import Recipe, Summary
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pipeline.plan import Plan
from socl_pipeline.pipeline.targets import trainings_of
from socl_pipeline.presets import overlay


@pytest.fixture
def folder(tmp_path, raw_config, monkeypatch):
    """A config folder with the small demo as its default; the working directory is tmp_path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/demo.yaml").write_text(yaml.safe_dump(raw_config))
    return tmp_path / "config"


class Wildcards(dict):
    """Snakemake's wildcards have items()."""


def test_the_default_and_a_second_config(folder, raw_config):
    other = raw_config | {"datasets": {"other": raw_config["datasets"]["demo"]}}
    (folder / "second.yaml").write_text(yaml.safe_dump(other))
    plan = Plan({}, folder=folder)
    assert list(plan.default.datasets) == ["demo"]
    assert list(plan.config("other").datasets) == ["other"]
    with pytest.raises(InputError, match="no config names a dataset 'none'; known: demo, other"):
        plan.config("none")


def test_two_files_that_name_one_dataset_are_refused(folder, raw_config):
    (folder / "copy.yaml").write_text(yaml.safe_dump(raw_config))
    with pytest.raises(InputError, match=r"demo\.yaml and .*copy\.yaml both name .*'demo'"):
        Plan({}, folder=folder).config("x")


def test_values_are_laid_over_the_file_even_inside_a_dataset(folder):
    plan = Plan({"datasets": {"demo": {"on_bad_frame": "skip"}}}, folder=folder)
    assert plan.default.datasets["demo"].on_bad_frame == "skip"
    assert plan.default.models


def test_a_complete_config_replaces_all(folder, raw_config):
    given = raw_config | {"datasets": {"mine": raw_config["datasets"]["demo"]}}
    plan = Plan(given, complete=True, folder=folder)
    assert list(plan.default.datasets) == ["mine"]
    with pytest.raises(InputError, match="known: mine"):
        plan.config("demo")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda c: c["benchmarks"]["val"].update(sequences=["nope"]), "no sequence 'nope'"),
        (lambda c: c["datasets"]["demo"].update(split="tain"), "no split 'tain'"),
        (lambda c: c["models"]["tiny"].update(weights="nope.pth"), "nope.pth: no such file"),
        (
            lambda c: c["trackers"].update(t={"kind": "transt", "weights": "nope.pth"}),
            "nope.pth: no such file",
        ),
        (lambda c: c["top_maps"].update(objectness="nope.json"), "nope.json: no such file"),
        (
            lambda c: c["proposals"]["edgeboxes"].update(model="nope.yml.gz"),
            "nope.yml.gz: no such file",
        ),
        (
            lambda c: c["benchmarks"]["val"].update(convention="officiel"),
            "benchmarks.val: convention 'officiel': protocol ope has official",
        ),
        (
            lambda c: c["trackers"].update(
                other={"kind": "results", "format": "otb", "folder": "{benchmark}/x"}
            ),
            "val/x: no such folder of results",
        ),
        (
            lambda c: c["trackers"].update(other={"kind": "python", "class": "nope:Nope"}),
            "tracker class 'nope:Nope': cannot be imported",
        ),
    ],
)
def test_what_would_fail_after_hours_fails_now(folder, raw_config, change, what):
    change(raw_config)
    with pytest.raises(InputError, match=what):
        Plan(raw_config, complete=True, folder=folder)


def test_all_names_the_results_that_a_deleted_one_may_come_back(folder, raw_config):
    raw_config["pseudo_boxes"] = {"linear": {"kind": "interpolate"}}
    made = Plan(raw_config, complete=True, folder=folder).everything
    assert set(made) == {
        "results/demo/tracks/val/socl.parquet",
        "results/demo/tracks/val/kcf.parquet",
        "results/demo/scores/val.parquet",
        "results/demo/figures/val",
        "results/demo/pseudo_boxes/linear.parquet",
        "results/demo/box_quality",
        "results/demo/report.html",
    }  # not TOP maps and patches, which are deleted for their disk


def test_a_benchmark_without_truth_is_tracked_and_not_scored(folder, raw_config, withheld):
    raw_config["datasets"]["test"] = raw_config["datasets"]["demo"]  # of the same name
    raw_config["benchmarks"]["test"] = withheld
    plan = Plan(raw_config, complete=True, folder=folder)
    assert {t for t in plan.everything if t.startswith("results/test/")} == {
        *(f"results/test/tracks/{b}/{t}.parquet" for b in ("val", "test") for t in ("socl", "kcf")),
        *("results/test/scores/val.parquet", "results/test/figures/val"),
        "results/test/report.html",
    }
    report = plan.summaries("report", Wildcards(dataset="demo"))
    assert "results/demo/tracks/test/kcf.summary.json" in report, "it says that they are there"
    assert not any("scores/test" in path or "figures/test" in path for path in report)
    names = Wildcards(dataset="demo", table="table_3")
    assert not any("tracks/test" in path for path in plan.summaries("table", names))
    with pytest.raises(InputError, match=r"test is not scored: .* `truth: withheld` of split test"):
        plan.summaries("scores", Wildcards(dataset="demo", benchmark="test"))
    raw_config["tables"] = {"benchmarks": ["test"]}
    with pytest.raises(InputError, match=r"tables\.benchmarks: test is not scored"):
        Plan(raw_config, complete=True, folder=folder).table_files("demo")


def test_without_models_tables_are_outlines(folder, raw_config):
    raw_config["models"] = {}
    raw_config["trackers"] = {"kcf": {"kind": "opencv", "name": "kcf"}}
    plan = Plan(raw_config, complete=True, folder=folder)
    tables = {Path(path).name.removesuffix(".summary.json") for path in plan.all_tables}
    assert {t for t in tables if not t.endswith("__outline")} == {"table_4"}
    assert "results/demo/tracks/val/kcf.parquet" in plan.everything


def test_planning_writes_nothing_until_the_run_starts(folder, tmp_path):
    plan = Plan({}, folder=folder)
    fingerprint = plan.fingerprint("points", Wildcards(dataset="demo"))
    assert not (tmp_path / "work").exists()
    plan.write_configs()
    written = json.loads((tmp_path / "work/config/demo.json").read_text())
    assert (
        Plan(written, complete=True).fingerprint("points", Wildcards(dataset="demo")) == fingerprint
    )


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("points", lambda c: c["datasets"]["demo"].update(split="val")),
        ("track", lambda c: c["benchmarks"]["val"].update(split="train")),
        ("scores", lambda c: c["benchmarks"]["val"].update(split="train")),
    ],
)
def test_where_data_lie_is_watched(folder, raw_config, stage, change):
    names = Wildcards(dataset="demo", benchmark="val", tracker="kcf")
    before = Plan(raw_config, complete=True).fingerprint(stage, names)
    change(raw_config)
    assert Plan(raw_config, complete=True).fingerprint(stage, names) != before


def test_a_rule_waits_for_what_the_config_makes_its_stage_read(folder, raw_config):
    names = Wildcards(dataset="demo")

    def stages(stage):
        found = Plan(raw_config, complete=True).summaries(stage, names)
        return [f.removeprefix("results/demo/").removesuffix(".summary.json") for f in found]

    assert stages("top_maps") == ["points", "proposals"]
    above = ["top_maps", "patches", "models/tiny", "scores/val", "figures/val"]
    assert stages("report") == ["points", "proposals", *above]
    raw_config["top_maps"]["prior"] = "gaussian"
    assert stages("top_maps") == ["points"]
    assert stages("report") == ["points", *above]
    raw_config["trackers"], raw_config["benchmarks"] = {}, {}
    assert stages("report") == ["points", "top_maps", "patches", "models/tiny"]


def test_truth_files_are_inputs_of_the_points(folder, demo, raw_config):
    manifest = yaml.safe_load(demo.manifest.read_text())
    del manifest["generate"]
    path = demo.manifest.with_name("found.yaml")
    path.write_text(yaml.safe_dump(manifest))
    raw_config["datasets"]["demo"]["manifest"] = str(path)
    files = Plan(raw_config, complete=True).dataset_files("demo")
    assert any(f.endswith("list.txt") for f in files)
    assert sum(f.endswith("groundtruth.txt") for f in files) == 4


def test_a_derived_dataset_has_the_config_of_its_base(folder, raw_config, tmp_path):
    raw_config["models"]["tiny"]["window"] = 159  # kind bce needs some
    (folder / "demo.yaml").write_text(yaml.safe_dump(raw_config))
    other = raw_config | {"datasets": {"other": raw_config["datasets"]["demo"]}}
    (folder / "second.yaml").write_text(yaml.safe_dump(other))
    plan = Plan({}, folder=folder)
    assert plan.config("demo__boxes__budget1") is plan.config("demo")
    assert list(plan.config("other__noise20").datasets) == ["other"]
    assert plan.dataset_files("demo__boxes") == plan.dataset_files("demo")
    assert plan.model_of("demo__boxes", "socl__gst__seed1") == "tiny__gst__seed1"
    names = Wildcards(dataset="demo__boxes__budget1", model="tiny__bce")
    fingerprint = plan.fingerprint("train", names)
    plan.write_configs()
    written = json.loads((tmp_path / "work/config/demo__boxes__budget1.json").read_text())
    assert Plan(written, complete=True).fingerprint("train", names) == fingerprint


def test_tables_are_known_by_name_and_may_not_be_named_like_a_rule(folder, raw_config):
    row = {"title": "T", "rows": [{"label": "r"}]}
    raw_config["tables"] = {"own": {"mine": row}}
    tables = Plan(raw_config, complete=True).tables
    assert tables["table_1"] == "results/demo/tables/table_1.summary.json"
    assert "mine" in tables
    raw_config["tables"] = {"own": {"train": row}}
    with pytest.raises(InputError, match=r"tables\.own\.train: a rule has that name"):
        Plan(raw_config, complete=True)


def test_overlay_changes_neither_side():
    base, values = {"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}
    assert overlay(base, values) == {"a": {"b": 3, "c": 2}}
    assert base == {"a": {"b": 1, "c": 2}} and values == {"a": {"b": 3}}


def test_all_tables_are_asked_for_and_few_of_them_train(folder, raw_config):
    raw_config["models"]["tiny"]["window"] = 159  # which kind bce needs
    raw_config["trackers"]["cf"] = {"kind": "eco", "model": "tiny"}

    def tables(**given):
        raw_config["tables"] = {"hours": [1]} | given
        found = Plan(raw_config, complete=True).all_tables
        return [f.removeprefix("results/demo/tables/").removesuffix(".summary.json") for f in found]

    built = [t for t in tables() if not t.endswith("__outline")]
    assert built == ["table_3", "table_4"], "these need no model but that of the config"
    assert "table_1__outline" in tables() and "figure_10__outline" in tables()
    assert "table_1" in tables(train=["table_1"]) and "table_6__outline" in tables(
        train=["table_1"]
    )
    assert not any(t.endswith("__outline") for t in tables(train="all"))
    raw_config["tables"] = {"train": ["tabel_1"]}
    with pytest.raises(InputError, match=r"tables\.train: there is no table 'tabel_1'"):
        Plan(raw_config, complete=True)


def test_a_table_is_built_once_its_models_are_trained(folder, raw_config, make_job):
    plan = Plan(raw_config, complete=True)
    trainings = trainings_of(plan.default, "demo", "table_9")
    (head,) = [t for t in trainings if "head" in str(t)]
    path = Job(plan.default, head).summary_path
    assert "results/demo/tables/table_9__outline.summary.json" in plan.all_tables
    path.parent.mkdir(parents=True)
    recipe = Recipe("train", 1, Job(plan.default, head).params, {})
    path.write_text(Summary(recipe, "0" * 64, {}).to_json())
    assert "results/demo/tables/table_9.summary.json" in plan.all_tables
    path.write_text(Summary(Recipe("train", 1, {"lr": 9}, {}), "0" * 64, {}).to_json())
    assert "results/demo/tables/table_9__outline.summary.json" in plan.all_tables, "another model"
