"""The stage: its table, restarts, workers, broken frames and what it leaves out."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from socl_pipeline.annotation.table import read_points, true_boxes
from socl_pipeline.errors import InputError
from socl_pipeline.pseudo_boxes import pseudo_boxes as stage
from socl_pipeline.pseudo_boxes.table import SCHEMA, read_pseudo_boxes
from socl_pipeline.settings import validate_config

LINEAR = {"kind": "interpolate"}
KCF = {"kind": "track", "tracker": "kcf"}


@pytest.fixture
def raw(raw_config):
    """The small config with a box on every third of four frames, and two entries."""
    raw_config["datasets"]["demo"]["points"] = {"sparse_box_every": 3}
    raw_config["pseudo_boxes"] = {"linear": LINEAR, "kcf": KCF}
    return raw_config


@pytest.fixture
def made(raw, make_job):
    """A function that builds points and an entry and returns its job and summary."""

    def make(boxes, **options):
        make_job("points", raw=raw, **options).execute()
        job = make_job("pseudo_boxes", raw=raw, boxes=boxes, **options)
        return job, job.execute()

    return make


@pytest.fixture
def clips(raw, write_clips, textured, tmp_path):
    """Clips as the dataset; `a` has boxes on frames 1 and 4 of 6 and no click on 2, `b` none."""
    frames = [textured(0, 60, 80)] * 6
    click = ["1,20,30,10,20,20,20", "3,21,30,,,,", "4,20,30,10,20,20,24", "6,22,31,,,,"]
    lines = [f"a,{row}" for row in click] + ["b,1,30,30,,,,"]
    text = "\n".join(["video,frame,x,y,box_x,box_y,box_w,box_h", *lines]) + "\n"
    manifest = write_clips(
        tmp_path / "clips", {"a": frames[1:], "b": frames}, text.replace("a,6", "a,5")
    )
    raw["datasets"]["demo"] = {"manifest": str(manifest)}
    return tmp_path / "clips"


@pytest.mark.parametrize("boxes", ["linear", "kcf"])
def test_one_row_for_each_frame_in_order(made, boxes):
    job, summary = made(boxes)
    table = read_pseudo_boxes(job.output)
    assert table.schema.equals(SCHEMA)
    points = read_points(job.input("points"))
    assert table["video"].to_pylist() == points["video"].to_pylist()
    assert table["frame"].to_pylist() == [0, 1, 2, 3] * 4
    sparse = np.array(table["source"].to_pylist()) == "box"
    assert sparse.tolist() == [True, False, False, True] * 4
    found = np.stack([table[c].to_numpy() for c in "xywh"], axis=1)
    assert (found[sparse] == true_boxes(points)[sparse].astype(np.float32)).all()
    stored = pq.read_schema(job.output)
    assert json.loads(stored.metadata[b"socl_recipe"])["stage"] == "pseudo_boxes"
    assert all(stored.field(n).metadata[b"unit"] for n in SCHEMA.names)
    stats = summary.stats
    assert (stats["videos"], stats["frames"], stats["boxes"]) == (4, 16, 8)
    assert stats["failures_per_1000"] == 1000 * stats["failures"] / 8
    assert (stats["seconds_per_frame"] > 0) == (boxes == "kcf")
    assert (stats["clicked"], stats["unclicked"]) == (8, 0)
    assert not list(job.output.resolve().parent.glob("scratch"))


def test_any_number_of_workers_gives_the_same_bytes(made, raw, tmp_path):
    found = []
    for workers in (0, 2):
        job, summary = made("kcf", workers=workers)
        found.append((summary.digest, job.output.read_bytes()))
        shutil.rmtree(tmp_path / "cache/pseudo_boxes")
    assert found[0] == found[1]


def test_a_killed_stage_goes_on_with_the_missing_snippets(made, make_job, raw, monkeypatch):
    undisturbed = read_pseudo_boxes(made("kcf")[0].output)
    raw["pseudo_boxes"]["again"] = KCF | {"failure_distance": 21.0}  # the same, in another folder
    monkeypatch.setattr(stage, "MOST_BUNDLES", 3)  # of eight snippets
    real, tracked = stage.write_piece, []

    def dying(path, table):
        if len(tracked) == 5:
            raise KeyboardInterrupt
        real(path, table)
        tracked.append(path.name)

    monkeypatch.setattr(stage, "write_piece", dying)
    job = make_job("pseudo_boxes", raw=raw, boxes="again")
    with pytest.raises(KeyboardInterrupt):
        job.execute()
    scratch = next((job.cache / "pseudo_boxes" / job.recipe.key).glob("scratch"))
    pieces = {p.relative_to(scratch).as_posix() for p in scratch.rglob("*.parquet")}
    # a bundle of three snippets, and one snippet of the next
    assert pieces == {"bundles/000000000-000000007.parquet", "snippets/000000007.parquet"}
    stamps = {p: (scratch / p).stat().st_mtime_ns for p in pieces}

    def counting(path, table):
        for piece in stamps:
            if (scratch / piece).exists():
                assert (scratch / piece).stat().st_mtime_ns == stamps[piece]
        real(path, table)
        tracked.append(path.name)

    monkeypatch.setattr(stage, "write_piece", counting)
    job = make_job("pseudo_boxes", raw=raw, boxes="again")
    job.execute()
    assert len(tracked) == 8 + 3, "each snippet and each bundle once"
    assert read_pseudo_boxes(job.output).equals(undisturbed)


def test_frames_without_a_click_and_videos_without_a_box(clips, made):
    job, summary = made("kcf")
    table = read_pseudo_boxes(job.output)
    assert set(table["video"].to_pylist()) == {"a"}
    sources = table["source"].to_pylist()
    assert sources == ["box", "forward_unclicked", "forward", "box", "forward"]
    assert summary.stats["videos_left_out"] == ["b"]
    assert summary.stats["unclicked"] == 1
    job, summary = made("linear")
    heights = read_pseudo_boxes(job.output)["h"].to_numpy()
    np.testing.assert_allclose(heights, [20, 20 + 4 / 3, 20 + 8 / 3, 24, 24], rtol=1e-6)


def test_a_frame_that_cannot_be_read(clips, made, make_job, raw):
    make_job("points", raw=raw).execute()
    (clips / "a/0003.png").write_bytes(b"no image")
    job = make_job("pseudo_boxes", raw=raw, boxes="kcf")
    with pytest.raises(InputError, match=r"0003\.png: not an image .* pass --on-bad-frame skip"):
        job.execute()
    _, summary = made("kcf", bad_frames="skip")
    (skipped,) = summary.stats["skipped"]
    assert (skipped["video"], skipped["frame"]) == ("a", 2) and "0003.png" in skipped["reason"]
    table = read_pseudo_boxes(job.output)
    assert table["source"].to_pylist()[2] == "unreadable" and table["x"][2].as_py() is None


def test_without_any_box_there_is_nothing_to_start_on(clips, made):
    (clips / "clicks.csv").write_text("video,frame,x,y\na,1,20,30\nb,2,20,30\n")
    with pytest.raises(InputError, match=r"points\.parquet: no frame has a box, so pseudo boxes"):
        made("linear")


def test_a_model_that_is_not_trained_is_named(raw, make_job):
    raw["pseudo_boxes"]["socl"] = {"kind": "track", "tracker": "socl"}
    make_job("points", raw=raw).execute()
    job = make_job("pseudo_boxes", raw=raw, boxes="socl")
    assert {role: j.stage.name for role, j in job.inputs.items()} == {
        "points": "points",
        "model": "train",
    }
    with pytest.raises(InputError, match=r"models/tiny\.summary\.json: the artifact is not built"):
        job.execute()


def test_a_tracker_that_knows_how_sure_it_is(raw, made):
    raw["trackers"]["plain"] = {"kind": "siamfc", "device": "cpu"}
    raw["pseudo_boxes"]["plain"] = {"kind": "track", "tracker": "plain", "ends": "both"}
    table = read_pseudo_boxes(made("plain")[0].output)
    sure, source = table["confidence"].to_pylist(), table["source"].to_pylist()
    assert [s is None for s in sure] == [s == "box" for s in source]
    assert source == ["box", "fused", "fused", "box"] * 4
    assert all(0 < s <= 1 for s in sure if s is not None)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (KCF | {"tracker": "kfc"}, r"pseudo_boxes\.x\.tracker: there is no tracker 'kfc': did you"),
        (KCF | {"ends": "booth"}, r"pseudo_boxes\.x\.ends: input should be 'forward' or 'both'"),
        (
            KCF | {"center": "click"},
            r"unknown key 'pseudo_boxes\.x\.center': did you mean 'centre'",
        ),
        (LINEAR | {"tracker": "kcf"}, r"unknown key 'pseudo_boxes\.x\.tracker'"),
        (KCF | {"failure_distance": 0}, r"pseudo_boxes\.x\.failure_distance: "),
    ],
)
def test_a_wrong_entry_is_one_sentence(raw, entry, message):
    raw["pseudo_boxes"] = {"x": entry}
    with pytest.raises(InputError, match=message):
        validate_config(raw, "c")


def test_the_defaults_are_the_papers_scheme(raw):
    entry = validate_config(raw, "c").boxes("kcf")
    assert (entry.ends, entry.prior, entry.centre) == ("forward", "none", "tracker")
    assert entry.smooth_scale == 0 and entry.failure_distance == 20
    with pytest.raises(InputError, match="there is no entry of pseudo_boxes 'x' in the config"):
        validate_config(raw, "c").boxes("x")


def test_the_recipe_has_the_tracker_and_not_its_name(raw, make_job):
    first = make_job("pseudo_boxes", raw=raw, boxes="kcf").params
    raw["trackers"]["other"] = raw["trackers"]["kcf"]
    raw["pseudo_boxes"]["kcf"] = KCF | {"tracker": "other"}
    assert make_job("pseudo_boxes", raw=raw, boxes="kcf").params == first
    raw["trackers"]["other"] = {"kind": "opencv", "name": "csrt"}
    assert make_job("pseudo_boxes", raw=raw, boxes="kcf").params != first


def test_a_table_that_is_none_is_named(tmp_path):
    (tmp_path / "x.parquet").write_text("no table")
    with pytest.raises(InputError, match=r"x\.parquet: not a readable table of pseudo boxes"):
        read_pseudo_boxes(tmp_path / "x.parquet")
