"""Stage `table` from synthetic tracks: its numbers, and what it writes.

After a change that was meant: WRITE_GOLDEN=1 pytest tests/tables/test_table.py, look at the
difference, and raise the stage's version.
"""

import csv
import io
import os
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from socl_pipeline.benchmarks.protocols import METRICS, PROTOCOLS
from socl_pipeline.benchmarks.tracks import Score, TrackerScore
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import Job, Stage, Target
from socl_pipeline.pipeline.status import all_statuses
from socl_pipeline.settings import validate_config
from socl_pipeline.settings.tables import Metric, packaged_tables
from socl_pipeline.tables.cells import Cell
from socl_pipeline.tables.crossover import crossover_sentences, hours_to_reach
from socl_pipeline.tables.missing import missing
from socl_pipeline.tables.results import digits, shown_metrics, table_results
from socl_pipeline.tables.text import grids
from socl_pipeline.trackers.track import SCHEMA

# Pixels that each tracker is off, by the variants in its name; a seed adds its number.
OFFSETS = {"gst": 24.0, "sns": 16.0, "mixup": 12.0, "head": 30.0, "bce": 3.0}
OFFSETS |= {"mass50": 10.0, "lst30": 8.0, "clip05": 5.0, "t20": 4.0}
GOLDEN = Path(__file__).parent / "golden"
MANIFESTS = Path(__file__).parents[2] / "data_manifests"


def offset(tracker):
    variants = tracker.split("__")[1:]
    seeds = [int(v.removeprefix("seed")) for v in variants if v.startswith("seed")]
    return sum(OFFSETS.get(v, 0) for v in variants) + sum(seeds) + 6


def write_tracks(job, path):
    """Write the true boxes, moved to the right by the tracker's offset."""
    columns = []
    for name in job.benchmark.names():
        boxes = job.benchmark.read(name).boxes
        boxes[:, 0] += offset(job.names["tracker"])
        n = len(boxes)
        track = dict(zip("xywh", boxes.T, strict=True)) | {
            "sequence": [name] * n,
            "repetition": np.zeros(n, np.int16),
            "frame": np.arange(n, dtype=np.int32),
            "seconds": np.zeros(n),
            "state": (np.arange(n) == 0).astype(np.int8),
        }
        columns.append(pa.Table.from_pydict(track, schema=SCHEMA))
    pq.write_table(pa.concat_tables(columns), path)
    return {}


@pytest.fixture
def build(make_job, monkeypatch):
    """A function that builds a table from synthetic tracks and returns its job."""
    real = Stage.run
    stats = {"train_videos": 3, "steps": 8}

    def run(self, job, path):
        if self.name == "track":
            return write_tracks(job, path)
        if self.name in ("table", "scores"):
            return real(self, job, path)
        path.write_text(str(job.target))
        return stats

    monkeypatch.setattr(Stage, "run", run)

    def make(table, points=None, **options):
        stats.update(points or {})
        job = make_job("table", table=table, **options)
        for target in dict.fromkeys(job.with_upstream()):
            Job(job.whole, target, job.results, job.cache).execute()
        return job

    return make


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.mark.parametrize("table", ["table_1", "table_9"])
def test_a_table_is_as_it_was_when_last_looked_at(build, raw_config, table):
    raw_config["tables"] = {"seeds": 2}
    output = build(table).output
    for suffix in ("md", "csv"):
        golden = GOLDEN / f"{table}.{suffix}"
        if os.environ.get("WRITE_GOLDEN"):
            golden.write_text((output / f"table.{suffix}").read_text())
        assert (output / f"table.{suffix}").read_text() == golden.read_text()


def test_each_run_has_its_line_with_what_it_was_trained_on(build, raw_config):
    raw_config["tables"] = {"seeds": 2}
    lines = rows(build("table_1").output / "cells.csv")
    assert len(lines) == 4 * 2 * 2  # rows, seeds, metrics
    second = next(line for line in lines if line["tracker"] == "socl__gst__seed1")
    assert (second["row"], second["seed"], second["metric"]) == ("GST", "1", "auc")
    assert (second["videos"], second["steps"], second["epochs"]) == ("3", "8", "2")
    own = [float(line["value"]) for line in lines if line["row"] == "GST"][:2]
    assert float(second["mean"]) == pytest.approx(np.mean(own), abs=1e-3)
    assert float(second["spread"]) == pytest.approx(np.std(own, ddof=1), abs=1e-3)
    assert own[0] > own[1], "the second seed is a pixel farther off"


def test_values_are_means_over_sequences_of_the_benchmarks_scores(build, make_job):
    build("table_1")
    for tracker in ("socl", "kcf"):
        make_job("track", tracker=tracker).execute()
    auc = make_job("scores").execute().stats["auc"]["socl"]
    lines = rows(make_job("table").output / "cells.csv")
    (full,) = [x for x in lines if x["tracker"] == "socl" and x["metric"] == "auc"]
    assert float(full["value"]) == pytest.approx(100 * auc, abs=0.01)


