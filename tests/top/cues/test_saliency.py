"""MS against slow loops over pixels and windows, written from the published definitions."""

import itertools

import numpy as np
import pytest

from socl_pipeline.top.cues.image import CueSettings
from socl_pipeline.top.cues.saliency import AMPLITUDE_FLOOR, SaliencyMaps, disk, spectral_residual


def rounded(value):
    """Half to even, as NumPy and Python round."""
    return round(float(value))


def sampled_disk(radius, samples=200):
    """Each pixel's share of a disc, by counting fine samples; accurate to about 1e-4."""
    inside = (np.arange((2 * radius + 1) * samples) + 0.5) / samples - radius - 0.5
    y, x = np.meshgrid(inside, inside, indexing="ij")
    size = 2 * radius + 1
    area = (x**2 + y**2 <= radius**2).reshape(size, samples, size, samples).mean(axis=(1, 3))
    return area / area.sum()


def slow_spectral_residual(channel):
    """exp(log amplitude minus its 3x3 mean) with the old phase, squared, pillbox, to [0, 1]."""
    side = len(channel)
    spectrum = np.fft.fft2(channel.astype(float))
    amplitude = np.log(np.abs(spectrum) + AMPLITUDE_FLOOR)
    residual = np.empty_like(amplitude)
    for i in range(side):
        for j in range(side):
            rows = np.clip([i - 1, i, i + 1], 0, side - 1)
            columns = np.clip([j - 1, j, j + 1], 0, side - 1)
            residual[i, j] = amplitude[i, j] - amplitude[np.ix_(rows, columns)].mean()
    gain = np.exp(residual) / (np.abs(spectrum) + AMPLITUDE_FLOOR)
    squared = np.abs(np.fft.ifft2(spectrum * gain)) ** 2
    kernel = disk(3)
    smooth = np.zeros_like(squared)
    for i in range(side):
        for j in range(side):
            for di, dj in itertools.product(range(-3, 4), repeat=2):
                if 0 <= i + di < side and 0 <= j + dj < side:
                    smooth[i, j] += squared[i + di, j + dj] * kernel[di + 3, dj + 3]
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def slow_resize(image, side):
    """Means of areas: every pixel becomes side x side ones, of which blocks are averaged."""
    height, width = image.shape[:2]
    rows = image.astype(int).repeat(side, axis=0).reshape(side, height, width, 3).sum(axis=1)
    total = rows.repeat(side, axis=1).reshape(side, side, width, 3).sum(axis=2)
    return np.rint(total / (height * width))


def slow_saliency(image, corners, scales, thresholds):
    height, width = image.shape[:2]
    result = []
    maps = {}
    for side in scales:
        small = slow_resize(image, side)
        maps[side] = [slow_spectral_residual(small[..., c]) for c in range(3)]
    for x0, y0, x1, y1 in corners:
        per_scale = []
        for side, threshold in zip(scales, thresholds, strict=True):
            left = min(rounded(x0 * side / width), side - 1)
            top = min(rounded(y0 * side / height), side - 1)
            right = max(rounded(x1 * side / width), left + 1)
            bottom = max(rounded(y1 * side / height), top + 1)
            total = 0.0
            for saliency in maps[side]:
                window = saliency[top:bottom, left:right]
                above = window[window >= threshold]
                total += above.sum() * len(above) / window.size
            per_scale.append(total)
        result.append(max(per_scale))
    return np.array(result)


def saliency_of(image, corners, scales=(16, 24), thresholds=(0.43, 0.32)):
    return SaliencyMaps(image, scales, thresholds).of(np.asarray(corners))


