"""Batch normalisation over all ranks for any device; torch's SyncBatchNorm has no CPU version."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

OVER = (0, 2, 3)  # all but the channels


class _SumOverRanks(torch.autograd.Function):
    """Sum of a tensor over ranks; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """A BatchNorm2d whose training statistics are those of all ranks' batches together."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised x (N, C, H, W), in its own type."""
        if not self.training:
            return super().forward(x)
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        count = _SumOverRanks.apply(values.new_tensor([float(x.numel() // x.shape[1])]))
        mean = _SumOverRanks.apply(values.sum(OVER)) / count
        centred = values - mean[:, None, None]
        variance = _SumOverRanks.apply(centred.square().sum(OVER)) / count
        if self.track_running_stats:
            self._follow(mean.detach(), variance.detach(), float(count))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: float) -> None:
        unbiased = variance * count / max(count - 1, 1)
        for running, now in ((self.running_mean, mean), (self.running_var, unbiased)):
            if running is not None and self.momentum is not None:
                running.lerp_(now, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)

    @classmethod
    def convert(cls, network: nn.Module) -> nn.Module:
        """Make the batch norms of a network synced, in place, parameters and all."""
        for module in network.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = cls  # the same parameters, buffers and hooks: only `forward`
        return network
