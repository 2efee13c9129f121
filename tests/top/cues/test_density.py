"""ED against slow loops over windows, written from the published definitions."""

import numpy as np
import pytest

from socl_pipeline.top.cues.canny import canny_edges
from socl_pipeline.top.cues.density import EdgeDensity


def rounded(value):
    """Half to even, as NumPy and Python round."""
    return round(float(value))


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
        np.testing.assert_allclose(EdgeDensity(image, theta).of(corners), expected, atol=1e-12)
        assert expected.max() > 0

    @pytest.mark.parametrize("shape", [(1, 1, 3), (1, 30, 3), (30, 1, 3), (2, 2, 3)])
    def test_odd_shapes(self, shape):
        picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        density = EdgeDensity(picture, 17).of(np.array([[0, 0, shape[1], shape[0]]]))
        assert np.isfinite(density).all() and density.min() >= 0
