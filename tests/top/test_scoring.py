from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.boxes import centers, pairwise_iou
from socl_pipeline.settings import RandomWindowSettings, TopMapSettings
from socl_pipeline.top.cues.image import CueSettings, window_cues
from socl_pipeline.top.edgeboxes.edges import shrink
from socl_pipeline.top.objectness.model import SIZE, load_objectness, relative_log_side
from socl_pipeline.top.scoring import FrameScorer, map_region, top_extent
from socl_pipeline.top.windows import window_templates

POINT = np.array([90.0, 60.0])


@pytest.fixture
def scorer():
    def make(**settings):
        templates = window_templates(RandomWindowSettings(count=150))
        return FrameScorer(templates, 10.0, load_objectness(), TopMapSettings(**settings))

    return make


@pytest.fixture
def image(textured):
    picture = textured(5, 120, 180)
    picture[40:80, 70:110] = (240, 30, 40)
    return picture


def test_kept_boxes_are_scored_sorted_and_apart(scorer, image):
    edge_boxes = np.array([[70.0, 40, 40, 40], [60, 30, 60, 60]])
    boxes, scores = scorer(top_k=20).kept_boxes(image, POINT, edge_boxes)
    assert boxes.shape == (len(scores), 4) and 1 < len(scores) <= 20
    assert (np.diff(scores) <= 0).all() and (scores > 0).all() and (scores < 1).all()
    overlap = pairwise_iou(boxes, boxes) - np.eye(len(boxes))
    assert overlap.max() <= 0.7
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= [180, 120]).all()
    expected = load_objectness().posterior(window_cues(image, boxes))
    np.testing.assert_allclose(scores, expected)


def test_edge_boxes_compete_with_the_windows(scorer, image):
    """An EdgeBox off the click can only come from the proposals that were handed in."""
    edge_box = np.array([[70.0, 40, 36, 38]])
    boxes, _ = scorer(nms=1.0, top_k=1000).kept_boxes(image, POINT, edge_box)
    off = np.abs(centers(boxes) - POINT).max(axis=1) > 0.5
    assert [70, 40, 36, 38] in boxes[off].tolist()
    without, _ = scorer(nms=1.0, top_k=1000).kept_boxes(image, POINT, np.zeros((0, 4)))
    assert len(without) == len(boxes) - 1


def test_large_frames_are_scored_at_the_working_side(scorer, image):
    large = np.kron(image, np.ones((2, 2, 1), np.uint8))
    boxes, scores = scorer(working_side=90).kept_boxes(large, 2 * POINT, np.zeros((0, 4)))
    small, scale = shrink(large, 90)
    assert scale == 0.25
    expected = load_objectness().posterior(window_cues(small, boxes * scale))
    np.testing.assert_allclose(scores, expected)
    assert (boxes[:, :2] + boxes[:, 2:]).max() > 180, "boxes are in pixels of the large frame"


def test_a_model_brings_its_thetas_and_may_use_sizes(scorer, image):
    thetas = CueSettings(cc_theta=40.0, ed_theta=60.0)
    shipped = load_objectness()
    model = replace(
        shipped,
        edges=shipped.edges | {SIZE: np.array([-1.5, -1.0])},
        log_ratio=shipped.log_ratio | {SIZE: np.array([-2.0, 1.0, 0.0])},
        thetas=thetas,
    )
    boxes, scores = replace(scorer(), model=model).kept_boxes(image, POINT, np.zeros((0, 4)))
    cues = window_cues(image, boxes, thetas)
    expected = model.posterior(cues, relative_log_side(boxes, 180, 120))
    np.testing.assert_allclose(scores, expected)


@given(st.integers(0, 1000), st.floats(1, 200))
def test_the_extent_of_boxes_of_one_side_is_that_side(seed, side):
    rng = np.random.default_rng(seed)
    aspect = np.exp(rng.uniform(-1, 1, 5))
    boxes = np.stack([aspect, aspect, side * aspect, side / aspect], axis=1)
    assert top_extent(boxes, rng.uniform(0.1, 1, 5)) == pytest.approx(max(side, 1))


def test_the_extent_weighs_by_score():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 40, 40]], float)
    assert top_extent(boxes, np.array([1.0, 1.0])) == pytest.approx(20)
    assert top_extent(boxes, np.array([3.0, 1.0])) == pytest.approx(10 * 4**0.25)


def test_the_region_is_a_square_around_the_click():
    np.testing.assert_allclose(map_region(np.array([50, 40]), 20, 4), [10, 0, 80, 80])
