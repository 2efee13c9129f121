"""Preconditioned conjugate gradients that can go on from an earlier problem's last direction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Linear = Callable[[Tensor], Tensor]
Inner = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Momentum:
    """Where an earlier run ended: its last direction, residual and <r, M r>."""

    direction: Tensor
    residual: Tensor
    rho: Tensor


def solve(
    operator: Linear,
    right: Tensor,
    start: Tensor,
    *,
    inner: Inner,
    precondition: Linear,
    iterations: int,
    formula: Literal["fletcher_reeves", "polak_ribiere"],
    momentum: Momentum | None = None,
) -> tuple[Tensor, Momentum | None]:
    """Return an approximate solution of `operator`(x) = `right` and where the run ended.

    Polak-Ribiere with beta >= 0 forgets a direction that no longer fits, which an operator that
    changes between runs needs; Fletcher-Reeves is the textbook's form. Stops early where the
    residual, or the curvature along the direction, vanishes.

    Args:
        operator: linear, self-adjoint and positive under `inner`.
        right, start: vectors of any shape that `operator` and `inner` take.
        inner: the inner product, a scalar tensor.
        precondition: an approximate inverse of `operator`.
        iterations: number of steps.
        formula: how the new direction holds on to the one before.
        momentum: of the run before; its rho may be scaled to make it count less.
    """
    x = start
    residual = right - operator(start)
    for _ in range(iterations):
        preconditioned = precondition(residual)
        rho = inner(residual, preconditioned)
        direction = preconditioned
        if momentum is not None:
            gain = rho
            if formula == "polak_ribiere":
                gain = (rho - inner(momentum.residual, preconditioned)).clamp(min=0)
            direction = preconditioned + gain / momentum.rho * momentum.direction
        image = operator(direction)
        curvature = inner(direction, image)
        # one look at the device a step; not >, so that no number ends it too
        if not float(torch.minimum(rho, curvature)) > 0:
            break
        # <p, r> rather than rho: with a direction from an earlier problem they differ
        step = inner(direction, residual) / curvature
        momentum = Momentum(direction, residual, rho)
        x = x + step * direction
        residual = residual - step * image
    return x, momentum
