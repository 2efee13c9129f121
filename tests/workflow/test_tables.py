"""Tables are targets by their names; what they share is trained once."""

import re
import subprocess

import pytest

OWN = {
    "title": "Own table",
    "rows": [{"label": "gst", "model": "gst"}, {"label": "full"}],
}


@pytest.fixture
def fresh(fresh):
    """A fresh project whose model may also be one of kind bce."""
    fresh.edit(lambda c: c["models"]["socl_siam"].update(window=159))
    return fresh


def jobs(text):
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", text, re.M)}


def test_tables_share_their_runs(fresh):
    fresh.edit(lambda c: c.update(tables={"seeds": 2, "hours": [0.1, 1]}))
    planned = jobs(fresh.run("table_1", "table_9", "figure_8", "-n"))
    assert planned["table"] == 3
    # by two seeds: SoCL, GST, SNS, mix-up; with a head; BCE at six thresholds
    assert planned["train"] == planned["track"] == 2 * (4 + 1 + 6)
    assert planned["patches"] == planned["points"] == 1
    assert planned["table_1"] == planned["table_9"] == planned["figure_8"] == 1


def test_a_table_of_ones_own_is_a_target(project):
    project.edit(lambda c: c.update(tables={"own": {"own_table": OWN}}))
    planned = jobs(project.run("own_table"))
    assert planned == {"train": 1, "track": 1, "table": 1, "own_table": 1, "total": 4}
    folder = project.folder / "results/tiny/tables/own_table"
    assert "| gst |" in (folder / "table.md").read_text()
    assert {p.name for p in folder.iterdir()} == {
        *("table.md", "table.csv", "cells.csv", "table.png", "table.pdf")
    }
    command = ["socl", "status"]
    status = subprocess.run(
        command, cwd=project.folder, capture_output=True, text=True, check=True
    ).stdout
    assert "socl_siam__gst" in status and "tables/own_table" in status
    stale = [line for line in status.splitlines() if line.startswith("stale")]
    (report,) = stale  # which would show the table
    assert "report.html" in report and report.endswith("table/own_table changed")
    project.edit(lambda c: c["models"]["socl_siam"].update(lr=1e-4))
    assert jobs(project.run("own_table", "-n"))["train"] == 2


def test_all_tables_and_figures_without_any_training(project):
    folder = project.folder / "results/tiny"
    assert (folder / "figures/tiny_val/success.pdf").exists(), "the report needs them"
    project.edit(lambda c: c.update(tables={"hours": [0.1, 1]}))
    planned = jobs(project.run("tables", "figures", "-n"))
    assert planned.keys() == {"table", "tables", "total"}, "figures are there"
    project.run("results/tiny/tables/table_4.summary.json")
    text = (folder / "tables/table_4/table.md").read_text()
    assert "| BCE w/ boxes | 50,400.0 | 7.2 | 50,407.2 |" in text
    assert jobs(project.run("all", "-n"))["report"] == 1, "there is a table to show"


def test_a_derived_run_and_a_table_of_it_are_targets_like_any_other(fresh):
    derived = "results/tiny__noise20/models/socl_siam__gst__seed1.summary.json"
    fresh.edit(lambda c: c.update(tables={"hours": [0.1, 1]}))
    text = fresh.run(derived, "table_2", "figure_9", "-n")
    planned = jobs(text)
    assert "--dataset tiny__noise20 --model socl_siam__gst__seed1" in text
    assert (planned["train"], planned["patches"], planned["proposals"]) == (1 + 4, 1 + 4, 1 + 2)


def test_a_wrong_name_is_named_before_any_job(fresh):
    result = fresh.snakemake("--profile", "local", "results/tiny/models/socl_siam__gts")
    assert result.returncode == 1
    assert "no variant 'gts': did you mean 'gst'?" in result.stderr + result.stdout
    assert not (fresh.folder / "results").exists()
