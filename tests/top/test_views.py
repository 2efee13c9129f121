"""Views: windows of every size are judged at a similar size, with their surroundings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socl_pipeline.boxes import centered_boxes
from socl_pipeline.settings import ViewSettings
from socl_pipeline.top.views import plan_views, view_of_windows

CONTEXT = ViewSettings()
frames = st.tuples(st.integers(40, 4000), st.integers(40, 4000))
places = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(frames, places)
def test_views_are_nested_crops_that_hold_the_click(size, place):
    point = np.array(size) * place
    views = plan_views(*size, point, CONTEXT)
    assert (views[0].left, views[0].top, views[0].right, views[0].bottom) == (0, 0, *size)
    for outer, inner in zip(views, views[1:], strict=False):
        assert outer.left <= inner.left < inner.right <= outer.right
        assert outer.top <= inner.top < inner.bottom <= outer.bottom
        assert inner.largest < outer.largest
        assert inner.left <= point[0] <= inner.right and inner.top <= point[1] <= inner.bottom
    for view in views:
        # crops begin and end at whole pixels
        assert max(view.size) <= CONTEXT.working_side + 2 * CONTEXT.max_zoom


@given(frames, places, st.floats(8, 2000))
def test_a_window_is_judged_at_one_size_within_its_surroundings(size, place, side):
    point = np.array(size) * place
    views = plan_views(*size, point, CONTEXT)
    (chosen,) = view_of_windows(centered_boxes(point, [side, side])[None], views)
    if chosen == 0:
        # no smaller view would have been wide enough
        assert side * CONTEXT.context * CONTEXT.ratio >= max(size) * 0.999 or len(views) == 1
        return
    across = max(size) / CONTEXT.ratio**chosen
    assert across >= CONTEXT.context * side * 0.999
    if chosen < len(views) - 1:
        assert across / CONTEXT.ratio < CONTEXT.context * side * 1.001


@given(frames, places, st.floats(0, 500), st.floats(0, 500), st.floats(1, 300), st.floats(1, 300))
@settings(max_examples=50)
def test_boxes_go_to_a_view_and_back(size, place, x, y, w, h):
    boxes = np.array([[x, y, w, h]])
    for view in plan_views(*size, np.array(size) * place, CONTEXT):
        np.testing.assert_allclose(view.to_frame(view.to_view(boxes)), boxes, atol=1e-6)
        whole = np.array([[view.left, view.top, view.right - view.left, view.bottom - view.top]])
        np.testing.assert_allclose(view.to_view(whole), [[0, 0, *view.size]], atol=1e-6)


def test_a_view_shows_what_lies_in_its_crop():
    image = np.zeros((400, 600, 3), np.uint8)
    image[100:140, 200:240] = 255
    box = np.array([[200.0, 100, 40, 40]])
    views = plan_views(600, 400, np.array([220.0, 120]), CONTEXT)
    assert len(views) > 2
    for view in views:
        picture = view.cut(image)
        assert picture.shape == (view.size[1], view.size[0], 3)
        x, y, w, h = view.to_view(box)[0]
        bright = picture[..., 0] > 127
        expected = max(0, min(x + w, view.size[0]) - max(x, 0))
        expected *= max(0, min(y + h, view.size[1]) - max(y, 0))
        assert bright.sum() == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("side", ["full", 480])
def test_the_whole_frame_is_one_view_at_the_working_side(side):
    views = plan_views(1920, 1080, np.zeros(2), ViewSettings(kind="frame", working_side=side))
    assert [v.size for v in views] == [(1920, 1080) if side == "full" else (480, 270)]
    assert (view_of_windows(np.array([[0, 0, 5.0, 5], [0, 0, 900, 900]]), views) == 0).all()


def test_a_frame_is_not_enlarged_for_kind_frame_but_small_crops_are():
    frame = ViewSettings(kind="frame", working_side=480)
    assert plan_views(100, 50, np.zeros(2), frame)[0].size == (100, 50)
    smallest = plan_views(640, 480, np.array([320.0, 240]), CONTEXT)[-1]
    assert smallest.scale == pytest.approx(CONTEXT.max_zoom, rel=0.05)