class TestDisk:
    def test_values_of_fspecial(self):
        """MATLAB prints fspecial('disk', 3) with these digits."""
        rows = [
            [0.0000, 0.0003, 0.0110, 0.0172, 0.0110, 0.0003, 0.0000],
            [0.0003, 0.0245, 0.0354, 0.0354, 0.0354, 0.0245, 0.0003],
            [0.0110, 0.0354, 0.0354, 0.0354, 0.0354, 0.0354, 0.0110],
            [0.0172, 0.0354, 0.0354, 0.0354, 0.0354, 0.0354, 0.0172],
        ]
        np.testing.assert_allclose(disk(3), [*rows, *rows[2::-1]], atol=5e-5)

    @pytest.mark.parametrize("radius", [1, 2, 3, 5])
    def test_weights_are_areas(self, radius):
        weights = disk(radius)
        np.testing.assert_allclose(weights, sampled_disk(radius), atol=1e-3 / radius)
        assert weights.sum() == pytest.approx(1) and weights.min() >= 0
        assert weights[radius, radius] == pytest.approx(1 / (np.pi * radius**2))


class TestSpectralResidual:
    @pytest.mark.parametrize("side", [16, 24])
    def test_slow_loops(self, side):
        channels = np.random.default_rng(side).integers(0, 256, (3, side, side)).astype(float)
        saliency = spectral_residual(channels)
        slow = [slow_spectral_residual(channel) for channel in channels]
        np.testing.assert_allclose(saliency, slow, atol=1e-9)
        assert (saliency.min(axis=(1, 2)) == 0).all() and (saliency.max(axis=(1, 2)) == 1).all()

    def test_a_lone_spot_is_salient(self):
        channel = np.full((32, 32), 90.0) + np.random.default_rng(0).normal(0, 1, (32, 32))
        channel[20:23, 9:12] += 120
        row, column = np.unravel_index(spectral_residual(channel[None])[0].argmax(), (32, 32))
        assert abs(row - 21) <= 2 and abs(column - 10) <= 2

    def test_a_flat_map_has_no_saliency(self):
        channels = np.stack([np.full((16, 16), 77.0), np.eye(16)])
        saliency = spectral_residual(channels)
        assert not saliency[0].any() and saliency[1].max() == 1

    def test_rounding_errors_of_the_transform_are_not_salient(self):
        """A picture without texture has a spectrum of zeros, which the transform meets roughly."""
        stripes = np.tile(np.repeat([0.0, 255], 8), (16, 1))[None]
        shifted = np.nextafter(stripes, 300)
        np.testing.assert_allclose(
            spectral_residual(stripes), spectral_residual(shifted), atol=1e-6
        )


class TestWindows:
    def test_slow_loops(self, image, corners):
        expected = slow_saliency(image, corners, (16, 24), (0.43, 0.32))
        np.testing.assert_allclose(saliency_of(image, corners), expected, atol=1e-9)
        assert expected.max() > 1

    def test_the_best_scale_counts(self, image, corners):
        both = saliency_of(image, corners)
        first = saliency_of(image, corners, (16,), (0.43,))
        second = saliency_of(image, corners, (24,), (0.32,))
        np.testing.assert_array_equal(both, np.maximum(first, second))

    @pytest.mark.parametrize("shape", [(1, 1, 3), (1, 30, 3), (30, 1, 3), (5, 200, 3)])
    def test_odd_shapes(self, shape):
        picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        scores = saliency_of(picture, [[0, 0, shape[1], shape[0]]])
        assert np.isfinite(scores).all() and scores.min() >= 0

    def test_constants_of_the_release(self):
        settings = CueSettings()
        assert settings.ms_scales == (16, 24, 32, 48, 64)
        assert settings.ms_thresholds == (0.43, 0.32, 0.34, 0.35, 0.26)


def test_a_frame_of_more_white_than_an_int32_can_count_is_flat():
    white = np.full((3200, 3200, 3), 255, np.uint8)
    maps = SaliencyMaps(white, (16,), (0.43,))
    corners = np.array([[0, 0, 3200, 3200], [100, 2900, 900, 3200]])
    assert maps.of(corners).tolist() == [0, 0]
