"""The spatial regulariser: what keeps the filter on the object.

It multiplies the filter by w(x, y), small on the object and growing with the square of the
distance. In the Fourier domain w has few coefficients, and as w is a sum of a function of x and
one of y they all lie on the two axes (Danelljan et al. 2015, SRDCF; ECO).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from socl_pipeline.trackers.eco.blocks import Block, Layout


def window_coefficients(
    side: int,
    object_size: tuple[float, float],
    minimum: float,
    edge: float,
    threshold: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Fourier coefficients of w along x and along y, k = -K .. K, real, odd lengths.

    w = (edge - minimum) (|x / (w/2)|^2 + |y / (h/2)|^2) + minimum on `side` x `side` points around
    the origin; coefficients below `threshold` times the largest are dropped, and the constant is
    then set so that the least value of w is `minimum`. The constant is part of those along x.

    Args:
        side: of the patch in pixels.
        object_size: w, h of the object in pixels of the patch.
        minimum, edge: of w.
        threshold: share of the largest coefficient.
    """
    points = np.arange(side) - (side - 1) / 2
    quadratic = [(edge - minimum) * (points / (size / 2)) ** 2 for size in object_size]
    series = [np.fft.fft(np.roll(q, -((side - 1) // 2))) / side for q in quadratic]
    centred = [_about_origin(s, side) for s in series]
    constant = sum(s[0] for s in centred) + minimum
    largest = max(abs(constant), *(np.abs(s[1:]).max() for s in centred))
    kept = [_sparse(s[1:], threshold * largest) for s in centred]
    lows = [_values(k, side).min() for k in kept]
    symmetric = [np.concatenate([k[::-1], [0.0], k]) for k in kept]
    symmetric[0][len(kept[0])] = minimum - sum(lows)
    return symmetric[0], symmetric[1]


def _about_origin(series: NDArray[np.complex128], side: int) -> NDArray[np.float64]:
    """Return the real coefficients k = 0 .. side // 2 of a function even about the origin.

    On an even side the points lie half a point beside the origin.
    """
    k = np.arange(side // 2 + 1)
    half_point = 0.0 if side % 2 else 0.5
    return np.real(series[: len(k)] * np.exp(2j * np.pi * k * half_point / side))


def _sparse(coefficients: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Return the coefficients k = 1, 2, ... up to the last that reaches `least`, others zero."""
    kept = np.where(np.abs(coefficients) >= least, coefficients, 0.0)
    count = int(np.flatnonzero(kept).max(initial=-1)) + 1
    return kept[:count]


def _values(coefficients: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return the even function with coefficients k = 1, 2, ... at points around the origin."""
    k = np.arange(1, len(coefficients) + 1)
    angle = 2 * np.pi * np.outer(np.arange(side) / side, k)
    return 2 * np.cos(angle) @ coefficients


class Regulariser:
    """Applies W^T W to the blocks of a filter, W being the multiplication by w."""

    def __init__(self, layout: Layout, along_x: NDArray, along_y: NDArray) -> None:
        """along_x, along_y: from `window_coefficients`."""
        self._layout = layout
        # of w^2 along x: how many mirrored columns a coefficient at kx = 0 takes part of
        self._reach = len(along_x) - 1
        self._operators = [
            tuple(o.to(layout.device) for o in _operators(b, along_x, along_y))
            for b in layout.blocks
        ]
        # |W|^2: the sum of squares of all coefficients
        self.energy = float((along_x**2).sum() + (along_y**2).sum())

    def apply(self, vector: Tensor) -> Tensor:
        """Return W^T W f of a filter (size,): (Y + X)^2 f with Y along y and X along x."""
        results = []
        views = self._layout.views(vector)
        for f, (y_twice, x_twice, y_once, x_once) in zip(views, self._operators, strict=True):
            rows, columns, channels = f.shape
            wide = torch.view_as_real(mirrored(f, self._reach))  # (rows, reach + columns, C, 2)
            along_y = y_twice @ torch.view_as_real(f).reshape(rows, -1)
            wide = wide.reshape(rows, -1, 2 * channels)
            both = (y_once @ wide.reshape(rows, -1)).view(rows, -1, 2 * channels)
            total = along_y.view(rows, columns, -1) + x_twice @ wide + 2 * (x_once @ both)
            results.append(torch.view_as_complex(total.view(rows, columns, channels, 2)))
        return self._layout.join(results)


def mirrored(half: Tensor, reach: int) -> Tensor:
    """Return a half spectrum (rows, columns, C) with the columns kx = -reach .. -1 in front.

    Columns beyond the highest frequency are zero.
    """
    columns = half.shape[1]
    negative = half[:, 1 : reach + 1].flip(0, 1).conj().resolve_conj()
    if reach >= columns:
        negative = torch.cat(
            [half.new_zeros(len(half), reach - columns + 1, *half.shape[2:]), negative], dim=1
        )
    return torch.cat([negative, half], dim=1)


def _operators(
    block: Block, along_x: NDArray[np.float64], along_y: NDArray[np.float64]
) -> tuple[Tensor, ...]:
    """Return the matrices of Y^2, X^2, Y and X; those along x take `reach` mirrored columns."""
    reach = len(along_x) - 1
    x_taps = {1: along_x, 2: np.convolve(along_x, along_x)}
    y_taps = {1: along_y, 2: np.convolve(along_y, along_y)}
    rows = np.arange(block.rows)
    columns = np.arange(block.columns)
    wide = np.arange(-reach, block.columns)
    return (
        _taps(y_taps[2], rows, rows),
        _taps(x_taps[2], columns, wide),
        _taps(y_taps[1], rows, rows),
        _taps(x_taps[1], columns, wide),
    )


def _taps(kernel: NDArray[np.float64], to: NDArray, of: NDArray) -> Tensor:
    """Return the matrix of a convolution with a symmetric kernel, from `of` to `to` frequencies."""
    middle = len(kernel) // 2
    distance = to[:, None] - of[None, :] + middle
    inside = (distance >= 0) & (distance < len(kernel))
    matrix = np.where(inside, kernel[np.clip(distance, 0, len(kernel) - 1)], 0.0)
    return torch.from_numpy(matrix.astype(np.float32))
