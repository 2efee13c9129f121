from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.boxes import centered_boxes, centers, pairwise_iou
from socl_pipeline.settings import RandomWindowSettings, TopMapSettings, ViewSettings
from socl_pipeline.top.cues.image import CueSettings, window_cues
from socl_pipeline.top.objectness.model import SIZE, load_objectness, relative_log_side
from socl_pipeline.top.scoring import FrameScorer, frame_cues, map_region, top_extent
from socl_pipeline.top.views import ViewedFrame
from socl_pipeline.top.windows import window_templates

POINT = np.array([90.0, 60.0])
WHOLE = ViewSettings(kind="frame", working_side="full", min_side_px=10)
CONTEXT = ViewSettings(working_side=64, min_side_px=8)
NO_BOXES = np.zeros((0, 4))

both = pytest.mark.parametrize("views", [WHOLE, CONTEXT], ids=["frame", "context"])


@pytest.fixture
def scorer():
    def make(views=CONTEXT, **settings):
        templates = window_templates(RandomWindowSettings(count=150))
        return FrameScorer(templates, load_objectness(views=views.kind), TopMapSettings(**settings))

    return make


@pytest.fixture
def image(textured):
    picture = textured(5, 120, 180)
    picture[40:80, 70:110] = (240, 30, 40)
    return picture


def posterior_by_hand(model, frame, boxes):
    """Each box alone, cut out of the view that it is judged in."""
    result = []
    for box in boxes[:, None]:
        (chosen,) = frame.view_of(box)
        in_view = frame.views[chosen].to_view(box * frame.scale)
        cues = window_cues(frame.pictures[chosen], in_view, model.thetas)
        result.append(model.posterior(cues, relative_log_side(box, *frame.size))[0])
    return np.array(result)


@both
def test_kept_boxes_are_scored_sorted_and_apart(scorer, image, views):
    edge_boxes = np.array([[70.0, 40, 40, 40], [60, 30, 60, 60]])
    frame = ViewedFrame.of(image, POINT, views)
    boxes, scores = scorer(views, top_k=40).kept_boxes(frame, edge_boxes)
    assert boxes.shape == (len(scores), 4) and 1 < len(scores) <= 40
    assert (np.diff(scores) <= 0).all() and (scores > 0).all() and (scores < 1).all()
    overlap = pairwise_iou(boxes, boxes) - np.eye(len(boxes))
    assert overlap.max() <= 0.7
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= [180, 120]).all()
    if views is CONTEXT:
        assert len(set(frame.view_of(boxes))) > 1
    expected = posterior_by_hand(load_objectness(views=views.kind), frame, boxes)
    np.testing.assert_allclose(scores, expected)


def test_edge_boxes_compete_with_the_windows(scorer, image):
    """An EdgeBox off the click can only come from the proposals that were handed in."""
    edge_box = np.array([[70.0, 40, 36, 38]])
    frame = ViewedFrame.of(image, POINT, CONTEXT)
    boxes, _ = scorer(nms=1.0, top_k=1000).kept_boxes(frame, edge_box)
    off = np.abs(centers(boxes) - POINT).max(axis=1) > 0.5
    assert [70, 40, 36, 38] in boxes[off].tolist()
    without, _ = scorer(nms=1.0, top_k=1000).kept_boxes(frame, NO_BOXES)
    assert len(without) == len(boxes) - 1


def test_the_whole_frame_is_scored_at_the_working_side(scorer, image):
    large = np.kron(image, np.ones((2, 2, 1), np.uint8))
    views = ViewSettings(kind="frame", working_side=90, min_side_px=10)
    frame = ViewedFrame.of(large, 2 * POINT, views)
    boxes, scores = scorer(views).kept_boxes(frame, NO_BOXES)
    small = cv2.resize(large, (90, 60), interpolation=cv2.INTER_AREA)
    model = load_objectness(views="frame")
    np.testing.assert_allclose(scores, model.posterior(window_cues(small, boxes / 4)))
    assert (boxes[:, :2] + boxes[:, 2:]).max() > 180, "boxes are in pixels of the large frame"


def test_a_reduced_image_gives_the_scores_of_the_frame(scorer, image):
    """Every pixel twice: at half its size nothing is lost, and boxes stay those of the frame."""
    large = np.kron(image, np.ones((2, 2, 1), np.uint8))
    found = []
    for frame in (
        ViewedFrame.of(large, 2 * POINT, CONTEXT),
        ViewedFrame(image, 0.5, (360, 240), 2 * POINT, CONTEXT),
    ):
        boxes, scores = scorer(nms=1.0, top_k=1000).kept_boxes(frame, NO_BOXES)
        order = np.lexsort(boxes.T)
        found.append((boxes[order], scores[order]))
    (boxes, scores), (again, others) = found
    np.testing.assert_allclose(boxes, again)
    assert boxes[:, 2:].max() > 200
    assert np.corrcoef(scores, others)[0, 1] > 0.97 and scores.std() > 0.05


def test_cues_are_those_of_the_view_of_each_window(image):
    frame = ViewedFrame.of(image, POINT, CONTEXT)
    windows = centered_boxes(POINT, np.geomspace(8, 100, 12)[:, None].repeat(2, 1))
    cues = frame_cues(frame, windows, CueSettings())
    chosen = frame.view_of(windows)
    assert set(chosen) == set(range(len(frame.views)))
    for i in set(chosen):
        in_view = frame.views[i].to_view(windows[chosen == i])
        expected = window_cues(frame.pictures[i], in_view, CueSettings())
        np.testing.assert_array_equal(cues[chosen == i], expected)
    assert frame_cues(frame, NO_BOXES, CueSettings()).shape == (0, 3)


def test_a_model_brings_its_thetas_and_may_use_sizes(scorer, image):
    thetas = CueSettings(cc_theta=40.0, ed_theta=60.0)
    shipped = load_objectness()
    model = replace(
        shipped,
        edges=shipped.edges | {SIZE: np.array([-1.5, -1.0])},
        log_ratio=shipped.log_ratio | {SIZE: np.array([-2.0, 1.0, 0.0])},
        thetas=thetas,
    )
    frame = ViewedFrame.of(image, POINT, CONTEXT)
    boxes, scores = replace(scorer(), model=model).kept_boxes(frame, NO_BOXES)
    np.testing.assert_allclose(scores, posterior_by_hand(model, frame, boxes))
    plain = posterior_by_hand(shipped, frame, boxes)
    assert np.abs(scores - plain).max() > 0.01


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
