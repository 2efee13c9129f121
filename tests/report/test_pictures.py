import base64

import cv2
import numpy as np
import pytest

from socl_pipeline.report import pictures


def grey(height=40, width=60):
    return np.full((height, width, 3), 128, np.uint8)


def changed(image):
    """Return the bounding box x0, y0, x1, y1 of what differs from grey."""
    rows, columns = np.nonzero((image != 128).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_map_is_placed_in_its_region_only():
    placed = pictures.place_map(np.ones((4, 4)), (10, 20, 8, 12), 60, 40)
    assert placed.shape == (40, 60)
    rows, columns = np.nonzero(np.isfinite(placed))
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 17, 20, 31)


def test_map_may_reach_beyond_the_picture():
    placed = pictures.place_map(np.ones((4, 4)), (-30, -30, 200, 200), 60, 40)
    np.testing.assert_array_equal(placed, 1)


def test_placed_map_is_bilinear_between_the_centres_of_its_cells():
    (row,) = pictures.place_map(np.array([[0.0, 1.0]]), (0, 0, 8, 1), 8, 1)
    np.testing.assert_allclose(row, [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1], atol=0.02)


def test_heat_is_strongest_at_the_maximum_and_pale_outside():
    values = np.full((40, 60), np.nan)
    values[:, 20:40], values[10, 30] = 0.1, 0.5
    picture = pictures.overlay_heat(grey(), values).astype(int)
    assert picture[10, 30].sum() > picture[20, 30].sum()
    np.testing.assert_array_equal(picture[0, 0], picture[39, 59])
    assert picture[0, 0, 0] > 128
    assert np.ptp(picture[0, 0]) == 0


def test_map_of_zeros_is_drawn():
    assert pictures.overlay_heat(grey(), np.zeros((40, 60))).shape == (40, 60, 3)


def test_boxes_are_drawn_where_they_are():
    box = np.array([[10.0, 5.0, 30.0, 20.0]])
    drawn = pictures.draw_boxes(grey(), box, np.ones(1))
    np.testing.assert_allclose(changed(drawn), (10, 5, 40, 25), atol=2)  # lines have a width


def test_best_box_lies_on_top_and_is_lightest():
    boxes = np.array([[10.0, 5, 30, 20], [10, 5, 30, 20], [2, 2, 50, 30]])
    drawn = pictures.draw_boxes(grey(), boxes, np.array([0.9, 0.1, 0.5])).astype(int)
    best, middle = drawn[15, 9:12].max(axis=0), drawn[15, 1:4].max(axis=0)
    assert best[0] > middle[0]
    assert best[0] > 200  # viridis ends in yellow


def test_no_box_changes_nothing():
    drawn = pictures.draw_boxes(grey(), np.zeros((0, 4)), np.zeros(0))
    np.testing.assert_array_equal(drawn, grey())


def test_click_is_centred_on_its_point_and_open():
    drawn = pictures.draw_click(grey(), np.array([30.0, 20.0]))
    x0, y0, x1, y1 = changed(drawn)
    assert (x0 + x1) / 2 == pytest.approx(30, abs=0.5)
    assert (y0 + y1) / 2 == pytest.approx(20, abs=0.5)
    np.testing.assert_array_equal(drawn[19:21, 29:31], 128)


def test_drawing_leaves_the_image_alone():
    image = grey()
    pictures.draw_click(image, np.array([30.0, 20.0]))
    pictures.draw_truth(image, np.array([5.0, 5, 30, 20]))
    pictures.draw_outline(image, np.ones((40, 60), bool))
    np.testing.assert_array_equal(image, grey())


def test_resize_fits_any_frame_into_a_panel():
    for height, width in ((1080, 1920), (1920, 1080), (30, 20)):
        small = pictures.resize(grey(height, width), pictures.fit_scale(width, height))
        assert small.shape[0] <= pictures.PANEL_HEIGHT
        assert small.shape[1] <= pictures.PANEL_WIDTH


def test_strip_centres_its_panels_in_equal_columns():
    joined = pictures.strip([grey(20, 40), grey(40, 10)], width=40)
    assert joined.shape == (40, 80 + pictures.GAP, 3)
    np.testing.assert_array_equal(joined[10:30, :40], 128)
    np.testing.assert_array_equal(joined[:10, :40], 255)
    np.testing.assert_array_equal(joined[:, 40 + pictures.GAP + 15 : -15], 128)


def test_png_keeps_every_pixel_and_its_colour():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    data = base64.b64decode(pictures.data_uri(pictures.png(image)).split(",")[1])
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), image)


def test_heat_bar_goes_from_dark_to_light():
    bar = pictures.heat_bar(pictures.HEAT).astype(int)
    assert bar[0, 0].sum() < 20 < 500 < bar[0, -1].sum()
