"""Stage `top_maps` with every prior and search: what it needs, what it reads, what it makes."""

import json
import shutil
import sys

import numpy as np
import pytest

from socl_pipeline.annotation.table import FrameRow, read_points
from socl_pipeline.boxes import centers, pairwise_iou
from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.datasets.scenes import SceneSettings, build_scene
from socl_pipeline.errors import InputError
from socl_pipeline.pseudo_boxes.table import read_pseudo_boxes
from socl_pipeline.report.frames import picture
from socl_pipeline.settings import (
    EdgeBoxSettings,
    RandomWindowSettings,
    TopMapSettings,
    ViewSettings,
)
from socl_pipeline.top import frame_priors
from socl_pipeline.top.edgeboxes.near import edge_boxes_near
from socl_pipeline.top.objectness.data import objectness_file
from socl_pipeline.top.objectness.model import load_objectness
from socl_pipeline.top.scoring import FrameScorer
from socl_pipeline.top.store.store import TopStore
from socl_pipeline.top.views import ViewedFrame
from socl_pipeline.top.windows import window_templates

PRIOR = """
import numpy as np

def square(frame, point, info):
    assert info.box is None
    return np.array([[*(point - 10), 20, 20]]), np.array([0.5])
"""


@pytest.fixture
def run(make_job, raw_config):
    """A function that runs stages for a prior, TOP maps last; returns their summary and rows."""

    def execute(prior, stages=("points", "top_maps")):
        raw_config["top_maps"]["prior"] = prior
        for stage in stages:
            job = make_job(stage)
            summary = job.execute()
        store = TopStore(job.output)
        return summary, store.rows(0, len(store))

    return execute


@pytest.fixture
def user_prior(tmp_path, monkeypatch):
    """A user's module in a folder of the Python path; returns its file."""
    folder = tmp_path / "modules"
    folder.mkdir()
    path = folder / "my_square.py"
    path.write_text(PRIOR)
    monkeypatch.syspath_prepend(str(folder))
    yield path
    sys.modules.pop("my_square", None)


def test_the_gaussian_prior_needs_no_proposals(run, make_job):
    summary, rows = run("gaussian")
    assert not make_job("proposals").output.exists()
    assert summary.stats["frames"] == 16 and (rows.count == 16).all()
    sides = np.sqrt(rows.boxes[..., 2:].prod(axis=-1))
    assert (np.diff(sides, axis=1) > 0).all(), "nested squares"
    np.testing.assert_allclose(rows.scores, 1 / 16, rtol=1e-3)


def test_true_boxes_as_the_prior(run, make_job):
    _, rows = run("boxes")
    job = make_job("points")
    assert (rows.count == 1).all()
    truth = np.concatenate([job.dataset.read(name).boxes for name in job.dataset.names()])
    np.testing.assert_allclose(rows.boxes[:, 0], truth, atol=0.1)
    np.testing.assert_allclose(centers(rows.boxes[:, 0]), rows.points, atol=0.2)


@pytest.fixture
def boxed(raw_config):
    """The small config with sparse boxes and an interpolation; its maps are of a variant."""
    raw_config["datasets"]["demo"]["points"] = {"sparse_box_every": 3}
    raw_config["pseudo_boxes"] = {"linear": {"kind": "interpolate"}}
    overrides = {"top_maps": {"prior": "pseudo_boxes/linear"}}
    raw_config["variants"] = {"datasets": {"linear": {"overrides": overrides}}}
    return raw_config


def make_maps(make_job):
    """Run all that the maps of `demo__linear` need; returns their job and summary."""
    job = make_job("top_maps", dataset="demo__linear")
    for target in dict.fromkeys(job.with_upstream()):
        summary = job.sibling(target).execute()
    return job, summary


def test_pseudo_boxes_as_the_prior(boxed, make_job):
    job, summary = make_maps(make_job)
    store = TopStore(job.output)
    rows = store.rows(0, len(store))
    table = read_pseudo_boxes(make_job("pseudo_boxes", boxes="linear").output)
    expected = np.stack([table[c].to_numpy() for c in "xywh"], axis=1)
    assert (rows.count == 1).all() and (rows.scores[:, 0] == 1).all()
    np.testing.assert_allclose(rows.boxes[:, 0], expected, atol=0.1)
    truth = np.concatenate([job.dataset.read(name).boxes for name in job.dataset.names()])
    assert np.abs(rows.boxes[:, 0] - truth).max() > 0.5, "these are not the true boxes"
    assert set(summary.recipe.inputs) == {"points", "pseudo_boxes"}


def test_frames_without_a_pseudo_box_are_left_out(boxed, make_job, monkeypatch):
    """They are no broken frames, which would stop the stage."""
    real = frame_priors.read_video_boxes

    def gaps(path, video):
        boxes = real(path, video)
        del boxes[1]
        boxes[2] = np.array([-50.0, 10, 20, 20])  # outside the frame
        return boxes

    monkeypatch.setattr(frame_priors, "read_video_boxes", gaps)
    job, summary = make_maps(make_job)
    rows = TopStore(job.output).rows(0, 16)
    assert rows.count.tolist() == [1, 0, 0, 1] * 4
    assert (summary.stats["left_out"], summary.stats["boxes_per_frame"]) == (8, 1.0)
    assert summary.stats["skipped"] == []
    patches = make_job("patches", dataset="demo__linear").execute()
    assert patches.stats["patches"] == 8
    points = read_points(job.input("points"))
    with pytest.raises(InputError, match=r"frame 1 of .* has no TOP map: it has no box"):
        picture(points, TopStore(job.output), job.dataset.root, 1)


