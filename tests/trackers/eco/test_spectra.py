import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.trackers.eco import spectra

A = -0.75


def cubic(t):
    """Keys' kernel by its definition."""
    t = np.abs(t)
    near = (A + 2) * t**3 - (A + 3) * t**2 + 1
    far = A * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def gauss_legendre(breaks, nodes=20):
    """Return points and weights that integrate polynomials between neighbouring breaks."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    middle, half = (breaks[1:] + breaks[:-1]) / 2, np.diff(breaks) / 2
    return (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()


def test_cubic_kernel_is_the_fourier_integral() -> None:
    f = np.array([0, 1e-4, 9e-4, 1.1e-3, 0.01, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.3, -0.3])
    t, weights = gauss_legendre(np.arange(-2.0, 3.0))
    expected = (weights * cubic(t)) @ np.cos(2 * np.pi * np.outer(t, f))
    found = spectra.cubic_kernel(torch.from_numpy(f))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found[4:], expected[4:], atol=1e-8)


def positions(cells, offset):
    return (np.arange(cells) + 0.5 + offset) / cells - 0.5


@pytest.mark.parametrize("offset", [0.0, 0.375, -0.47])
@pytest.mark.parametrize("cells", [1, 2, 6, 7])
def test_series_is_that_of_the_cubic_interpolation(cells, offset, slow) -> None:
    """Coefficients by integrals over the period of the function that interpolates in space."""
    maps = np.random.default_rng(cells).normal(size=(3, cells, cells))
    at = positions(cells, offset)
    t, weights = gauss_legendre(at[0] + np.arange(cells + 1) / cells)
    shifts = np.arange(-4, 5)[:, None, None]
    basis = cubic(cells * (t[:, None] - at - shifts)).sum(axis=0)  # every cell's kernel, periodic
    highest = cells // 2
    k = np.arange(-highest, highest + 1)
    axis = (np.exp(-2j * np.pi * np.outer(k, t)) * weights) @ basis
    expected = axis @ maps @ axis.T
    half = spectra.half_spectrum(torch.from_numpy(maps).float())
    found = half * spectra.interpolation(cells, offset)
    assert found.dtype == torch.complex64
    assert found.shape == (3, 2 * highest + 1, highest + 1)
    np.testing.assert_allclose(found, expected[:, :, highest:], atol=2e-6)


@pytest.mark.parametrize(("cells", "offset"), [(16, 0.0), (17, 0.3), (16, -0.4)])
def test_series_of_a_smooth_map_goes_through_its_cells(cells, offset, slow) -> None:
    """Of a rough one it cannot: what the kernel has above the cells' Nyquist is not kept."""
    smooth = slow.random_spectrum(np.random.default_rng(0), 2)
    at = positions(cells, offset)
    maps = np.array([[slow.evaluate(smooth, x, y) for x in at] for y in at])
    half = spectra.half_spectrum(torch.from_numpy(maps).float())
    full = slow.whole(half * spectra.interpolation(cells, offset))
    found = [[slow.evaluate(full, x, y) for x in at] for y in at]
    np.testing.assert_allclose(found, maps, atol=0.03 * np.abs(maps).max())


def test_label_is_a_periodic_gaussian_of_height_one(slow) -> None:
    sigma, highest = 0.06, 20
    full = slow.whole(spectra.gaussian_label(highest, sigma))
    for x, y in [(0, 0), *np.random.default_rng(0).uniform(-0.5, 0.5, (10, 2)).tolist()]:
        squares = [(x - i) ** 2 + (y - j) ** 2 for i in (-1, 0, 1) for j in (-1, 0, 1)]
        expected = sum(np.exp(-s / (2 * sigma**2)) for s in squares)
        assert slow.evaluate(full, x, y) == pytest.approx(expected, abs=1e-5)


shares = st.floats(-1, 1)


@given(shares, shares, st.integers(0, 4), st.integers(0, 9))
def test_moved(slow, x, y, highest, seed) -> None:
    full = slow.random_spectrum(np.random.default_rng(seed), highest)
    rows, columns = spectra.moved(highest, (x, y))
    found = slow.whole(slow.half(full) * torch.outer(rows, columns).numpy())
    for px, py in ((0, 0), (0.2, -0.3)):
        expected = slow.evaluate(full, px - x, py - y)
        assert slow.evaluate(found, px, py) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("highest", "points"), [(0, 1), (0, 2), (1, 3), (4, 9), (4, 10), (2, 13)])
def test_sampled_is_the_direct_sum(highest, points, slow) -> None:
    rng = np.random.default_rng(highest)
    fulls = [slow.random_spectrum(rng, highest) for _ in range(2)]
    half = torch.from_numpy(np.stack([slow.half(f) for f in fulls])).to(torch.complex64)
    at = np.arange(points) / points
    expected = [[[slow.evaluate(f, x, y) for x in at] for y in at] for f in fulls]
    np.testing.assert_allclose(spectra.sampled(half, points), expected, atol=1e-5)


def test_frequencies_and_weights() -> None:
    rows, columns = spectra.frequencies(2)
    assert rows.tolist() == [-2, -1, 0, 1, 2]
    assert columns.tolist() == [0, 1, 2]
    assert spectra.half_weights(2).tolist() == [1, 2, 2]
