"""Fitting on procedural scenes, and whether the shipped tables do their work on unseen ones."""

import numpy as np
import pytest

from socl_pipeline.boxes import centered_boxes, centers, iou
from socl_pipeline.datasets.scenes import SceneSettings, build_scene
from socl_pipeline.settings import EdgeBoxSettings, RandomWindowSettings, TopMapSettings
from socl_pipeline.top.edgeboxes import edge_boxes_near
from socl_pipeline.top.fit import fit_on_scenes, scene_windows
from socl_pipeline.top.objectness import load_objectness
from socl_pipeline.top.scoring import FrameScorer
from socl_pipeline.top.windows import window_templates

SEED = 77


@pytest.fixture(scope="module")
def refit():
    return fit_on_scenes(12, seed=SEED)


def halves(ratio):
    return ratio[: len(ratio) // 2].mean(), ratio[len(ratio) // 2 :].mean()


def test_a_refit_has_the_trend_of_the_shipped_tables(refit):
    for model in (refit, load_objectness()):
        for cue in ("ms", "cc"):
            low, high = halves(model.log_ratio[cue])
            assert high > low, cue
    assert 0.03 < refit.prior < 0.4
    assert refit.provenance.startswith("12 procedural scenes")


def test_a_fit_is_reproducible(refit):
    assert fit_on_scenes(12, seed=SEED).to_json() == refit.to_json()


def test_windows_and_labels():
    found = list(scene_windows(3, seed=SEED))
    assert 1 <= len(found) <= 3
    for cues, labels in found:
        assert cues.shape == (len(labels), 3) and np.isfinite(cues).all()
        assert 0 < labels.sum() < len(labels)


def scenes():
    """Targets of several sizes with clicks at their centres."""
    settings = SceneSettings(width=240, height=180, frames=4, min_size=0.12)
    for i in range(10):
        frame = build_scene(settings, (SEED, i)).render(2)
        if not frame.absent and frame.visible > 0.8:
            yield frame


def test_kept_boxes_fit_better_than_windows_of_the_mean_size():
    templates = window_templates(RandomWindowSettings(count=500))
    scorer = FrameScorer(templates, 8.0, load_objectness(), TopMapSettings())
    frames = list(scenes())
    assert len(frames) >= 5
    sides = [np.sqrt(f.box[2] * f.box[3]) for f in frames]
    mean_side = np.exp(np.mean(np.log(sides)))  # not known to the method
    ours, fixed = [], []
    for frame in frames:
        point = centers(frame.box)
        edge_boxes, _ = edge_boxes_near(
            frame.image, point, EdgeBoxSettings(min_box_area_px=150), 240
        )
        boxes, scores = scorer.kept_boxes(frame.image, point, edge_boxes)
        ours.append(iou(boxes[:8], frame.box).mean())
        fixed.append(float(iou(centered_boxes(point, [mean_side] * 2), frame.box)))
    assert np.mean(ours) > np.mean(fixed), (ours, fixed)
