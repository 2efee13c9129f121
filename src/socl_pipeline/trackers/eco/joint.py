"""The first frame: the filter and the projection of its features are learnt together (ECO, 3.1).

The response z f with z = P^T x is bilinear in P and f, so it is made linear around the present
P and f (Gauss-Newton): z f_new + (x^T dP) f ~ y, plus |w f_new|^2 + lambda |P + dP|^2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from socl_pipeline.trackers.eco.blocks import Layout
from socl_pipeline.trackers.eco.conjugate_gradient import solve
from socl_pipeline.trackers.eco.filter import (
    Preconditioning,
    back_projected,
    data_preconditioner,
    energy,
    response,
)
from socl_pipeline.trackers.eco.regulariser import Regulariser


def principal_components(features: Tensor, count: int) -> Tensor:
    """Return the `count` leading principal directions (C, count) of features (C, H, W)."""
    flat = features.flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    _, vectors = torch.linalg.eigh(centred @ centred.T)
    return vectors[:, -count:].flip(1).contiguous()


def project(layout: Layout, features: Sequence[Tensor], projections: Sequence[Tensor]) -> Tensor:
    """Return the sample (size,) of spectra (rows, columns, C) under projections (C, channels)."""
    return layout.join([_times_real(x, p) for x, p in zip(features, projections, strict=True)])


@dataclass
class _Problem:
    """The linearised problem around one projection and filter."""

    layout: Layout
    features: Sequence[Tensor]  # spectra (rows, columns, C)
    label: Tensor  # series (rows, columns)
    regulariser: Regulariser
    penalty: float  # lambda
    filters: Tensor  # f (size,)
    sample: Tensor  # z (size,)

    def response(self, filters: Tensor, changes: Sequence[Tensor]) -> Tensor:
        """Return z f_new + (x^T dP) f, spectrum (rows, columns, 1)."""
        total = response(self.layout, filters, self._samples)
        moved = project(self.layout, self.features, changes)
        return total + response(self.layout, self.filters, self._as_samples(moved))

    def adjoint(self, spectrum: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what a response (rows, columns, 1) says to the filter and the projections."""
        layout = self.layout
        gradients = []
        weights = layout.views(layout.weights)
        present = layout.views(self.filters)
        blocks = zip(layout.blocks, self.features, present, weights, strict=True)
        for block, x, f, w in blocks:
            towards = layout.low(spectrum, block).conj() * f * w  # (rows, columns, channels)
            gradients.append(_real_product(x, towards))
        return back_projected(layout, spectrum, self._samples), gradients

    @property
    def _samples(self) -> list[Tensor]:
        return self._as_samples(self.sample)

    def _as_samples(self, sample: Tensor) -> list[Tensor]:
        return [x[:, :, None, :] for x in self.layout.views(sample)]


def learn_jointly(
    layout: Layout,
    features: Sequence[Tensor],
    projections: Sequence[Tensor],
    label: Tensor,
    regulariser: Regulariser,
    *,
    penalty: float,
    mix: Preconditioning,
    outer: int,
    inner: int,
) -> tuple[Tensor, list[Tensor]]:
    """Return the filter (size,) and the projections learnt from one sample.

    Args:
        layout: of the projected sample.
        features: spectra (rows, columns, C) of the first frame, a block each.
        projections: (C, channels) to start from, a block each.
        label: series (rows, columns).
        regulariser: of the filter.
        penalty: lambda, of the projections.
        mix: of the preconditioner.
        outer: Gauss-Newton steps. inner: steps of conjugate gradients in each.
    """
    projections = list(projections)
    filters = torch.zeros(layout.size, dtype=torch.complex64, device=layout.device)
    label_energy = float((label.abs() ** 2).sum()) * 2
    channels = sum(len(p) for p in projections)
    for _ in range(outer):
        sample = project(layout, features, projections)
        problem = _Problem(layout, features, label, regulariser, penalty, filters, sample)
        diagonal = data_preconditioner(layout, energy(layout, sample), regulariser, mix)
        scale = mix.projection * (label_energy / channels + penalty)
        filters, changes = _solve(problem, projections, diagonal, scale, inner)
        projections = [p + c for p, c in zip(projections, changes, strict=True)]
    return filters, projections


def _solve(
    problem: _Problem,
    projections: list[Tensor],
    diagonal: Tensor,
    scale: float,
    iterations: int,
) -> tuple[Tensor, list[Tensor]]:
    """Return the filter and the change of the projections after one Gauss-Newton step."""
    layout, size = problem.layout, problem.layout.size

    # One real vector: the filter's coefficients, then the entries of all changes.
    def pack(filters: Tensor, changes: Sequence[Tensor]) -> Tensor:
        return torch.cat([torch.view_as_real(filters).flatten(), *(c.flatten() for c in changes)])

    def unpack(vector: Tensor) -> tuple[Tensor, list[Tensor]]:
        filters = torch.view_as_complex(vector[: 2 * size].view(size, 2))
        parts = vector[2 * size :].split([p.numel() for p in projections])
        return filters, [c.view_as(p) for c, p in zip(parts, projections, strict=True)]

    def operator(vector: Tensor) -> Tensor:
        filters, changes = unpack(vector)
        to_filter, to_changes = problem.adjoint(problem.response(filters, changes))
        penalised = [g + problem.penalty * c for g, c in zip(to_changes, changes, strict=True)]
        return pack(to_filter + problem.regulariser.apply(filters), penalised)

    to_filter, to_changes = problem.adjoint(problem.label[:, :, None])
    pulled = [g - problem.penalty * p for g, p in zip(to_changes, projections, strict=True)]
    weights = pack(
        torch.complex(layout.weights, layout.weights), [torch.ones_like(p) for p in projections]
    )
    inverse = 1 / pack(
        torch.complex(diagonal, diagonal), [torch.full_like(p, scale) for p in projections]
    )
    solution, _ = solve(
        operator,
        pack(to_filter, pulled),
        pack(problem.filters, [torch.zeros_like(p) for p in projections]),
        inner=lambda a, b: torch.dot(a * weights, b),
        precondition=lambda r: r * inverse,
        iterations=iterations,
        formula="fletcher_reeves",
    )
    return unpack(solution)


def _times_real(spectrum: Tensor, matrix: Tensor) -> Tensor:
    """Return complex (rows, columns, C) @ real (C, channels), without a complex matrix."""
    return torch.complex(spectrum.real @ matrix, spectrum.imag @ matrix)


def _real_product(x: Tensor, towards: Tensor) -> Tensor:
    """Return the sum over frequencies of Re(x_d t_c), (C, channels)."""
    x, towards = x.flatten(0, 1), towards.flatten(0, 1)
    return x.real.T @ towards.real - x.imag.T @ towards.imag
