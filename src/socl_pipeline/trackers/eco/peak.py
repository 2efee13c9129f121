"""The maximum of a continuous score, from its Fourier series."""

import torch
from torch import Tensor

from socl_pipeline.trackers.eco.spectra import frequencies, half_weights, sampled

# Points of the grid over the 2 K + 1 that determine the series. From twice as many, the one next
# to the narrowest peak of the band lies where it is concave; from as many, Newton's steps may
# leave the peak, and half a cell of a network's deep layer is 8 px.
_FINER = 2


def highest_point(spectra: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Return the maximum (N,) and its position x, y (N, 2) of score functions.

    The best point of a grid, then Newton steps on the series; where they do not lead higher, the
    grid's point stays. Positions are shares of the period in [-0.5, 0.5).

    Args:
        spectra: half spectra (N, 2 K + 1, K + 1).
        iterations: Newton steps.
    """
    size = _FINER * spectra.shape[-2]
    grid = sampled(spectra, size)
    best, index = grid.flatten(1).max(dim=1)
    cells = torch.stack([index % size, index // size], dim=1).to(torch.float64)
    start = ((cells / size + 0.5) % 1) - 0.5
    series = _Series(spectra)
    position = start
    for _ in range(iterations):
        position = position - series.newton_step(position)
    refined = series.value(position)
    better = refined > best
    position = torch.where(better[:, None], position, start)
    return torch.where(better, refined, best.to(refined)), ((position + 0.5) % 1) - 0.5


class _Series:
    """Values and derivatives of N real functions given by half spectra."""

    def __init__(self, spectra: Tensor) -> None:
        highest = spectra.shape[-1] - 1
        rows, columns = frequencies(highest)
        self._ky = rows.to(spectra.device)
        self._kx = columns.to(spectra.device)
        weights = half_weights(highest).to(spectra.device)
        self._spectra = spectra.to(torch.complex128) * weights

    def value(self, position: Tensor) -> Tensor:
        """Return the values (N,) at x, y (N, 2)."""
        along_y, along_x = self._waves(position)
        return self._sum(along_y, along_x)

    def newton_step(self, position: Tensor) -> Tensor:
        """Return H^-1 g (N, 2) at x, y (N, 2); zero where the Hessian is singular."""
        along_y, along_x = self._waves(position)
        dy, dx = 2j * torch.pi * self._ky, 2j * torch.pi * self._kx
        x1, y1 = along_x * dx, along_y * dy
        gx, gy = self._sum(along_y, x1), self._sum(y1, along_x)
        hxx, hyy = self._sum(along_y, x1 * dx), self._sum(y1 * dy, along_x)
        hxy = self._sum(y1, x1)
        determinant = hxx * hyy - hxy**2
        safe = torch.where(determinant == 0, torch.inf, determinant)
        return torch.stack([hyy * gx - hxy * gy, hxx * gy - hxy * gx], dim=1) / safe[:, None]

    def _waves(self, position: Tensor) -> tuple[Tensor, Tensor]:
        x, y = position[:, :1], position[:, 1:]
        phase = 2j * torch.pi
        return torch.exp(phase * y * self._ky), torch.exp(phase * x * self._kx)

    def _sum(self, along_y: Tensor, along_x: Tensor) -> Tensor:
        """Return Re sum of spectrum * along_y * along_x, (N,)."""
        rows = torch.bmm(self._spectra, along_x[:, :, None])[:, :, 0]
        return (rows * along_y).sum(dim=1).real
