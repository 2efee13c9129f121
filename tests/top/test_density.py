"""ED against slow loops over pixels and windows, written from the published definitions."""

import cv2
import numpy as np
import pytest

from socl_pipeline.top.density import CANNY_QUANTILE, EdgeMap, canny_edges


def rounded(value):
    """Half to even, as NumPy and Python round."""
    return round(float(value))


def slow_canny(image):
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


def slow_edge_density(edges, corners, theta):
    result = []
    for x0, y0, x1, y1 in corners:
        width, height = x1 - x0, y1 - y0
        margin = (1 - 100 / (100 + theta)) / 2
        ix0, ix1 = rounded(x0 + margin * width), rounded(x1 - margin * width)
        iy0, iy1 = rounded(y0 + margin * height), rounded(y1 - margin * height)
        ring = np.zeros(edges.shape, bool)
        ring[y0:y1, x0:x1] = True
        ring[iy0:iy1, ix0:ix1] = False
        thickness = ((x1 - ix1) + (y1 - iy1)) / 2
        area = ring.sum()
        result.append(edges[ring].sum() * thickness / area if area else 0.0)
    return np.array(result)


class TestEdgeDensity:
    @pytest.mark.parametrize("theta", [17, 60])
    def test_slow_loops(self, image, corners, theta):
        edges = canny_edges(image)
        expected = slow_edge_density(edges.astype(float), corners, theta)
        np.testing.assert_allclose(EdgeMap(image, theta).of(corners), expected, atol=1e-12)
        assert expected.max() > 0

    def test_edges_are_zero_and_one_and_few(self, image):
        edges = canny_edges(image)
        assert edges.shape == image.shape[:2] and set(np.unique(edges)) == {0, 1}
        assert edges.mean() <= 1 - CANNY_QUANTILE

    def test_a_step_gives_one_line(self):
        picture = np.full((40, 60, 3), 60, np.uint8)
        picture[:, 25:] = 180
        edges = canny_edges(picture)
        assert (edges[5:-5].sum(axis=1) == 1).all()
        assert set(np.nonzero(edges[5:-5])[1]) <= {24, 25}

    def test_a_flat_image_has_no_edges(self):
        assert not canny_edges(np.full((20, 30, 3), 200, np.uint8)).any()

    def test_thresholds_of_matlab(self, image):
        np.testing.assert_array_equal(canny_edges(image), slow_canny(image))

    @pytest.mark.parametrize("shape", [(1, 1, 3), (1, 30, 3), (30, 1, 3), (2, 2, 3)])
    def test_odd_shapes(self, shape):
        picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        density = EdgeMap(picture, 17).of(np.array([[0, 0, shape[1], shape[0]]]))
        assert np.isfinite(density).all() and density.min() >= 0
