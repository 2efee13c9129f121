"""Edges with MATLAB's thresholds, against NumPy's histogram and OpenCV's thinning and linking."""

import cv2
import numpy as np
import pytest

from socl_pipeline.top.cues.canny import CANNY_QUANTILE, canny_edges


def opencv_canny(image):
    """MATLAB's thresholds from NumPy's histogram of the gradients of the smoothed picture."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 2**0.5, borderType=cv2.BORDER_REPLICATE)
    padded = np.pad(smooth, 1, mode="edge")
    dx = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    dy = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    strength = np.hypot(dx, dy)
    histogram, _ = np.histogram(strength, 64, (0, strength.max()))
    high = (np.argmax(np.cumsum(histogram) > 0.7 * grey.size) + 1) / 64 * 16384
    whole = [np.rint(d * (16384 / strength.max())).astype(np.int16) for d in (dx, dy)]
    return cv2.Canny(*whole, 0.4 * high, high, L2gradient=True) > 0


def test_edges_are_zero_and_one_and_few(image):
    edges = canny_edges(image)
    assert edges.shape == image.shape[:2] and set(np.unique(edges)) == {0, 1}
    assert edges.mean() <= 1 - CANNY_QUANTILE


def test_a_step_gives_one_line():
    picture = np.full((40, 60, 3), 60, np.uint8)
    picture[:, 25:] = 180
    edges = canny_edges(picture)
    assert (edges[5:-5].sum(axis=1) == 1).all()
    assert set(np.nonzero(edges[5:-5])[1]) <= {24, 25}


def test_a_flat_image_has_no_edges():
    assert not canny_edges(np.full((20, 30, 3), 200, np.uint8)).any()


@pytest.mark.parametrize("seed", range(6))
def test_edges_are_those_of_opencv(textured, seed):
    """Smooth, noisy and drawn pictures; the drawn one has many equal neighbours."""
    rng = np.random.default_rng(seed)
    picture = textured(seed, 60 + seed, 83, cells=12).astype(int)
    picture += rng.integers(-20, 21, picture.shape) * (seed % 3)
    if seed > 3:
        picture = picture // 64 * 64
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    edges = canny_edges(picture)
    np.testing.assert_array_equal(edges, opencv_canny(picture))
    assert 0.01 < edges.mean() < 0.3


def test_edges_touch_the_border():
    picture = np.zeros((30, 40, 3), np.uint8)
    picture[:, 20:] = picture[15:] = 200
    edges = canny_edges(picture)
    np.testing.assert_array_equal(edges, opencv_canny(picture))
    assert edges[0].any() and edges[:, 0].any()
