"""Learning the correlation filter from the sample space (ECO, Eq. 5)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from socl_pipeline.trackers.eco.blocks import Layout
from socl_pipeline.trackers.eco.conjugate_gradient import Momentum, solve
from socl_pipeline.trackers.eco.regulariser import Regulariser
from socl_pipeline.trackers.eco.samples import SampleSpace


@dataclass(frozen=True)
class Preconditioning:
    """How the diagonal preconditioner is mixed: delta, rho and kappa of the published code."""

    data: float  # delta: share of a channel's own energy against the mean of its block
    regularisation: float  # rho: share of the regulariser's energy
    projection: float  # kappa: factor of the projection's part (first frame only)


def response(layout: Layout, filters: Tensor, samples: list[Tensor]) -> Tensor:
    """Return the responses (rows, columns, N) of a filter (size,) to samples, as spectra.

    samples: a block each, (rows, columns, N, channels).
    """
    count = samples[0].shape[2]
    total = layout.grid(count)
    for block, f, x in zip(layout.blocks, layout.views(filters), samples, strict=True):
        layout.low(total, block).add_((f[:, :, None, :] @ x.transpose(2, 3))[:, :, 0])
    return total


def back_projected(layout: Layout, responses: Tensor, samples: list[Tensor]) -> Tensor:
    """Return the adjoint of `response`: a filter (size,) from spectra (rows, columns, N)."""
    conjugate = responses.conj().resolve_conj()
    parts = []
    for block, x in zip(layout.blocks, samples, strict=True):
        part = layout.low(conjugate, block)[:, :, None, :] @ x  # (rows, columns, 1, channels)
        parts.append(part[:, :, 0].conj().resolve_conj())
    return layout.join(parts)


def energy(layout: Layout, sample: Tensor) -> Tensor:
    """Return |x|^2 of every coefficient of a sample (size,), float32."""
    return torch.view_as_real(sample).square().sum(dim=1)


def data_preconditioner(
    layout: Layout, energies: Tensor, regulariser: Regulariser, mix: Preconditioning
) -> Tensor:
    """Return the diagonal (size,) that approximates the operator.

    (1 - rho) (delta |x|^2 + (1 - delta) mean over the block's channels of |x|^2) + rho |w|^2.
    """
    means = [e.mean(dim=2, keepdim=True).expand(-1, -1, e.shape[2]) for e in layout.views(energies)]
    data = mix.data * energies + (1 - mix.data) * layout.join(means)
    return (1 - mix.regularisation) * data + mix.regularisation * regulariser.energy


class FilterLearner:
    """The filter and what is needed to go on learning it, frame after frame."""

    def __init__(
        self,
        layout: Layout,
        label: Tensor,
        regulariser: Regulariser,
        mix: Preconditioning,
        filters: Tensor,
    ) -> None:
        """Start from `filters` (size,).

        label: series (rows, columns) at the highest resolution.
        """
        self._layout, self._label = layout, label
        self._regulariser, self._mix = regulariser, mix
        self.filters = filters
        self._momentum: Momentum | None = None

    def responses(self, samples: list[Tensor]) -> Tensor:
        """Return the scores (rows, columns, N) of N samples, as spectra; see `response`."""
        return response(self._layout, self.filters, samples)

    def train(
        self, space: SampleSpace, energies: Tensor, iterations: int, forgetting: float
    ) -> None:
        """Take some steps of conjugate gradients on the samples as they are now.

        energies: running mean of `energy` (size,). forgetting: what the rho of the run before is
        divided by, (1 - rate) to the power of CG_forgetting_rate: near 0 starts afresh, 1 forgets
        nothing.
        """
        layout, blocks, weights = self._layout, space.blocks, space.weights

        def operator(filters: Tensor) -> Tensor:
            scores = response(layout, filters, blocks) * weights
            return back_projected(layout, scores, blocks) + self._regulariser.apply(filters)

        right = back_projected(layout, self._label[:, :, None] * weights, blocks)
        diagonal = data_preconditioner(layout, energies, self._regulariser, self._mix)
        momentum = self._momentum
        if momentum is not None:
            momentum = Momentum(momentum.direction, momentum.residual, momentum.rho / forgetting)
        self.filters, self._momentum = solve(
            operator,
            right,
            self.filters,
            inner=layout.inner,
            precondition=lambda r: r / diagonal,
            iterations=iterations,
            formula="polak_ribiere",
            momentum=momentum,
        )
