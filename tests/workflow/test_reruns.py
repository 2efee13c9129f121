"""What reruns after a change: only the stages downstream of it."""

import json
import re
import shutil

import yaml

AFTER_PROPOSALS = ("top_maps", "patches", "train")
AFTER_TRAINING = ("track", "scores", "figure", "report")


def test_a_finished_project_has_its_artifacts_and_runs_nothing_again(project):
    assert (project.folder / "results/tiny/report.html").stat().st_size > 10_000
    assert project.planned() == {}
    assert "Nothing to be done" in project.run()


def test_the_learning_rate_reruns_training_and_what_follows(project):
    project.edit(lambda c: c["models"]["socl_siam"].update(lr=1e-4))
    assert project.planned() == dict.fromkeys(("train", *AFTER_TRAINING), 1)


def test_the_nms_threshold_reruns_top_maps_and_what_follows_but_not_proposals(project):
    project.edit(lambda c: c["top_maps"].update(nms=0.6))
    assert project.planned() == dict.fromkeys((*AFTER_PROPOSALS, *AFTER_TRAINING), 1)


def test_a_plot_colour_reruns_only_pictures_and_going_back_is_a_link(project):
    report = project.folder / "results/tiny/report.html"
    before = report.resolve()
    project.edit(lambda c: c["report"].update(palette=["#000000", "#888888"]))
    assert project.planned() == {"figure": 1, "report": 1}
    project.run()
    assert report.resolve() != before
    project.edit(lambda c: c["report"].pop("palette"))
    log = project.run()
    assert report.resolve() == before
    assert "found in the cache" in log


def test_the_order_of_keys_and_the_checkpoint_interval_rerun_nothing(project):
    path = project.folder / "config/demo.yaml"
    config = yaml.safe_load(path.read_text())
    config["models"]["socl_siam"]["checkpoint_minutes"] = 5
    path.write_text(yaml.safe_dump(dict(reversed(config.items())), sort_keys=False))
    assert project.planned() == {}


def test_going_back_to_an_old_config_repeats_no_work(project):
    store = project.folder / "results/tiny/top_maps.zarr"
    before, written = store.resolve(), (store / "count/c/0").stat().st_mtime_ns
    project.edit(lambda c: c["top_maps"].update(nms=0.6))
    project.run("results/tiny/top_maps.zarr")
    assert store.resolve() != before
    project.edit(lambda c: c["top_maps"].update(nms=0.7))
    project.run("results/tiny/top_maps.zarr")
    assert store.resolve() == before
    assert (store / "count/c/0").stat().st_mtime_ns == written


def test_status_explains_what_a_change_makes_stale(project):
    import subprocess

    def status() -> str:
        return subprocess.run(
            ["socl", "status"], cwd=project.folder, capture_output=True, text=True, check=True
        ).stdout

    assert "stale" not in status() and "missing" not in status()
    project.edit(lambda c: c["top_maps"].update(nms=0.6))
    lines = [line for line in status().splitlines() if line.startswith("stale")]
    assert "top_maps.zarr" in lines[0] and "nms was 0.7, now 0.6" in lines[0]
    assert len(lines) == 7  # and what was made from it
    assert "patches" in lines[1] and "after top_maps" in lines[1]
    assert not any("proposals" in line.split()[-1] or "kcf" in line for line in lines)
    shutil.rmtree(project.folder / ".snakemake")  # Snakemake no longer knows; the artifacts do
    assert "nms was 0.7, now 0.6" in status()


def test_a_lost_artifact_comes_back_from_the_cache(project):
    before = project.digest("top_maps")
    (project.folder / "results/tiny/top_maps.zarr").unlink()
    (project.folder / "results/tiny/top_maps.summary.json").unlink()
    assert "found in the cache" in project.run("results/tiny/top_maps.zarr")
    assert project.digest("top_maps") == before


def test_every_artifact_carries_its_recipe(project):
    for path in (project.folder / "results/tiny").rglob("*.summary.json"):
        summary = json.loads(path.read_text())
        assert set(summary["recipe"]) == {"stage", "version", "params", "inputs"}
        assert summary["digest"] and summary["key"]


def test_a_prior_that_reads_no_proposals_runs_none(project, fresh):
    fresh.edit(lambda c: c["top_maps"].update(prior="gaussian"))
    planned = fresh.planned()
    assert "proposals" not in planned and planned["top_maps"] == 1
    project.edit(lambda c: c["top_maps"].update(prior="gaussian"))
    shutil.rmtree((project.folder / "results/tiny/proposals").resolve().parent)
    assert project.planned() == dict.fromkeys((*AFTER_PROPOSALS, *AFTER_TRAINING), 1)


def test_where_the_work_runs_reruns_nothing_and_reaches_the_stage(project):
    elsewhere = ("--set-resources", "top_maps:dask=none", "top_maps:mem_mb=5000")
    assert "Nothing to be done" in project.run("all", "-n", *elsewhere)
    (project.folder / "results/tiny/top_maps.summary.json").unlink()
    shell = project.run("results/tiny/top_maps.summary.json", "-n", *elsewhere)
    assert re.search(r"socl top_maps .* --dask none --memory-mb 5000 ", shell)
