import numpy as np
import pytest

from socl_pipeline.boxes import centers, iou
from socl_pipeline.settings import EdgeBoxSettings
from socl_pipeline.top.edgeboxes import edge_boxes_near

BOX = np.array([60.0, 40.0, 48.0, 64.0])
SETTINGS = EdgeBoxSettings(min_box_area_px=400)


@pytest.fixture(scope="module")
def image():
    """A bright rectangle at BOX on a dark frame of 192 x 144."""
    picture = np.full((144, 192, 3), 40, np.uint8)
    picture[40:104, 60:108] = (220, 180, 60)
    return picture


def find(image, point=None, settings=SETTINGS, working_side=192):
    return edge_boxes_near(image, centers(BOX) if point is None else point, settings, working_side)


def test_the_object_is_found_without_offset(image):
    boxes, scores = find(image)
    assert boxes.shape == (len(scores), 4) and (scores > 0).all()
    best = boxes[np.argmax(iou(boxes, BOX))].astype(float)
    assert iou(best, BOX) > 0.8
    assert np.abs(centers(best) - centers(BOX)).max() <= 1.5


def test_no_offset_to_either_side(image):
    """A box and its mirror image are found with the same mean error: nothing is shifted."""
    errors = []
    for flip in (False, True):
        boxes, scores = find(image[:, ::-1] if flip else image, [108, 72] if flip else None)
        truth = np.array([192 - 108, 40, 48, 64]) if flip else BOX
        top = boxes[np.argsort(-scores)[:10]].astype(float)
        errors.append((centers(top) - centers(truth)).mean(axis=0)[0])
    assert sum(errors) / 2 == pytest.approx(0, abs=0.5)


def test_only_boxes_near_the_point(image):
    point = np.array([70.0, 60.0])
    boxes, _ = find(image, point, EdgeBoxSettings(min_box_area_px=400, radius_px=12))
    everywhere, _ = find(image, point, EdgeBoxSettings(min_box_area_px=400, radius_px=500))
    near = np.linalg.norm(centers(everywhere) - point, axis=1) <= 12
    np.testing.assert_array_equal(boxes, everywhere[near])
    assert 0 < near.sum() < len(near)


def test_results_are_in_pixels_of_the_given_image(image):
    """A twofold image searched at the same working side gives twofold boxes."""
    large = np.kron(image, np.ones((2, 2, 1), np.uint8))
    boxes, scores = edge_boxes_near(
        large, 2 * centers(BOX), EdgeBoxSettings(min_box_area_px=1600, radius_px=60), 192
    )
    once, once_scores = find(image)
    np.testing.assert_allclose(boxes, 2 * once, atol=1e-4)
    np.testing.assert_allclose(scores, once_scores, rtol=1e-3)


def test_at_most_max_boxes(image):
    assert len(find(image, settings=EdgeBoxSettings(max_boxes=3, radius_px=500))[0]) <= 3
    none, scores = find(image, settings=EdgeBoxSettings(max_boxes=0))
    assert none.shape == (0, 4) and scores.shape == (0,)


def test_a_flat_image_has_no_boxes():
    boxes, scores = find(np.full((144, 192, 3), 90, np.uint8))
    assert boxes.shape == (0, 4) and scores.shape == (0,)


def test_nothing_near_a_far_point(image):
    boxes, scores = find(image, np.array([5000.0, 5000.0]))
    assert boxes.shape == (0, 4) and scores.shape == (0,)