def test_a_users_function_as_the_prior(run, user_prior):
    summary, rows = run("my_square:square")
    assert "prior" in summary.recipe.inputs
    np.testing.assert_allclose(centers(rows.boxes[:, 0]), rows.points, atol=0.1)
    assert (rows.count == 1).all() and rows.boxes[0, 0, 2] == 20


def test_a_users_function_that_is_not_there_stops_before_any_frame(run, make_job):
    with pytest.raises(InputError, match=r"'no_such:f' cannot be imported .* \(PYTHONPATH\)"):
        run("no_such:f")
    assert not make_job("top_maps").output.exists()


def test_boxes_of_a_dataset_that_has_none_is_one_sentence(run, raw_config, write_clips, tmp_path):
    images = {"cat": [np.full((60, 80, 3), 90, np.uint8)] * 2}
    manifest = write_clips(
        tmp_path / "clips", images, "video,frame,x,y\ncat,1,40,30\ncat,2,41,30\n"
    )
    raw_config["datasets"]["demo"] = {"manifest": str(manifest)}
    with pytest.raises(
        InputError, match="cat, frame 0: no true box, which `prior: boxes`"
    ) as caught:
        run("boxes")
    assert "\n" not in str(caught.value)


def test_both_searches_make_maps_of_one_kind(run, make_job, stored_boxes):
    stages = ("points", "proposals", "top_maps")
    found = {}
    for search in ("opencv", "local"):
        stored_boxes["proposals"]["edgeboxes"]["search"] = search
        summary, found[search] = run("top", stages)
        proposals = make_job("proposals").output
        assert (proposals / "edgeboxes").exists() == (search == "opencv")
        assert set(summary.recipe.inputs) == {"points", "proposals", "objectness"}
    opencv, local = found["opencv"], found["local"]
    for name in ("boxes", "scores", "maps", "regions", "extents"):
        assert getattr(opencv, name).shape == getattr(local, name).shape
    np.testing.assert_array_equal(opencv.points, local.points)
    assert (local.count == 16).all() and (opencv.count == 16).all()
    assert (opencv.boxes != local.boxes).any()
    best = pairwise_iou(opencv.boxes[0].astype(float), local.boxes[0].astype(float)).max(axis=1)
    assert best.mean() > 0.6, "both have the same random windows"


def test_stored_boxes_are_those_of_the_rows_of_each_shard(run, stored_boxes, make_job):
    """Shards of maps and of proposals need not be the same."""
    stages = ("points", "proposals", "top_maps")
    before, _ = run("top", stages)
    shutil.rmtree(make_job("top_maps").cache)
    stored_boxes["top_maps"]["shard_frames"] = 3
    stored_boxes["proposals"]["shard_frames"] = 7
    assert run("top", stages)[0].digest == before.digest


def test_tables_of_other_views_are_a_warning(run, raw_config, tmp_path, caplog):
    own = tmp_path / "own.json"
    shutil.copy(objectness_file(None, "context"), own)
    stages = ("points", "proposals", "top_maps")
    raw_config["views"] = {"working_side": 200}
    run("top", stages)
    assert "fitted with" not in caplog.text  # the shipped ones, whose reach is known
    raw_config["top_maps"]["objectness"] = str(own)
    raw_config["views"] = {"working_side": 180}  # else the equal result is found in the cache
    run("top", stages)
    (warning,) = [r.getMessage() for r in caplog.records if "fitted with" in r.getMessage()]
    assert f"{own}: fitted with views.working_side: 160" in warning
    assert "the config has 180" in warning and "`socl fit-objectness`" in warning
    caplog.clear()
    raw_config["views"] = {"kind": "frame"}
    run("top", stages)
    assert f"{own}: fitted with views.kind: context, but the config has frame" in caplog.text
    assert "working_side" not in caplog.text


def test_tables_that_do_not_name_their_views_are_let_pass(run, raw_config, tmp_path, caplog):
    own = tmp_path / "own.json"
    content = json.loads(objectness_file(None, "context").read_text())
    content["provenance"] = {"source": "elsewhere"}
    own.write_text(json.dumps(content))
    raw_config["top_maps"]["objectness"] = str(own)
    run("top", ("points", "proposals", "top_maps"))
    assert "fitted with" not in caplog.text


def test_a_frame_read_at_half_its_size_has_nearly_the_same_boxes(tmp_path):
    """What `views.detail` allows: a JPEG of 1920 pixels is decoded at 1/2."""
    scene = build_scene(SceneSettings(width=1920, height=1080, frames=2), (31, 0)).render(1)
    path = tmp_path / "frame.jpg"
    path.write_bytes(encode_jpeg(scene.image, 90))
    point = centers(scene.box)
    row = FrameRow("video", 0, path, 1920, 1080, point)
    views = ViewSettings()
    half, whole = ViewedFrame.read(row, views), ViewedFrame.of(row.read(), point, views)
    assert (half.scale, half.image.shape) == (0.5, (540, 960, 3))
    templates = window_templates(RandomWindowSettings(count=1000))
    scorer = FrameScorer(templates, load_objectness(), TopMapSettings())
    kept = []
    for frame in (whole, half):
        boxes, _ = edge_boxes_near(frame, EdgeBoxSettings())
        kept.append(scorer.kept_boxes(frame, boxes))
    (boxes, scores), (again, others) = kept
    overlap = pairwise_iou(boxes, again).max(axis=1)
    assert np.average(overlap, weights=scores) > 0.8 and len(boxes) == len(again) == 64
    assert scores.sum() == pytest.approx(others.sum(), rel=0.1)
