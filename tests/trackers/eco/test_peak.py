import numpy as np
import pytest
import torch

from socl_pipeline.trackers.eco.peak import highest_point
from socl_pipeline.trackers.eco.spectra import gaussian_label, moved


def half_batch(slow, fulls):
    return torch.from_numpy(np.stack([slow.half(f) for f in fulls])).to(torch.complex64)


@pytest.mark.parametrize("highest", [6, 17])
def test_a_maximum_off_the_grid_is_found(highest) -> None:
    """Gaussians cut to a band keep their maximum; all of a batch, some across the border."""
    shifts = [(0.0, 0.0), (0.137, -0.261), (-0.4999, 0.31), (0.26, 0.4871), (-0.013, 0.006)]
    label = gaussian_label(highest, 0.12)
    spectra = torch.stack([label * torch.outer(*moved(highest, s)) for s in shifts])
    value, position = highest_point(spectra, 6)
    assert position.shape == (5, 2)
    away = (position.numpy() - shifts + 0.5) % 1 - 0.5
    assert np.abs(away).max() < 1e-6
    np.testing.assert_allclose(value, float(value[0]), rtol=1e-5)
    assert ((position >= -0.5) & (position < 0.5)).all()


def test_x_and_y_are_not_confused(slow) -> None:
    """An elongated, tilted peak, where Newton's step needs the mixed derivative."""
    k = np.arange(-8, 9)
    ky, kx = np.meshgrid(k, k, indexing="ij")
    x, y = 0.113, -0.237
    full = np.exp(-0.05 * (kx**2 + kx * ky + 2 * ky**2) - 2j * np.pi * (kx * x + ky * y))
    value, position = highest_point(half_batch(slow, [full]), 6)
    assert position[0].tolist() == pytest.approx([x, y], abs=1e-6)
    assert float(value[0]) == pytest.approx(float(slow.evaluate(full, x, y)), rel=1e-5)


@pytest.mark.parametrize("highest", [3, 8])
def test_the_narrowest_peak_of_the_band_is_found_anywhere(highest) -> None:
    shifts = np.random.default_rng(0).uniform(-0.5, 0.5, (60, 2))
    shifts[0] = 0.5 / (2 * highest + 1)  # farthest from the points that determine the series
    spectra = torch.stack([torch.outer(*moved(highest, s)) for s in shifts.tolist()])
    value, position = highest_point(spectra, 6)
    away = (position.numpy() - shifts + 0.5) % 1 - 0.5
    assert np.abs(away).max() < 1e-6
    np.testing.assert_allclose(value, (2 * highest + 1) ** 2, rtol=1e-5)


def grid_maximum(slow, full):
    """Return the value and position of the best of twice as many points as frequencies."""
    points = np.arange(2 * len(full)) / (2 * len(full))
    values = [(slow.evaluate(full, x, y), x, y) for y in points for x in points]
    value, x, y = max(values)
    return value, (x + 0.5) % 1 - 0.5, (y + 0.5) % 1 - 0.5


def wave(kx, ky, phase):
    """Return the whole spectrum of a plane wave: a ridge, where Newton's steps mean nothing."""
    full = np.zeros((5, 5), np.complex128)
    full[2 + ky, 2 + kx] = np.exp(1j * phase)
    return full + np.conj(full[::-1, ::-1])


def plain_newton(full, x, y, steps):
    """Return where Newton's steps lead from a point, whatever the function does there."""
    k = 2j * np.pi * (np.arange(len(full)) - len(full) // 2)
    for _ in range(steps):
        terms = full * np.exp(k[:, None] * y + k[None, :] * x)
        dy, dx = k[:, None], k[None, :]
        gradient = [(terms * d).sum().real for d in (dx, dy)]
        hessian = [[(terms * a * b).sum().real for b in (dx, dy)] for a in (dx, dy)]
        x, y = (x, y) - np.linalg.solve(hessian, gradient)
    return x, y


@pytest.mark.parametrize("place", [0.045, 0.055, 0.345])
def test_newton_that_leads_down_keeps_the_point_of_the_grid(place, slow) -> None:
    """Between two hills that nearly touch, where the function hardly bends."""
    angle = 2 * np.pi * place
    full = wave(1, 0, 0) + wave(0, 1, -angle) - 0.3 * wave(0, 2, -2 * angle)
    best, x, y = grid_maximum(slow, full)
    assert slow.evaluate(full, *plain_newton(full, x, y, 5)) < best - 0.01
    value, position = highest_point(half_batch(slow, [full]), 5)
    assert position[0].tolist() == pytest.approx([x, y], abs=1e-7)
    assert float(value[0]) == pytest.approx(best, abs=1e-5)


def test_the_score_is_that_of_the_place_and_no_less_than_the_grids(slow) -> None:
    fulls = [slow.random_spectrum(np.random.default_rng(s), 2) for s in range(30)]
    value, position = highest_point(half_batch(slow, fulls), 5)
    for full, v, p in zip(fulls, value.tolist(), position.tolist(), strict=True):
        assert v == pytest.approx(float(slow.evaluate(full, *p)), abs=1e-5)
        assert v > grid_maximum(slow, full)[0] - 1e-6


def test_a_ridge_without_an_end_is_no_error(slow) -> None:
    fulls = [wave(1, 0, 0.7), wave(0, 2, 0.7), wave(1, 1, 0.7), wave(2, -1, 0.3)]
    value, position = highest_point(half_batch(slow, fulls), 5)
    for full, v, p in zip(fulls, value.tolist(), position.tolist(), strict=True):
        assert v >= grid_maximum(slow, full)[0] - 1e-6
        assert v == pytest.approx(float(slow.evaluate(full, *p)), abs=1e-5)


def test_without_newton_it_is_the_best_point_of_the_grid(slow) -> None:
    fulls = [slow.random_spectrum(np.random.default_rng(s), 3) for s in range(5)]
    value, position = highest_point(half_batch(slow, fulls), 0)
    for full, v, p in zip(fulls, value.tolist(), position.tolist(), strict=True):
        best, x, y = grid_maximum(slow, full)
        assert (v, *p) == pytest.approx((best, x, y), abs=1e-5)


def test_a_flat_score_is_no_error() -> None:
    value, position = highest_point(torch.zeros(2, 5, 3, dtype=torch.complex64), 5)
    assert value.tolist() == [0, 0]
    assert position.isfinite().all()
