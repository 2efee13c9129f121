"""The cues against slow loops over windows, written from the published definitions."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.top.cues import (
    CANNY_QUANTILE,
    CueSettings,
    canny_edges,
    colour_contrast,
    edge_density,
    integral,
    lab_bins,
    multiscale_saliency,
    pixel_corners,
    spectral_residual,
    surrounding,
    window_cues,
    window_sums,
)

HEIGHT, WIDTH = 72, 96


@pytest.fixture(scope="module")
def image():
    """Smooth colours with a sharp textured rectangle and some noise."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(int)
    picture[20:50, 30:70] += rng.integers(-90, 90, (30, 40, 3))
    return np.clip(picture + rng.integers(-8, 9, picture.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def corners():
    """Windows of all sizes: one pixel, border to border, and random ones."""
    rng = np.random.default_rng(4)
    low = rng.integers(0, [WIDTH - 4, HEIGHT - 4], (40, 2))
    high = low + 1 + rng.integers(0, [60, 50], (40, 2))
    fixed = [[0, 0, WIDTH, HEIGHT], [5, 7, 6, 8], [0, 0, 3, HEIGHT], [30, 20, 70, 50]]
    return np.concatenate([fixed, np.concatenate([low, np.minimum(high, [WIDTH, HEIGHT])], 1)])


def rounded(value):
    """Half to even, as NumPy and Python round."""
    return round(float(value))


def slow_spectral_residual(channel):
    """exp(log amplitude minus its 3x3 mean) with the old phase, squared, 7x7 pillbox, to [0, 1]."""
    side = len(channel)
    spectrum = np.fft.fft2(channel.astype(float))
    amplitude = np.log(np.abs(spectrum) + 1e-12)
    residual = np.empty_like(amplitude)
    for i in range(side):
        for j in range(side):
            rows = np.clip([i - 1, i, i + 1], 0, side - 1)
            columns = np.clip([j - 1, j, j + 1], 0, side - 1)
            residual[i, j] = amplitude[i, j] - amplitude[np.ix_(rows, columns)].mean()
    squared = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    disk = [(i, j) for i in range(-3, 4) for j in range(-3, 4) if i * i + j * j <= 3.5**2]
    smooth = np.zeros_like(squared)
    for i in range(side):
        for j in range(side):
            for di, dj in disk:
                if 0 <= i + di < side and 0 <= j + dj < side:
                    smooth[i, j] += squared[i + di, j + dj] / len(disk)
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def slow_saliency(image, corners, scales, thresholds):
    result = []
    maps = {}
    for side in scales:
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        maps[side] = [slow_spectral_residual(small[..., c]) for c in range(3)]
    for x0, y0, x1, y1 in corners:
        per_scale = []
        for side, threshold in zip(scales, thresholds, strict=True):
            left = min(rounded(x0 * side / WIDTH), side - 1)
            top = min(rounded(y0 * side / HEIGHT), side - 1)
            right = max(rounded(x1 * side / WIDTH), left + 1)
            bottom = max(rounded(y1 * side / HEIGHT), top + 1)
            total = 0.0
            for saliency in maps[side]:
                window = saliency[top:bottom, left:right]
                above = window[window >= threshold]
                total += above.sum() * len(above) / window.size
            per_scale.append(total)
        result.append(max(per_scale))
    return np.array(result)


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


def ring_bounds(corner, theta):
    """The window that is larger by theta percent of the size, rounded and cut at the frame."""
    x0, y0, x1, y1 = (int(v) for v in corner)
    dx, dy = (x1 - x0) * theta / 200, (y1 - y0) * theta / 200
    return (
        max(rounded(x0 - dx), 0),
        max(rounded(y0 - dy), 0),
        min(rounded(x1 + dx), WIDTH),
        min(rounded(y1 + dy), HEIGHT),
    )


def slow_contrast(bins, corners, theta):
    result = []
    for corner in corners:
        x0, y0, x1, y1 = corner
        sx0, sy0, sx1, sy1 = ring_bounds(corner, theta)
        inside = np.zeros((HEIGHT, WIDTH), bool)
        inside[y0:y1, x0:x1] = True
        ring = np.zeros((HEIGHT, WIDTH), bool)
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


class TestWindows:
    def test_pixel_corners_round_and_stay_inside(self):
        windows = np.array(
            [[1.4, 2.6, 3.2, 4.2], [-5, -5, 9, 9], [90, 70, 50, 50], [95.9, 3, 0, 0]]
        )
        expected = [[1, 3, 5, 7], [0, 0, 4, 4], [90, 70, 96, 72], [95, 3, 96, 4]]
        np.testing.assert_array_equal(pixel_corners(windows, WIDTH, HEIGHT), expected)

    @given(st.lists(st.tuples(*[st.floats(-50, 150)] * 2, *[st.floats(0, 90)] * 2), min_size=1))
    def test_no_window_is_empty(self, windows):
        x0, y0, x1, y1 = pixel_corners(np.array(windows), WIDTH, HEIGHT).T
        assert (x0 >= 0).all() and (y0 >= 0).all()
        assert (x1 > x0).all() and (y1 > y0).all()
        assert (x1 <= WIDTH).all() and (y1 <= HEIGHT).all()

    def test_sums(self, corners):
        values = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH))
        slow = [values[y0:y1, x0:x1].sum() for x0, y0, x1, y1 in corners]
        np.testing.assert_allclose(window_sums(integral(values), corners), slow, atol=1e-9)

    @pytest.mark.parametrize("theta", [0, 17, 50, 100])
    def test_surrounding(self, corners, theta):
        expected = [ring_bounds(c, theta) for c in corners]
        np.testing.assert_array_equal(surrounding(corners, theta, WIDTH, HEIGHT), expected)


