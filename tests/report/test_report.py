import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jinja2 import UndefinedError

from socl_pipeline.benchmarks.protocols import PROTOCOLS
from socl_pipeline.benchmarks.scores import SCHEMA
from socl_pipeline.errors import InputError
from socl_pipeline.figures.style import OKABE_ITO
from socl_pipeline.pipeline.artifact import Recipe, Summary
from socl_pipeline.pipeline.stages import STAGES
from socl_pipeline.pipeline.targets import made_tables
from socl_pipeline.report import report
from socl_pipeline.report.report import render
from socl_pipeline.report.sections import (
    overview,
    score_section,
    skipped_section,
    timing_rows,
    training_section,
)
from socl_pipeline.report.top_examples import top_examples
from socl_pipeline.settings import CostSettings

BESIDE = ("pseudo_boxes", "box_quality", "table")  # the report says nothing of them
STAGES_BEFORE = [name for name in STAGES if name not in (*BESIDE, "report")]


class Page(HTMLParser):
    """What a browser would load or show of a page."""

    def __init__(self, text):
        super().__init__()
        self.images, self.addresses, self.open, self.ids = [], [], [], set()
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "img":
            self.images.append(found)
        if "src" in found:
            self.addresses.append(found["src"])
        if tag == "link" or tag == "script":
            self.addresses.append(tag)
        if "id" in found:
            self.ids.add(found["id"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def build_all(make_job, **names):
    for stage in STAGES_BEFORE:
        trackers = ("socl", "kcf") if stage == "track" else ("kcf",)
        for tracker in trackers:
            make_job(stage, tracker=tracker, **names).execute()


def test_report_of_a_whole_run(make_job, raw_config, tmp_path):
    raw_config["report"] = {"title": "Clicks <& boxes>", "examples": 2}
    raw_config["benchmarks"]["val"]["convention"] = "drop"
    build_all(make_job)
    job = make_job("report")
    stats = job.execute().stats
    counts = {"benchmarks": 1, "models": 1, "examples": 2, "boxes_tested": 4, "tables": 0}
    assert stats == counts
    text = job.output.read_text()
    page = Page(text)
    assert not page.open
    assert page.addresses
    assert all(a.startswith("data:image/png;base64,") for a in page.addresses)
    assert all(image["alt"] for image in page.images)
    assert not re.search(r"url\(|@import", text)
    assert html.escape("Clicks <& boxes>") in text
    assert text.index('alt="Success plot') < text.index('alt="Precision') < text.index('alt="Speed')
    for part in ("demo", "kcf", "tiny", "No frame was left out", "run by hand", "max S"):
        assert part in page.text
    assert "scored by protocol ope, convention drop" in page.text
    for measure in ("Box IoU", "Area precision", r"Centre error \[px\]"):
        assert re.search(measure + r" [\d.]+ \[[\d., ]+\] [\d.]+ \[", page.text)
    for anchor in re.findall(r'href="#(\w+)"', text):
        assert anchor in page.ids
    for stage in STAGES_BEFORE:
        assert f"{stage}[demo" in page.text
    assert str(tmp_path) not in text

    # the same inputs give the same bytes; what Snakemake measured is the exception
    again = tmp_path / "again.html"
    job.stage.run(job, again)
    assert again.read_bytes() == job.output.read_bytes()
    measured = job.results / "demo" / "benchmarks"
    measured.mkdir()
    (measured / "points.tsv").write_text("s\tmax_rss\tcpu_time\n1.5\t-\t1.25\n")
    job.stage.run(job, again)
    assert re.search(r"points 1\.5 1\.2 –", Page(again.read_text()).text)


def test_report_without_a_benchmark_patches_of_its_examples_or_models(
    make_job, raw_config, tmp_path, monkeypatch, withheld
):
    kcf = raw_config["trackers"]["kcf"]
    raw_config["trackers"], raw_config["benchmarks"] = {}, {}
    for stage in ("points", "proposals", "top_maps", "patches", "train"):
        make_job(stage).execute()
    job = make_job("report")
    assert job.execute().stats["benchmarks"] == 0
    page = Page(job.output.read_text())
    assert not page.open
    assert "names no benchmark, so nothing was scored" in page.text

    def elsewhere(*arguments):
        return [replace(e, video="broken_since") for e in top_examples(*arguments)]

    monkeypatch.setattr(report, "top_examples", elsewhere)
    job.stage.run(job, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert "broken_since, frame" in page.text
    assert re.search(r"demo_train_\d+, frames \d and \d \((held out|trained on)\)", page.text)

    raw_config["models"] = {}
    job = make_job("report", raw=raw_config)
    assert job.execute().stats["models"] == 0
    page = Page(job.output.read_text())
    assert not page.open
    assert "names no model, so nothing was trained" in page.text

    raw_config["trackers"], raw_config["benchmarks"] = {"kcf": kcf}, {"test": withheld}
    make_job("track", raw=raw_config, benchmark="test").execute()
    job = make_job("report", raw=raw_config)
    assert job.execute().stats["benchmarks"] == 0
    page = Page(job.output.read_text())
    assert not page.open
    assert "test is not scored" in page.text and "results/demo/tracks/test" in page.text
    assert "socl results submit packs them for the server" in page.text
    assert "nothing was scored" not in page.text
    assert "track[demo, test, kcf]" in page.text


def test_report_without_its_inputs_names_the_missing_file(make_job, tmp_path):
    with pytest.raises(InputError, match="not built yet"):
        make_job("report").stage.run(make_job("report"), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def scores(times=1, **trackers):
    rows = [
        {
            "tracker": name,
            "sequence": sequence,
            "auc": auc,
            "precision": precision,
            "mean_iou": auc,
            "frames": frames * times,
            "missing": 0,
            "frames_per_second": 10.0,
            "success_curve": [auc] * 21,
            "precision_curve": [precision] * 51,
        }
        for name, (auc, precision) in trackers.items()
        for sequence, frames in (("a", 3), ("b", 4), (None, 7))
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def test_trackers_are_sorted_by_auc_and_the_best_are_marked():
    table = scores(low=(0.2, 0.9), high=(0.6, 0.5))
    section = score_section("otb", table, PROTOCOLS["ope"], "official", [])
    assert (section["sequences"], section["frames"]) == (2, 7)
    repeated = pa.concat_tables([table, scores(repeated=(0.1, 0.1), times=3)])
    assert score_section("otb", repeated, PROTOCOLS["ope"], "official", [])["frames"] == 7
    high, low = section["trackers"]
    assert (high["tracker"], low["tracker"]) == ("high", "low")
    assert (high["best"]["auc"], high["best"]["precision"]) == (True, False)
    assert (low["best"]["auc"], low["best"]["precision"]) == (False, True)
    assert high["best"]["frames_per_second"] and low["best"]["frames_per_second"]


def test_crashes_and_missing_results_are_told():
    rows = scores(one=(0.2, 0.9)).to_pylist()
    rows[0]["failed"], rows[2]["missing"], rows[2]["auc"] = "no memory", 1, None
    rows.append(rows[2] | {"tracker": "two", "auc": 0.1, "missing": 0})
    table = pa.Table.from_pylist(rows, SCHEMA)
    section = score_section("otb", table, PROTOCOLS["ope"], "official", [])
    assert [t["tracker"] for t in section["trackers"]] == ["two", "one"], "without a score: last"
    assert [(r["sequence"], r["failed"]) for r in section["crashes"]] == [("a", "no memory")]
    assert [r["tracker"] for r in section["missing"]] == ["one"]
    assert section["trackers"][1]["best"]["auc"] is False
    rows[2]["auc"] = 0.9
    section = score_section(
        "otb", pa.Table.from_pylist(rows, SCHEMA), PROTOCOLS["ope"], "official", []
    )
    best = {t["tracker"]: t["best"]["auc"] for t in section["trackers"]}
    assert best == {"one": False, "two": True}, "a mean over fewer sequences is not the best"


def test_tables_that_are_up_to_date_are_shown(make_job, raw_config):
    build_all(make_job)
    job = make_job("report")
    assert job.execute().stats["tables"] == 0
    make_job("table", table="table_4").execute()
    make_job("table", table="table_1__outline").execute()
    assert job.sibling(job.target).execute().stats["tables"] == 2
    page = Page(job.output.read_text())
    assert "results/demo/tables/table_4" in page.text
    titles = [i["alt"] for i in page.images if i["alt"].startswith("Table")]
    assert "Table 1: soft samples" in titles, "in the picture, and nowhere else"
    assert not any(title in page.text for title in titles)
    raw_config["costs"] = {"box_fee": 1}
    other = make_job("report", raw=raw_config)
    assert list(made_tables(other)) == ["table_1__outline"], "other prices: not up to date"


def summary(stats, **params):
    return Summary(Recipe("points", 1, params, {}), "0" * 64, stats)


def test_overview_compares_the_hours_of_clicks_and_boxes():
    stats = {"videos": 2, "frames": 3600, "boxes": 360, "annotation_hours": 2.27}
    found = overview(summary(stats, seconds_per_frame=2.27), CostSettings())
    assert found["box_hours"] == pytest.approx(10.2)
    assert found["sparse_hours"] == pytest.approx(1.02)


def test_frames_left_out_are_counted_and_listed_up_to_a_limit():
    item = {"video": "v", "frame": 3, "reason": "cut off"}
    found = skipped_section(
        {
            "points": summary({"skipped": [item] * 150}),
            "proposals": summary({"skipped": [item] * 90}),
        }
    )
    assert found["count"] == 240
    assert len(found["rows"]) == 200
    assert found["rows"][-1] == {"stage": "proposals"} | item


def test_timings_are_read_from_all_folders_and_gaps_are_none(tmp_path):
    header = "s\th:m:s\tmax_rss\tmax_vms\tcpu_time\n"
    (tmp_path / "track").mkdir()
    (tmp_path / "points.tsv").write_text(header + "1\t0:00:01\t50\t1\t2\n3\t0:00:03\t60\t1\t4\n")
    (tmp_path / "track" / "kcf.tsv").write_text(header + "0.1\t0:00:00\tNA\tNA\t-\n")
    (tmp_path / "empty.tsv").write_text("")
    assert timing_rows(tmp_path) == [
        {"name": "points", "seconds": 3, "cpu_seconds": 4, "megabytes": 60},
        {"name": "track/kcf", "seconds": 0.1, "cpu_seconds": None, "megabytes": None},
    ]
    assert timing_rows(tmp_path / "nothing") == []


def test_page_without_a_value_is_an_error():
    with pytest.raises(UndefinedError):
        render({"title": "t"})


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({"accuracy", "coverage", "masked"}, "accuracy and mask coverage"),
        ({"hit", "kept"}, "hits"),
        ({"box_iou", "kept", "giou"}, "box IoU and pairs kept"),
    ],
)
def test_training_of_each_kind_is_plotted(tmp_path, columns, shown):
    steps = {"step": [0, 1], "loss": [2.0, 1.0], **{name: [0.5, 0.6] for name in columns}}
    pq.write_table(pa.table(steps), tmp_path / "metrics.parquet")
    pq.write_table(pa.table({}), tmp_path / "validation.parquet")
    summary = Summary(Recipe("train", 1, {"kind": "k"}, {}), "digest", {"held_out_videos": []})
    section = training_section("m", tmp_path, summary, OKABE_ITO)
    assert [f["alt"] for f in section["figures"]][1].startswith(shown)
    assert len(section["figures"]) == 2 and section["kind"] == "k"


@pytest.mark.parametrize(
    ("column", "shown"),
    [("hit_rate", "hit rate on held-out"), ("mean_iou", "box IoU on held-out")],
)
def test_validation_of_each_kind_is_plotted(tmp_path, column, shown):
    pq.write_table(
        pa.table({"step": [0, 1], "loss": [2.0, 1.0], "hit": [0, 1]}), tmp_path / "metrics.parquet"
    )
    rows = pa.table({"step": [0, 1], column: [0.1, 0.4]})
    pq.write_table(rows, tmp_path / "validation.parquet")
    summary = Summary(Recipe("train", 1, {"kind": "k"}, {}), "digest", {"held_out_videos": []})
    section = training_section("m", tmp_path, summary, OKABE_ITO)
    assert section["figures"][-1]["alt"].startswith(shown)