@pytest.mark.parametrize("table", ["table_1", "table_9", "figure_7", "figure_8"])
def test_pictures_are_drawn(build, raw_config, table):
    raw_config["tables"] = {"seeds": 2}
    job = build(table)
    picture = cv2.imread(str(job.output / "table.png"))
    height, width = picture.shape[:2]
    assert 250 < height < 900 and 500 < width < 1300
    border = np.concatenate([picture[:6].ravel(), picture[-6:].ravel(), picture[:, -6:].ravel()])
    assert (border == 255).all(), "nothing runs over the edge"
    assert (picture < 100).any()


def test_a_palette_is_followed(build, raw_config):
    raw_config["report"] = {"palette": ["#ff0000"]}
    picture = cv2.imread(str(build("figure_7").output / "table.png"))
    assert (picture == (0, 0, 255)).all(axis=2).sum() > 200


def test_curves_of_a_budget_name_what_was_trained(build, raw_config):
    raw_config["tables"] = {"hours": [0.1, 110]}
    text = (build("figure_9").output / "table.md").read_text()
    assert "| annotation time | 0.1 h | 110 h |" in text
    assert "| Box-Siam | 52.0 |  |" in text, "the paper's"
    assert "trained on `demo__boxes`, `demo` (3 videos, 2 epochs, 8 steps)" in text


def test_status_lists_the_tables_that_were_made_and_their_runs(build, raw_config):
    raw_config["tables"] = {"seeds": 2}
    job = build("table_1")
    found = {s.target: s for s in all_statuses(job.whole, job.results, job.cache)}
    assert (found[job.target].state, found[job.target].reason) == ("complete", "")
    run = Target.of("train", dataset="demo", model="tiny__gst__seed1")
    assert found[run].state == "complete"
    assert list(found).index(run) < list(found).index(job.target)
    raw_config["models"]["tiny"]["lr"] = 1e-5
    other = validate_config(raw_config, "test")
    found = {s.target: s for s in all_statuses(other, job.results, job.cache)}
    assert found[run].state == found[job.target].state == "stale"
    assert [t for t in found if t.stage == "table"] == [job.target]


def test_tracks_of_other_videos_are_refused(build, make_job):
    job = build("table_1")
    path = job.input("val/demo/socl")
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(InputError, match=r"socl\.parquet: 3 boxes of .*, its truth has 4; run"):
        job.stage.run(job, job.output)


def score(values, overall=None, metric="auc"):
    """Return the score of a tracker with these values of its sequences."""
    sequences = {str(i): Score({metric: v}, {}, 1) for i, v in enumerate(values)}
    mean = float(np.mean(values)) if overall is None else overall
    return TrackerScore(Score({metric: mean}, {}, 3), sequences)


def results_of(metric, *runs, protocol="ope"):
    cells = [Cell(row, None, None, "d", (row,)) for row in ("first", "second")]
    scores = {"b": {c.role("b", c.row): s for c, s in zip(cells, runs, strict=True)}}
    protocols = {"b": PROTOCOLS[protocol]}
    return cells, table_results(cells, [metric], protocols, scores, {cells[1]: cells[0]})


def test_differences_are_paired_by_sequence():
    first = [0.1, 0.9, 0.5]
    cells, (base, other) = results_of("auc", score(first), score([v + 0.02 for v in first]))
    assert base.difference is None and base.reference is None
    assert other.mean == pytest.approx(52) and other.spread is None
    d = other.difference
    assert (d.mean, d.low, d.high) == pytest.approx((2, 2, 2)), "each sequence differs alike"
    assert other.reference == cells[0]


@pytest.mark.parametrize(
    ("table", "heading"),
    [
        ("table_1", "Differences to `GST`,"),
        ("figure_7", "Differences within each row (to `0.9` of background mass, to `0.5` of "),
        ("figure_8", "Differences to `SoCL`,"),
        ("figure_9", "Differences to `Box-Siam` in the same column,"),
        ("table_10", "Differences to `5 %`,"),
    ],
)
def test_what_differences_are_to_is_said_and_true(build, table, heading):
    output = build(table).output
    text = (output / "table.md").read_text()
    assert text.count("Differences") == 1 and heading in text
    lines = rows(output / "cells.csv")
    auc = [x for x in lines if x["metric"] == "auc"]
    means = {", ".join(filter(None, (x["row"], x["column"]))): float(x["mean"]) for x in auc}
    compared = [x for x in lines if x["difference"]]
    for line in (x for x in compared if x["metric"] == "auc"):
        gap = float(line["mean"]) - means[line["reference"]]
        assert float(line["difference"]) == pytest.approx(gap, abs=1e-3)
    listed = text.partition("Differences")[2].count("\n- ")
    assert listed == len(compared) > 0


def test_scores_that_are_no_means_over_sequences_have_no_difference():
    runs = score([0.1, 0.3], 0.21, "eao"), score([0.2], 0.25, "eao")
    _, (base, other) = results_of("eao", *runs, protocol="vot")
    assert (base.mean, other.mean, other.difference) == (0.21, 0.25, None), "a share, no percent"
    assert digits("eao") == 3 and digits("auc") == 1


