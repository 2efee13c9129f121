"""CC against slow loops over windows, written from the published definitions."""

import numpy as np
import pytest

from socl_pipeline.top.cues.contrast import ColourHistograms, lab_bins


def rounded(value):
    """Half to even, as NumPy and Python round."""
    return round(float(value))


def linear_lab(image):
    """CIE Lab (D65) of RGB values that are taken as linear."""
    matrix = [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
    xyz = (image / 255.0) @ np.array(matrix).T / [0.950456, 1.0, 1.088754]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lightness = np.where(
        xyz[..., 1] > 0.008856, 116 * np.cbrt(xyz[..., 1]) - 16, 903.3 * xyz[..., 1]
    )
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([lightness, 500 * (x - y), 200 * (y - z)], axis=-1)


def slow_bins(image):
    """The bins by the definition in double precision, and which pixels are clear of any edge.

    The share that rounding can move: a and b are differences of two roots near 1, times 500 or
    200, in single precision, so pixels within 1e-3 of an edge of a or b may differ.
    """
    position = (linear_lab(image) - [0, -120, -120]) / [25, 30, 30]
    clear = (np.abs(position - np.rint(position)) > 1e-3).all(axis=-1)
    index = np.clip(np.floor(position), 0, [3, 7, 7]).astype(int)
    return (index[..., 0] * 8 + index[..., 1]) * 8 + index[..., 2], clear


def ring_bounds(corner, theta, height, width):
    """The window that is larger by theta percent of the size, rounded and cut at the frame."""
    x0, y0, x1, y1 = (int(v) for v in corner)
    dx, dy = (x1 - x0) * theta / 200, (y1 - y0) * theta / 200
    return (
        max(rounded(x0 - dx), 0),
        max(rounded(y0 - dy), 0),
        min(rounded(x1 + dx), width),
        min(rounded(y1 + dy), height),
    )


def slow_contrast(bins, corners, theta):
    result = []
    height, width = bins.shape
    for corner in corners:
        x0, y0, x1, y1 = corner
        sx0, sy0, sx1, sy1 = ring_bounds(corner, theta, height, width)
        inside = np.zeros((height, width), bool)
        inside[y0:y1, x0:x1] = True
        ring = np.zeros((height, width), bool)
        ring[sy0:sy1, sx0:sx1] = True
        ring &= ~inside
        distance = 0.0
        if ring.any():
            for value in np.unique(bins):
                h, g = (bins[inside] == value).mean(), (bins[ring] == value).mean()
                if h + g > 0:
                    distance += (h - g) ** 2 / (h + g)
        result.append(distance)
    return np.array(result)


def contrast_of(image, corners, theta=100):
    return ColourHistograms(image, theta).of(np.asarray(corners))


class TestBins:
    def test_all_colours(self):
        """Every sixth level of each channel: 79,507 colours."""
        levels = np.arange(0, 256, 6, dtype=np.uint8)
        colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        expected, clear = slow_bins(colours)
        assert clear.mean() > 0.98
        np.testing.assert_array_equal(lab_bins(colours)[clear], expected[clear])
        assert len(np.unique(expected)) > 40

    def test_greys_are_above_the_edge_of_both_chroma_axes(self):
        greys = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
        assert set(np.unique(lab_bins(greys) % 64)) == {4 * 8 + 4}
        assert set(np.unique(lab_bins(greys) // 64)) == {0, 1, 2, 3}


class TestWindows:
    @pytest.mark.parametrize("theta", [0, 25, 100])
    def test_slow_loops(self, image, corners, theta):
        expected = slow_contrast(lab_bins(image), corners, theta)
        actual = contrast_of(image, corners, theta)
        np.testing.assert_allclose(actual, expected, atol=1e-12)
        assert actual[0] == 0, "the whole frame has no surrounding"
        assert theta == 0 or 0.3 < actual.max() <= 2

    @pytest.mark.parametrize(("height", "width"), [(256, 511), (256, 512)])
    def test_counts_of_large_images_do_not_overflow(self, height, width):
        """Above and below the size from which histograms need more than 16 bits."""
        picture = np.zeros((height, width, 3), np.uint8)
        picture[:, : width // 2] = (230, 30, 20)
        picture[-1, -1] = (20, 230, 30)
        windows = np.array(
            [[0, 0, width // 2, height], [0, 0, width, height - 1], [9, 9, 500, 200]]
        )
        expected = slow_contrast(lab_bins(picture), windows, 100)
        np.testing.assert_allclose(contrast_of(picture, windows), expected, atol=1e-12)
        assert expected[0] > 1.9

    def test_a_window_that_is_the_object_has_the_largest_contrast(self):
        picture = np.full((60, 80, 3), (30, 90, 200), np.uint8)
        picture[20:40, 30:50] = (220, 40, 30)
        windows = [[30, 20, 50, 40], [20, 10, 60, 50], [33, 23, 47, 37], [5, 5, 25, 25]]
        contrast = contrast_of(picture, windows)
        assert contrast[0] == pytest.approx(2)
        assert (contrast[1:] < 2).all() and contrast[3] < 0.1

    @pytest.mark.parametrize("shape", [(1, 1, 3), (1, 30, 3), (30, 1, 3)])
    def test_odd_shapes(self, shape):
        picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        whole = contrast_of(picture, [[0, 0, shape[1], shape[0]], [0, 0, 1, 1]])
        assert whole[0] == 0 and 0 <= whole[1] <= 2
