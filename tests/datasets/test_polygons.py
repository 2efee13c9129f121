import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.datasets.polygons import polygon_area, polygon_boxes

sides = st.floats(1, 300)
places = st.floats(-500, 500)


def rectangle(x, y, w, h, degrees=0.0):
    """Corners (1, 8) of a rectangle turned around its centre."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2 @ turn.T
    return (corners + np.array([x + w / 2, y + h / 2])).reshape(1, 8)


@given(places, places, sides, sides)
def test_an_upright_box_is_itself_with_both_end_pixels(x, y, w, h):
    np.testing.assert_allclose(
        polygon_boxes(rectangle(x, y, w, h)), [[x, y, w + 1, h + 1]], atol=1e-9
    )


@given(places, places, sides, sides, st.floats(0, 180))
def test_turning_keeps_centre_and_area(x, y, w, h, degrees):
    polygon = rectangle(x, y, w, h, degrees)
    (bx, by, bw, bh) = polygon_boxes(polygon)[0]
    np.testing.assert_allclose([bx + (bw - 1) / 2, by + (bh - 1) / 2], [x + w / 2, y + h / 2])
    np.testing.assert_allclose((bw - 1) * (bh - 1), w * h, rtol=1e-6)
    np.testing.assert_allclose(polygon_area(polygon), w * h, rtol=1e-9)


@given(places, places, sides, sides, st.floats(0, 180), st.integers(1, 3))
def test_the_order_of_the_corners_does_not_matter(x, y, w, h, degrees, first):
    polygon = rectangle(x, y, w, h, degrees)
    corners = polygon.reshape(4, 2)
    for other in (np.roll(corners, first, axis=0), corners[::-1]):
        np.testing.assert_allclose(polygon_boxes(other.reshape(1, 8)), polygon_boxes(polygon))


def test_a_start_box_by_hand():
    """A 60 x 20 px rectangle turned by 90 degrees: the upright box around it has its area."""
    box = polygon_boxes(rectangle(10, 50, 60, 20, 90))
    np.testing.assert_allclose(box, [[40 - 10, 60 - 30, 21, 61]], atol=1e-9)


def test_without_truth_there_is_no_box():
    assert np.isnan(polygon_boxes(np.full((2, 8), np.nan))).all()


@pytest.mark.parametrize(
    ("corners", "expected"),
    [([3, 4] * 4, [3, 4, 1, 1]), ([3, 4, 3, 9, 3, 9, 3, 4], [3, 4, 1, 6])],
)
def test_a_point_and_a_line_have_the_size_of_their_pixels(corners, expected):
    assert polygon_boxes(np.array([corners], float)).tolist() == [expected]
