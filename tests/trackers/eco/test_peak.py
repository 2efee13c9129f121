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


def grid_maximum(slow, full):
    points = np.arange(len(full)) / len(full)
    values = [(slow.evaluate(full, x, y), x, y) for y in points for x in points]
    value, x, y = max(values)
    return value, (x + 0.5) % 1 - 0.5, (y + 0.5) % 1 - 0.5


def test_newton_that_leads_down_keeps_the_point_of_the_grid(slow) -> None:
    fulls = [slow.random_spectrum(np.random.default_rng(s), 2) for s in range(60)]
    value, position = highest_point(half_batch(slow, fulls), 5)
    kept = 0
    for full, v, p in zip(fulls, value.tolist(), position.tolist(), strict=True):
        best, x, y = grid_maximum(slow, full)
        assert v == pytest.approx(float(slow.evaluate(full, *p)), abs=1e-5)
        assert v >= best - 1e-6
        if p == pytest.approx([x, y], abs=1e-7):
            kept += 1
        else:
            assert v > best
    assert 0 < kept < 30


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
