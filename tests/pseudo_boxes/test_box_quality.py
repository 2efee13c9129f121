"""The stage: what it writes, and what it has nothing to say about."""

import csv

import numpy as np
import pytest

from socl_pipeline.boxes import iou
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.targets import all_targets, has_box_quality
from socl_pipeline.pseudo_boxes.table import read_pseudo_boxes
from socl_pipeline.settings import validate_config


@pytest.fixture
def raw(raw_config):
    raw_config["datasets"]["demo"]["points"] = {"sparse_box_every": 3}
    raw_config["pseudo_boxes"] = {
        "kcf": {"kind": "track", "tracker": "kcf"},
        "linear": {"kind": "interpolate"},
    }
    raw_config["box_quality"] = {"examples": 1}
    return raw_config


@pytest.fixture
def build(raw, make_job):
    """A function that builds points, all entries and their quality; returns the last job."""

    def run():
        make_job("points", raw=raw).execute()
        for boxes in raw["pseudo_boxes"]:
            make_job("pseudo_boxes", raw=raw, boxes=boxes).execute()
        job = make_job("box_quality", raw=raw)
        job.execute()
        return job

    return run


def overlap_of(job, boxes):
    """The overlap of an entry on the frames without a sparse box, from the files themselves."""
    table = read_pseudo_boxes(job.input(f"boxes/{boxes}"))
    names = dict.fromkeys(table["video"].to_pylist())
    truth = np.concatenate([job.dataset.read(name).boxes for name in names])
    found = np.stack([table[c].to_numpy() for c in "xywh"], axis=1)
    sparse = np.array(table["source"].to_pylist()) == "box"
    return iou(found, truth)[~sparse]


def test_its_files_say_what_the_boxes_are(build):
    job = build()
    stats = job.execute().stats
    assert {p.name for p in job.output.iterdir()} == {
        *("quality.md", "quality.csv", "videos.csv", "videos.png"),
        *("frames_kcf.png", "frames_linear.png"),
    }
    assert (stats["frames"], stats["videos"]) == (8, 4)
    with (job.output / "quality.csv").open() as file:
        rows = {(r["entry"], r["measure"]): r for r in csv.DictReader(file)}
    for boxes in ("kcf", "linear"):
        mean = overlap_of(job, boxes).mean()
        assert float(rows[boxes, "iou"]["mean"]) == pytest.approx(mean, rel=1e-4)
        assert stats["mean_iou"][boxes] == pytest.approx(mean, abs=1e-4)
    gap = overlap_of(job, "kcf").mean() - overlap_of(job, "linear").mean()
    assert float(rows["kcf", "iou"]["difference"]) == pytest.approx(gap, rel=1e-3)
    assert rows["kcf", "iou"]["control"] == "linear", "the first interpolation"
    assert not rows["linear", "iou"]["control"]
    assert "Differences from `linear`" in (job.output / "quality.md").read_text()


def test_another_control(raw, build):
    raw["box_quality"]["control"] = "kcf"
    assert "Differences from `kcf`" in (build().output / "quality.md").read_text()
    raw["box_quality"]["control"] = "kfc"
    with pytest.raises(InputError, match=r"box_quality.control: there is no entry .* 'kfc': did"):
        validate_config(raw, "c")


def test_tables_of_different_points_are_refused(raw, make_job):
    make_job("points", raw=raw).execute()
    make_job("pseudo_boxes", raw=raw, boxes="linear").execute()
    raw["datasets"]["demo"]["points"]["videos"] = 2
    make_job("points", raw=raw).execute()
    make_job("pseudo_boxes", raw=raw, boxes="kcf").execute()
    with pytest.raises(InputError, match=r"linear\.parquet: made from other points"):
        make_job("box_quality", raw=raw).execute()


def test_without_entries_there_is_nothing_to_do(raw_config, make_job):
    make_job("points").execute()
    with pytest.raises(InputError, match="the config names no pseudo_boxes to measure"):
        make_job("box_quality").execute()
    stages = {t.stage for t in all_targets(make_job("points").config)}
    assert not {"pseudo_boxes", "box_quality"} & stages


def test_without_true_boxes_there_is_nothing_to_compare(
    raw, build, write_clips, textured, tmp_path
):
    text = "video,frame,x,y,box_x,box_y,box_w,box_h\na,1,20,30,10,20,20,20\na,2,20,30,,,,\n"
    manifest = write_clips(tmp_path / "clips", {"a": [textured(0, 60, 80)] * 3}, text)
    raw["datasets"]["demo"] = {"manifest": str(manifest)}
    with pytest.raises(InputError, match="no frame has a true box beside the sparse ones"):
        build()
    config = validate_config(raw, "c")
    assert not has_box_quality(config, "demo")
    targets = [t.stage for t in all_targets(config)]
    assert targets.count("pseudo_boxes") == 2 and "box_quality" not in targets
