"""Pseudo boxes through Snakemake: part of all only if asked for, and safe from kills."""

import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ENTRIES = {
    "linear": {"kind": "interpolate"},
    "csrt": {"kind": "track", "tracker": "csrt"},
}
BUNDLES = "work/cache/pseudo_boxes/*/scratch/bundles"


@pytest.fixture
def boxed(fresh):
    """A fresh project with two entries: 32 snippets of three frames each."""

    def change(config):
        config["pseudo_boxes"] = ENTRIES
        config["trackers"]["csrt"] = {"kind": "opencv", "name": "csrt"}
        config["datasets"]["tiny"]["points"] = {"sparse_box_every": 3}
        config["box_quality"] = {"examples": 1}

    fresh.edit(change)
    return fresh


def mark(piece):
    """Change a finished piece, so that it can be told from one that is made again."""
    table = pq.read_table(piece)
    place = table.schema.get_field_index("confidence")
    marked = pa.array([0.5] * table.num_rows, pa.float32())
    pq.write_table(table.set_column(place, table.schema.field(place), marked), piece)
    return table.num_rows


def test_all_makes_pseudo_boxes_only_if_the_config_names_entries(fresh, boxed):
    planned = boxed.planned()
    assert (planned["pseudo_boxes"], planned["box_quality"]) == (2, 1)
    boxed.edit(lambda config: config.pop("pseudo_boxes"))
    assert not {"pseudo_boxes", "box_quality"} & boxed.planned().keys()


def test_finished_snippets_survive_a_kill_and_a_change_reruns_its_own_entry(boxed):
    boxed.kill_when(f"{BUNDLES}/0*.parquet", "results/tiny/pseudo_boxes/csrt.parquet")
    pieces = sorted(boxed.folder.glob(f"{BUNDLES}/0*.parquet"))
    assert 0 < len(pieces) < 32, "the kill came too late to test anything"
    marked = sum(map(mark, pieces))
    boxed.snakemake("--unlock")
    boxed.run("results/tiny/box_quality")
    published = boxed.folder / "results/tiny/pseudo_boxes/csrt.parquet"
    resumed = pq.read_table(published)
    assert resumed["confidence"].to_pylist().count(0.5) == marked, "no finished piece again"
    text = (boxed.folder / "results/tiny/box_quality/quality.md").read_text()
    assert "| csrt |" in text and "Differences from `linear`" in text
    command = ["socl", "pseudo_boxes", "--dataset", "tiny", "--boxes", "csrt"]
    command += ["--cache", "undisturbed", "--workers", "0"]
    subprocess.run(command, cwd=boxed.folder, capture_output=True, check=True)
    undisturbed = pq.read_table(published)
    assert undisturbed["confidence"].null_count == 96
    assert undisturbed.drop(["confidence"]).equals(resumed.drop(["confidence"]))
    boxed.edit(lambda config: config["pseudo_boxes"]["linear"].update(centre="click"))
    planned = boxed.run("results/tiny/box_quality", "-n")
    assert planned.count("rule pseudo_boxes:") == planned.count("rule box_quality:") == 1
