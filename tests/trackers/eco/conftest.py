"""Slow references on whole spectra: all kx and ky, real functions by direct sums."""

from types import SimpleNamespace

import numpy as np
import pytest


def whole(half):
    """Return all coefficients (2 K + 1, 2 K + 1, ...) of half spectra (2 K + 1, K + 1, ...)."""
    half = np.asarray(half, dtype=np.complex128)
    highest = half.shape[1] - 1
    full = np.zeros((2 * highest + 1, 2 * highest + 1, *half.shape[2:]), np.complex128)
    for ky in range(-highest, highest + 1):
        for kx in range(-highest, highest + 1):
            c = half[ky + highest, kx] if kx >= 0 else np.conj(half[-ky + highest, -kx])
            full[ky + highest, kx + highest] = c
    return full


def half(full):
    """Return the half spectrum of a whole one."""
    return full[:, full.shape[1] // 2 :]


def random_spectrum(rng, highest, *tail):
    """Return the whole spectrum (2 K + 1, 2 K + 1, *tail) of random real functions."""
    points = 2 * highest + 1
    values = rng.normal(size=(points, points, *tail))
    k, t = np.arange(-highest, highest + 1), np.arange(points) / points
    waves = np.exp(-2j * np.pi * np.outer(k, t)) / points
    return np.einsum("kt,lu,tu...->kl...", waves, waves, values)


def evaluate(full, x, y):
    """Return the real functions at one point, of whole spectra (2 K + 1, 2 K + 1, ...)."""
    k = np.arange(len(full)) - len(full) // 2
    waves = np.exp(2j * np.pi * (k[:, None] * y + k[None, :] * x))
    value = np.tensordot(waves, full, axes=2)
    assert np.abs(value.imag).max() < 1e-5 * (1 + np.abs(full).sum())
    return value.real[()]


def padded(full, highest):
    """Return a whole spectrum with zeros up to a higher frequency."""
    wider = highest - len(full) // 2
    return np.pad(full, [(wider, wider)] * 2 + [(0, 0)] * (full.ndim - 2))


def window(side, object_size, minimum, edge, threshold):
    """Return the sparse Fourier coefficients of the regulariser's window by a dense 2-D sum."""
    t = np.arange(side) - (side - 1) / 2
    (w, h), k = object_size, np.arange(side) - side // 2
    dense = np.zeros((side, side))
    for r in range(side):
        for c in range(side):
            dense[r, c] = (edge - minimum) * ((t[r] / (h / 2)) ** 2 + (t[c] / (w / 2)) ** 2)
    waves = np.exp(-2j * np.pi * np.outer(k, t) / side) / side
    series = waves @ (dense + minimum) @ waves.T
    series[np.abs(series) < threshold * np.abs(series).max()] = 0
    grid = np.exp(2j * np.pi * np.outer(np.arange(side) / side, k))
    series[side // 2, side // 2] += minimum - (grid @ series @ grid.T).real.min()
    return series


def convolve(full, kernel):
    """Return the whole spectrum of a product of functions, from those of the two, uncut."""
    reach = len(kernel) // 2
    result = padded(full, len(full) // 2 + reach) * 0
    for dy in range(len(kernel)):
        for dx in range(len(kernel)):
            if kernel[dy, dx]:
                result[dy : dy + len(full), dx : dx + len(full)] += kernel[dy, dx] * full
    return result


@pytest.fixture(scope="session")
def slow():
    """The functions of this file."""
    names = (whole, half, random_spectrum, evaluate, padded, window, convolve)
    return SimpleNamespace(**{f.__name__: f for f in names})
