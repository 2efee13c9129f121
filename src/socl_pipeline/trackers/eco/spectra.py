"""Fourier series of feature maps: how cells become a continuous, periodic function.

The square patch of a sample has period 1 and its origin in the middle, where the object is. A
real function is kept as the half of its Fourier coefficients with kx >= 0: rows ky = -K .. K,
columns kx = 0 .. K; the others are conjugates. Danelljan et al. 2016 (C-COT) and 2017 (ECO).
"""

import math

import torch
from torch import Tensor

CUBIC = -0.75  # of the interpolation kernel (ECO)


def highest_frequency(cells: int) -> int:
    """Return K for a map of `cells` x `cells`: an even size keeps both signs of its Nyquist."""
    return cells // 2


def frequencies(highest: int) -> tuple[Tensor, Tensor]:
    """Return the rows ky (2 K + 1,) and columns kx (K + 1,) of a half spectrum, float64."""
    rows = torch.arange(-highest, highest + 1, dtype=torch.float64)
    return rows, rows[highest:]


def half_spectrum(maps: Tensor) -> Tensor:
    """Return the discrete Fourier coefficients (..., 2 K + 1, K + 1) of real maps (..., n, n)."""
    cells = maps.shape[-1]
    highest = highest_frequency(cells)
    rows = torch.arange(-highest, highest + 1, device=maps.device) % cells
    return torch.fft.rfft2(maps).index_select(-2, rows)


def cubic_kernel(frequency: Tensor) -> Tensor:
    """Return the Fourier transform of the cubic interpolation kernel, frequency in 1 / cells.

    [6 (1 - cos 2 pi f) + 3 a (1 - cos 4 pi f) - (6 + 8 a) pi f sin 2 pi f - 2 a pi f sin 4 pi f]
    / (4 pi^4 f^4), and 1 at f = 0.
    """
    f = frequency.to(torch.float64)
    near_zero = f.abs() < 1e-3  # all but a few digits cancel; the kernel is 1 + 1.3 f^2 there
    angle = torch.pi * torch.where(near_zero, 1.0, f)
    value = (
        6 * (1 - torch.cos(2 * angle))
        + 3 * CUBIC * (1 - torch.cos(4 * angle))
        - (6 + 8 * CUBIC) * angle * torch.sin(2 * angle)
        - 2 * CUBIC * angle * torch.sin(4 * angle)
    )
    return torch.where(near_zero, 1.0, value / (4 * angle**4))


def interpolation(cells: int, offset: float = 0.0) -> Tensor:
    """Return what turns a map's half spectrum into the series of its cubic interpolation.

    cells: n of the map (n, n); its cell i lies at (i + 0.5 + offset) / n - 0.5 of the period.
    Returns complex64 (2 K + 1, K + 1).
    """
    rows, columns = (
        _interpolation_axis(k, cells, offset) for k in frequencies(highest_frequency(cells))
    )
    return torch.outer(rows, columns).to(torch.complex64)


def _interpolation_axis(k: Tensor, cells: int, offset: float) -> Tensor:
    start = (0.5 + offset) / cells - 0.5
    return cubic_kernel(k / cells) / cells * torch.exp(-2j * torch.pi * k * start)


def gaussian_label(highest: int, sigma: float) -> Tensor:
    """Return the series of a Gaussian of height 1 at the origin, complex64 (2 K + 1, K + 1).

    sigma: standard deviation as a share of the period; sqrt(2 pi) s exp(-2 (pi s k)^2) an axis.
    """
    rows, columns = (
        math.sqrt(2 * math.pi) * sigma * torch.exp(-2 * (torch.pi * sigma * k) ** 2)
        for k in frequencies(highest)
    )
    return torch.outer(rows, columns).to(torch.complex64)


def half_weights(highest: int) -> Tensor:
    """Return how often each column counts in the whole spectrum, float32 (K + 1,): 1, 2, 2, ..."""
    weights = torch.full((highest + 1,), 2.0)
    weights[0] = 1.0
    return weights


def moved(highest: int, shift: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Return the factors of rows and columns that move a function by x, y (shares of the period).

    complex64 (2 K + 1,) and (K + 1,).
    """
    rows, columns = frequencies(highest)
    phase = -2j * torch.pi
    return (
        torch.exp(phase * rows * shift[1]).to(torch.complex64),
        torch.exp(phase * columns * shift[0]).to(torch.complex64),
    )


def sampled(spectra: Tensor, points: int) -> Tensor:
    """Return functions (..., G, G) at G = `points` >= 2 K + 1 points an axis.

    Point i of an axis lies at i / G of the period, those of the upper half at i / G - 1.

    Args:
        spectra: half spectra (..., 2 K + 1, K + 1).
        points: G.
    """
    highest = spectra.shape[-1] - 1
    rows = torch.arange(-highest, highest + 1, device=spectra.device) % points
    wide = spectra.new_zeros(*spectra.shape[:-2], points, highest + 1)
    wide.index_copy_(-2, rows, spectra)
    return torch.fft.irfft2(wide, s=(points, points), norm="forward")
