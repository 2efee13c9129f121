"""The three cues together; each has its own tests against slow loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.top.cues.contrast import ColourHistograms
from socl_pipeline.top.cues.density import EdgeDensity
from socl_pipeline.top.cues.image import CueSettings, ImageCues, pixel_corners, window_cues
from socl_pipeline.top.cues.saliency import SaliencyMaps

HEIGHT, WIDTH = 72, 96


def test_pixel_corners_round_and_stay_inside():
    windows = np.array(
        [[1.4, 2.6, 3.2, 4.2], [-5, -5, 9, 9], [90, 70, 50, 50], [95.9, 3, 0, 0], [-90, 200, 5, 5]]
    )
    expected = [[1, 3, 5, 7], [0, 0, 4, 4], [90, 70, 96, 72], [95, 3, 96, 4], [0, 71, 1, 72]]
    np.testing.assert_array_equal(pixel_corners(windows, WIDTH, HEIGHT), expected)


@given(st.lists(st.tuples(*[st.floats(-50, 150)] * 2, *[st.floats(0, 90)] * 2), min_size=1))
def test_no_window_is_empty(windows):
    x0, y0, x1, y1 = pixel_corners(np.array(windows), WIDTH, HEIGHT).T
    assert (x0 >= 0).all() and (y0 >= 0).all()
    assert (x1 > x0).all() and (y1 > y0).all()
    assert (x1 <= WIDTH).all() and (y1 <= HEIGHT).all()


def test_all_cues_in_order(image, corners):
    windows = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1) + 0.2
    cues, settings = window_cues(image, windows), CueSettings()
    maps = SaliencyMaps(image, settings.ms_scales, settings.ms_thresholds)
    np.testing.assert_array_equal(cues[:, 0], maps.of(corners))
    np.testing.assert_array_equal(cues[:, 1], ColourHistograms(image, 100).of(corners))
    np.testing.assert_array_equal(cues[:, 2], EdgeDensity(image, 17).of(corners))


def test_constants_of_the_release():
    settings = CueSettings()
    assert (settings.cc_theta, settings.ed_theta) == (100, 17)


def test_an_image_can_be_asked_again(image):
    windows = np.array([[5.0, 5, 30, 20], [40, 10, 50, 60], [0, 0, 96, 72]])
    cues = ImageCues(image)
    first = cues.of(windows)
    np.testing.assert_array_equal(cues.of(windows[1:]), first[1:])
    np.testing.assert_array_equal(cues.of(windows), window_cues(image, windows))
    assert cues.of(windows[:0]).shape == (0, 3)


def test_flat_images_have_no_cues():
    flat = np.full((30, 40, 3), 128, np.uint8)
    assert not window_cues(flat, np.array([[5.0, 5, 10, 10], [0, 0, 40, 30]])).any()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 50, 3)])
def test_small_images_have_finite_cues(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    windows = np.array([[0.0, 0, 1, 1], [0, 0, 0, 0], [-9, -9, 3, 3], [0, 0, 50, 1]])
    assert np.isfinite(window_cues(picture, windows)).all()
