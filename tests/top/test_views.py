"""Views: windows of every size are judged at a similar size, with their surroundings."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socl_pipeline.boxes import centered_boxes
from socl_pipeline.settings import ViewSettings
from socl_pipeline.top.views import ViewedFrame

CONTEXT = ViewSettings()
frames = st.tuples(st.integers(40, 3000), st.integers(40, 3000))
places = st.tuples(st.floats(0, 1), st.floats(0, 1))


def viewed(size, point, settings=CONTEXT, scale=1.0):
    """A frame without pixels of its own, as if read at a scale."""
    width, height = size
    shape = (round(height * scale), round(width * scale), 3)
    image = np.broadcast_to(np.uint8(0), shape)
    return ViewedFrame(image, scale, size, np.asarray(point, np.float64), settings)


@given(frames, places)
def test_views_are_nested_crops_that_hold_the_click(size, place):
    point = np.array(size) * place
    views = viewed(size, point).views
    assert (views[0].left, views[0].top, views[0].right, views[0].bottom) == (0, 0, *size)
    for outer, inner in pairwise(views):
        assert outer.left <= inner.left < inner.right <= outer.right
        assert outer.top <= inner.top < inner.bottom <= outer.bottom
        assert inner.largest < outer.largest
        assert inner.left - 1 <= point[0] <= inner.right + 1
        assert inner.top - 1 <= point[1] <= inner.bottom + 1
    assert all(max(view.size) <= CONTEXT.working_side for view in views)


@given(frames, places, st.floats(8, 2000))
def test_a_window_is_judged_in_the_smallest_view_with_its_surroundings(size, place, side):
    point = np.array(size) * place
    frame = viewed(size, point)
    (chosen,) = frame.view_of(centered_boxes(point, [side, side])[None])
    across = max(size) / CONTEXT.ratio ** np.arange(len(frame.views) + 1)
    if chosen > 0:
        assert across[chosen] >= CONTEXT.context * side * 0.999
    if chosen < len(frame.views) - 1:
        assert across[chosen + 1] <= CONTEXT.context * side * 1.001


@given(frames, places)
def test_views_of_a_reduced_image_are_those_of_the_frame(size, place):
    point = np.array(size) * place
    whole, half = viewed(size, point), viewed(size, point, scale=0.5)
    assert len(half.views) == len(whole.views)
    boxes = centered_boxes(point, np.geomspace(8, max(size), 30)[:, None].repeat(2, 1))
    differs = whole.view_of(boxes) != half.view_of(boxes)
    assert differs.mean() <= 0.1  # only where rounding moves a limit


@given(frames, places, st.floats(0, 500), st.floats(0, 500), st.floats(1, 300), st.floats(1, 300))
@settings(max_examples=50)
def test_boxes_go_to_a_view_and_back(size, place, x, y, w, h):
    boxes = np.array([[x, y, w, h]])
    for view in viewed(size, np.array(size) * place).views:
        np.testing.assert_allclose(view.to_image(view.to_view(boxes)), boxes, atol=1e-6)
        whole = np.array([[view.left, view.top, view.right - view.left, view.bottom - view.top]])
        np.testing.assert_allclose(view.to_view(whole), [[0, 0, *view.size]], atol=1e-6)


def test_a_view_shows_what_lies_in_its_crop():
    image = np.zeros((400, 600, 3), np.uint8)
    image[100:140, 200:240] = 255
    box = np.array([[200.0, 100, 40, 40]])
    frame = ViewedFrame.of(image, np.array([220.0, 120]), CONTEXT)
    assert len(frame.views) > 2
    for view, picture in zip(frame.views, frame.pictures, strict=True):
        assert picture.shape == (view.size[1], view.size[0], 3)
        x, y, w, h = view.to_view(box)[0]
        bright = picture[..., 0] > 127
        expected = max(0, min(x + w, view.size[0]) - max(x, 0))
        expected *= max(0, min(y + h, view.size[1]) - max(y, 0))
        assert bright.sum() == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("side", ["full", 480])
def test_the_whole_frame_is_one_view_at_the_working_side(side):
    frame = viewed((1920, 1080), (0, 0), ViewSettings(kind="frame", working_side=side))
    assert [v.size for v in frame.views] == [(1920, 1080) if side == "full" else (480, 270)]
    assert (frame.view_of(np.array([[0, 0, 5.0, 5], [0, 0, 900, 900]])) == 0).all()


def test_a_frame_is_not_enlarged_for_kind_frame_but_small_crops_are():
    whole = viewed((100, 50), (0, 0), ViewSettings(kind="frame", working_side=480))
    assert whole.views[0].size == (100, 50)
    assert viewed((640, 480), (320, 240)).views[-1].scale == pytest.approx(CONTEXT.max_zoom)


def test_a_view_that_shrinks_the_image_has_the_means_of_blocks(textured):
    image = textured(0, 240, 480)
    frame = ViewedFrame.of(image, np.zeros(2), ViewSettings(kind="frame", working_side=160))
    (picture,) = frame.pictures
    assert picture.shape == (80, 160, 3)
    blocks = image.reshape(80, 3, 160, 3, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(picture - blocks).max() <= 1


def test_a_view_that_keeps_the_size_has_the_pixels_themselves(textured):
    image = textured(0, 60, 120)
    for side in (120, 500, "full"):
        frame = ViewedFrame.of(image, np.zeros(2), ViewSettings(kind="frame", working_side=side))
        np.testing.assert_array_equal(frame.pictures[0], image)


@pytest.mark.parametrize("kind", ["context", "frame"])
@pytest.mark.parametrize("shape", [(2, 4000, 3), (3000, 1, 3), (1, 1, 3)])
def test_views_of_thin_images_keep_a_pixel(kind, shape):
    image = np.zeros(shape, np.uint8)
    frame = ViewedFrame.of(image, np.array([0.5, 0.5]), ViewSettings(kind=kind, working_side=64))
    assert all(min(picture.shape) >= 1 for picture in frame.pictures)
    assert max(frame.pictures[0].shape) <= 64