class TestSaliency:
    @pytest.mark.parametrize("side", [16, 24])
    def test_spectral_residual(self, side):
        channel = np.random.default_rng(side).integers(0, 256, (side, side))
        saliency = spectral_residual(channel.astype(float))
        np.testing.assert_allclose(saliency, slow_spectral_residual(channel), atol=1e-9)
        assert saliency.min() == 0 and saliency.max() == 1

    def test_a_lone_spot_is_salient(self):
        channel = np.full((32, 32), 90.0) + np.random.default_rng(0).normal(0, 1, (32, 32))
        channel[20:23, 9:12] += 120
        row, column = np.unravel_index(spectral_residual(channel).argmax(), (32, 32))
        assert abs(row - 21) <= 2 and abs(column - 10) <= 2

    def test_windows(self, image, corners):
        settings = CueSettings(ms_scales=(16, 24), ms_thresholds=(0.43, 0.32))
        expected = slow_saliency(image, corners, (16, 24), (0.43, 0.32))
        np.testing.assert_allclose(multiscale_saliency(image, corners, settings), expected)
        assert expected.max() > 1

    def test_constants_of_the_release(self):
        settings = CueSettings()
        assert settings.ms_scales == (16, 24, 32, 48, 64)
        assert settings.ms_thresholds == (0.43, 0.32, 0.34, 0.35, 0.26)
        assert (settings.cc_theta, settings.ed_theta) == (100, 17)


class TestContrast:
    def test_bins(self, image):
        bins, count = lab_bins(image)
        lab = linear_lab(image)
        position = (lab - [0, -120, -120]) / [25, 30, 30]
        clear = (np.abs(position - np.rint(position)) > 0.02).all(axis=-1)
        index = np.clip(np.floor(position), 0, [3, 7, 7]).astype(int)
        flat = (index[..., 0] * 8 + index[..., 1]) * 8 + index[..., 2]
        assert clear.mean() > 0.8
        assert set(np.unique(bins)) == set(range(count))
        pairs = set(zip(bins[clear].tolist(), flat[clear].tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})

    @pytest.mark.parametrize("theta", [25, 100])
    def test_windows(self, image, corners, theta):
        expected = slow_contrast(lab_bins(image)[0], corners, theta)
        actual = colour_contrast(image, corners, theta)
        np.testing.assert_allclose(actual, expected, atol=1e-12)
        assert actual[0] == 0, "the whole frame has no surrounding"
        assert actual.min() >= 0 and 0.3 < actual.max() <= 2

    def test_a_window_that_is_the_object_has_the_largest_contrast(self):
        picture = np.full((60, 80, 3), (30, 90, 200), np.uint8)
        picture[20:40, 30:50] = (220, 40, 30)
        windows = np.array([[30, 20, 50, 40], [20, 10, 60, 50], [33, 23, 47, 37], [5, 5, 25, 25]])
        contrast = colour_contrast(picture, windows, 100)
        assert contrast[0] == pytest.approx(2)
        assert (contrast[1:] < 2).all() and contrast[3] < 0.1


class TestEdgeDensity:
    @pytest.mark.parametrize("theta", [17, 60])
    def test_windows(self, image, corners, theta):
        edges = canny_edges(image)
        expected = slow_edge_density(edges.astype(float), corners, theta)
        np.testing.assert_allclose(edge_density(image, corners, theta), expected, atol=1e-12)
        assert expected.max() > 0

    def test_edges_are_zero_and_one_and_few(self, image):
        edges = canny_edges(image)
        assert edges.shape == (HEIGHT, WIDTH) and set(np.unique(edges)) == {0, 1}
        assert edges.mean() <= 1 - CANNY_QUANTILE

    def test_a_step_gives_one_line(self):
        picture = np.full((40, 60, 3), 60, np.uint8)
        picture[:, 25:] = 180
        edges = canny_edges(picture)
        assert (edges[5:-5].sum(axis=1) == 1).all()
        assert set(np.nonzero(edges[5:-5])[1]) <= {24, 25}

    def test_a_flat_image_has_no_edges(self):
        assert not canny_edges(np.full((20, 30, 3), 200, np.uint8)).any()


def test_all_cues_in_order(image, corners):
    windows = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1) + 0.2
    cues = window_cues(image, windows)
    settings = CueSettings()
    np.testing.assert_array_equal(cues[:, 0], multiscale_saliency(image, corners, settings))
    np.testing.assert_array_equal(cues[:, 1], colour_contrast(image, corners, 100))
    np.testing.assert_array_equal(cues[:, 2], edge_density(image, corners, 17))


def test_flat_images_have_finite_cues():
    flat = np.full((30, 40, 3), 128, np.uint8)
    cues = window_cues(flat, np.array([[5.0, 5, 10, 10], [0, 0, 40, 30]]))
    assert np.isfinite(cues).all() and not cues[:, 1:].any()
