"""Fitting on procedural scenes, and whether the shipped tables do their work on unseen ones."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from socl_pipeline.boxes import centered_boxes, centers, iou
from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.datasets.scenes import SceneSettings, build_scene
from socl_pipeline.errors import InputError
from socl_pipeline.settings import (
    EdgeBoxSettings,
    RandomWindowSettings,
    TopMapSettings,
    ViewSettings,
)
from socl_pipeline.top.cues.image import CueSettings
from socl_pipeline.top.edgeboxes.near import edge_boxes_near
from socl_pipeline.top.maps import score_map
from socl_pipeline.top.objectness.boxed_frames import BoxedFrame
from socl_pipeline.top.objectness.clicked import ClickedObject, frame_source, scene_source
from socl_pipeline.top.objectness.fit import (
    FitOptions,
    default_thetas,
    fit_tables,
    fit_views,
    fit_windows,
    labelled_windows,
    object_windows,
    search_thetas,
    theta_grid,
)
from socl_pipeline.top.objectness.model import load_objectness
from socl_pipeline.top.scoring import FrameScorer, top_extent
from socl_pipeline.top.views import ViewedFrame
from socl_pipeline.top.windows import window_templates

SEED = 77
VIEWS = ViewSettings()
THETAS = default_thetas(VIEWS)


@pytest.fixture(scope="module")
def first():
    """Windows around the targets of a few scenes."""
    return labelled_windows(scene_source(10, SEED).objects, VIEWS, [THETAS], SEED)[0]


@pytest.fixture(scope="module")
def windows():
    """Windows of two scenes, for every theta of the search."""
    return labelled_windows(scene_source(2, SEED).objects, VIEWS, theta_grid(VIEWS), SEED)


@pytest.fixture(scope="module")
def refit(first):
    return fit_tables(first, THETAS, "10 scenes", FitOptions(seed=SEED))


def fit_on_scenes(scenes, options):
    source = scene_source(scenes, options.seed)
    windows, thetas = fit_windows(source.objects, options)
    return fit_tables(windows, thetas, source.name, options)


def halves(ratio):
    return ratio[: len(ratio) // 2].mean(), ratio[len(ratio) // 2 :].mean()


def test_a_refit_resembles_the_shipped_tables(refit, first):
    shipped = load_objectness()
    for model in (refit, shipped):
        for cue in ("ms", "cc"):
            low, high = halves(model.log_ratio[cue])
            assert high > low, cue
    assert 0.03 < refit.prior < 0.4
    agreement = spearmanr(refit.posterior(first.cues), shipped.posterior(first.cues))[0]
    assert agreement > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["context", "frame"])
def test_the_shipped_file_can_be_made_again(kind):
    options = FitOptions(fit_views(kind, None))
    tables = fit_on_scenes(400, options), load_objectness(views=kind)
    made, shipped = (json.loads(model.to_json()) for model in tables)
    for model in (made, shipped):
        del model["provenance"]["version"]
    assert made == shipped


def test_a_fit_is_reproducible():
    options = FitOptions(seed=SEED)
    made = fit_on_scenes(2, options)
    assert made.to_json() == fit_on_scenes(2, options).to_json()
    provenance = made.provenance
    assert provenance["source"] == "2 procedural scenes" and provenance["seed"] == SEED
    assert (provenance["boxes"], provenance["videos_or_images"]) == (2, 2)
    assert (provenance["views"], provenance["working_side"]) == ("context", VIEWS.working_side)


def test_views_to_fit_in_are_those_of_the_shipped_tables_unless_another_side_is_asked_for():
    assert fit_views("context", None) == ViewSettings()
    assert fit_views("frame", None) == ViewSettings(kind="frame", working_side=480)
    assert fit_views("context", 128) == ViewSettings(working_side=128)
    assert fit_views("frame", 320) == ViewSettings(kind="frame", working_side=320)


def test_the_default_thetas_are_the_releases_and_the_finest_map_in_context_views():
    assert default_thetas(ViewSettings(kind="frame")) == CueSettings()
    assert CueSettings(ms_scales=(64,), ms_thresholds=(0.26,)) == THETAS
    assert all(t.ms_scales == (64,) for t in theta_grid(VIEWS))


def test_windows_and_labels(first):
    size = len(first.is_object)
    assert first.cues.shape == (size, 3) and np.isfinite(first.cues).all()
    assert first.log_side.shape == (size,) and (first.log_side <= 0).all()
    for number in np.unique(first.object):
        labels = first.is_object[first.object == number]
        assert 0 < labels.sum() < len(labels)
    np.testing.assert_array_equal(first.group, first.object)  # one target a scene


def test_labels_follow_the_box_in_pixels_of_the_image(textured):
    box, click = np.array([120.0, 60, 200, 160]), np.array([220.0, 140])
    target = ClickedObject("photo", textured(0, 400, 640), box, click)
    templates = window_templates(RandomWindowSettings(count=100))
    frame, found, is_object = object_windows(target, templates, VIEWS)
    assert frame.image.shape == (400, 640, 3) and len(frame.views) > 1
    np.testing.assert_array_equal(is_object, iou(found, box) >= 0.5)
    assert is_object.any()
    inside = (found[:, :2] >= 0).all() and (found[:, :2] + found[:, 2:] <= [640, 400]).all()
    assert inside


def test_no_object_is_an_error():
    with pytest.raises(InputError, match="no object to learn from"):
        labelled_windows([], VIEWS, [THETAS])


def test_an_unreadable_frame_is_left_out(tmp_path, textured, caplog):
    (tmp_path / "b.jpg").write_bytes(b"no image")
    (tmp_path / "a.jpg").write_bytes(encode_jpeg(textured(1, 60, 80), 90))
    boxes = np.array([[10.0, 10, 30, 20], [50, 30, 20, 20]])
    frames = [BoxedFrame(name, tmp_path / name, boxes) for name in ("b.jpg", "a.jpg")]
    source = frame_source("two", frames)
    found = list(source.objects)
    assert source.total == 4 and [o.group for o in found] == ["a.jpg"] * 2
    assert np.linalg.norm(found[1].click - [60, 40]) < 5
    assert "b.jpg: not an image" in caplog.text


def test_the_search_finds_the_theta_that_separates(windows):
    """Contrast that follows the label at one theta only must be found, and edges likewise."""
    thetas = theta_grid(VIEWS)
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(len(thetas), *windows[0].cues.shape))
    noise[2, :, 1] += 2 * windows[0].is_object
    noise[5, :, 2] += 2 * windows[0].is_object
    made = [replace(w, cues=cues) for w, cues in zip(windows, noise, strict=True)]
    best, chosen = search_thetas(made, thetas)
    assert (chosen.cc_theta, chosen.ed_theta) == (thetas[2].cc_theta, thetas[5].ed_theta)
    expected = np.stack([noise[0, :, 0], noise[2, :, 1], noise[5, :, 2]], axis=1)
    np.testing.assert_array_equal(best.cues, expected)


def test_thetas_change_their_cue_alone(windows):
    assert (windows[0].cues[:, 0] == windows[6].cues[:, 0]).all()
    assert (windows[0].cues[:, 1:] != windows[6].cues[:, 1:]).any(axis=0).all()


@pytest.fixture(scope="module")
def kept():
    """Unseen scenes with targets of all sizes, clicked at the centre, and their kept boxes."""
    templates = window_templates(RandomWindowSettings(count=500))
    scorer = FrameScorer(templates, load_objectness(), TopMapSettings())
    settings = SceneSettings(width=240, height=180, frames=4, min_size=0.08, max_size=0.6)
    result = []
    for i in range(16):
        frame = build_scene(settings, (SEED, i)).render(2)
        if frame.absent or frame.visible < 0.8:
            continue
        point = centers(frame.box)
        viewed = ViewedFrame.of(frame.image, point, VIEWS)
        near, _ = edge_boxes_near(viewed, EdgeBoxSettings(min_box_area_px=150))
        result.append((frame.box, *scorer.kept_boxes(viewed, near)))
    assert len(result) >= 8
    return result


def pixels_of(box):
    mask = np.zeros((180, 240), bool)
    x0, y0, x1, y1 = np.rint([*box[:2], *(box[:2] + box[2:])]).astype(int)
    mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    return mask


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_maps_fit_better_than_a_square_of_the_mean_size(kept):
    mean_side = np.exp(np.mean([np.log(box[2] * box[3]) / 2 for box, _, _ in kept]))
    ours, fixed = [], []
    for box, boxes, scores in kept:
        summed = score_map(boxes, scores, np.array([0, 0, 240, 180]), 180, 240)
        ours.append(overlap(summed >= summed.max() / 2, pixels_of(box)))
        square = centered_boxes(centers(box), [mean_side] * 2)
        fixed.append(overlap(pixels_of(square), pixels_of(box)))
    assert np.mean(ours) > np.mean(fixed) + 0.05


def test_the_extent_follows_the_size_of_the_target(kept):
    sides = [np.log(box[2] * box[3]) / 2 for box, _, _ in kept]
    extents = [np.log(top_extent(boxes, scores)) for _, boxes, scores in kept]
    assert np.corrcoef(sides, extents)[0, 1] > 0.4


def test_some_kept_box_fits_well(kept):
    assert np.mean([iou(boxes, box).max() for box, boxes, _ in kept]) > 0.7