@pytest.mark.parametrize(("protocol", "label"), [("ope", "P@20"), ("trackingnet", "P (area)")])
def test_a_metric_is_called_as_its_protocol_calls_it(protocol, label):
    runs = [score([0.5], metric="precision")] * 2
    _, results = results_of("precision", *runs, protocol=protocol)
    assert {r.label for r in results} == {label}
    assert grids(packaged_tables().tables["table_1"], results)[0].header[1] == f"{label} on b"


@pytest.mark.parametrize(
    ("wanted", "protocol", "shown"),
    [
        (["precision", "auc", "eao"], "ope", ("precision", "auc")),
        (["mean_iou"], "ope", ("mean_iou",)),
        (["auc", "precision"], "got10k", ("ao",)),
        (["ao", "sr_50", "auc"], "got10k", ("ao", "sr_50")),
    ],
)
def test_a_benchmark_shows_what_its_protocol_gives(wanted, protocol, shown):
    assert shown_metrics(wanted, PROTOCOLS[protocol]) == shown


def test_tables_may_name_every_metric():
    assert set(get_args(Metric)) == set(METRICS)


def test_an_outline_says_what_would_build_the_table(build):
    output = build("table_1__outline").output
    text = (output / "table.md").read_text()
    assert "| GST | 55.1 | 0.215 |" in text and "Ours, in percent" not in text
    assert "- Ours: needs 3 models to be trained; `snakemake table_1` does that." in text
    assert "- Not scored on OTB13 (`otb2013`), VOT16 (`vot2016`): put the data where" in text
    assert rows(output / "cells.csv") == []
    assert cv2.imread(str(output / "table.png")).shape[1] > 500


def test_a_subset_does_not_count_as_its_benchmark(raw_config):
    """A whole one may stand behind it."""

    def missing_of(**entries):
        manifest = str(MANIFESTS / "otb2013.yaml")
        raw_config["benchmarks"] = {n: {"manifest": manifest} | e for n, e in entries.items()}
        return " ".join(missing(validate_config(raw_config, "test"), "table_1", 0))

    some = {"sequences": ["David", "Dog1"]}
    text = missing_of(some=some)
    assert "Not scored on OTB13: `some` is 2 of its sequences, and a subset of a benchmark" in text
    assert "Not scored on VOT16 (`vot2016`): put the data where" in text
    assert "OTB13" not in missing_of(some=some, whole={})


def test_a_table_that_nothing_of_ours_fits_has_the_papers_figures(build):
    text = (build("table_7").output / "table.md").read_text()
    assert "| SoCL-TransT | 62.2 | 72.4 | 52.5 | 75.0 |" in text
    assert "- TransT, SoCL-TransT: needs a tracker of kind transt on a model; name one in" in text
    assert "- Not scored on GOT-10k, TrackingNet: the true boxes are withheld; send" in text


def test_costs_are_those_of_the_datasets_frames(build, raw_config):
    raw_config["costs"] = {"box_fee": 1.0, "wage": None, "gpu_hour_fee": 2}
    output = build("table_4", points={"frames": 3600, "boxes": 360}).output
    text = (output / "table.md").read_text()
    assert "**demo: 3,600 frames [h, $]**" in text
    assert "| BCE w/ boxes | 10.20 | 3,600.00 | 16.00 | 3,616.00 |" in text
    assert "| SoCL w/ points | 7,000.0 | 21.6 | 7,021.6 |" in text, "the paper's"
    mixed = rows(output / "cells.csv")[2]
    assert (mixed["clicks"], mixed["boxes"], mixed["training_fee"]) == ("3240", "360", "")
    assert float(mixed["annotation_fee"]) == pytest.approx(3240 * 0.005 + 360)


def test_hours_that_reach_the_best_of_the_first_row():
    boxes, points = [(100, 50.0), (400, 60.0)], [(100, 55.0), (400, 65.0)]
    assert hours_to_reach(points, 60) == pytest.approx(200), "half way on a logarithmic axis"
    assert hours_to_reach(points, 66) is None
    assert hours_to_reach(points, 50) == 100
    (sentence,) = crossover_sentences({"boxes": boxes, "points": points}, "Ours")
    assert sentence == (
        "Ours: boxes has 60.0 with 400 h; points reaches it with 200 h (2 times as cheap)."
    )
    (sentence,) = crossover_sentences({"points": points, "boxes": boxes}, "Ours")
    assert sentence == "Ours: points has 65.0 with 400 h; boxes does not within 400 h."
    (sentence,) = crossover_sentences({"boxes": boxes, "the same": boxes}, "Ours")
    assert sentence == "Ours: boxes has 60.0 with 400 h; the same reaches it with 400 h."


def test_an_outline_says_what_the_model_cannot_be(build, raw_config):
    raw_config["models"]["tiny"]["window"] = 95
    text = (build("table_2__outline").output / "table.md").read_text()
    assert "- Ours: model 'tiny__bce" in text and "greater than or equal to 159 (found 95)." in text
