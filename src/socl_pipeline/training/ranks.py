"""Training in several processes: each has its share of the videos, all see every sample.

Every rank computes the loss of the whole batch from gathered samples, so its gradient towards
its own samples is already complete and the way back needs no communication.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from socl_pipeline.training.synced_norm import SyncedBatchNorm2d


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is; one process needs no process group."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process validates, writes and reports."""
        return self.rank == 0

    def part(self, count: int, rank: int | None = None) -> slice:
        """Return the videos of a batch of `count` that belong to a rank (this one)."""
        rank = self.rank if rank is None else rank
        return slice(count * rank // self.world, count * (rank + 1) // self.world)

    def sizes(self, count: int) -> list[int]:
        """Return how many of a batch's `count` videos each rank has."""
        parts = (self.part(count, rank) for rank in range(self.world))
        return [part.stop - part.start for part in parts]

    def gather(self, tensors: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
        """Return each tensor of this rank's videos joined with the others', in their order."""
        if self.world == 1:
            return dict(tensors)
        return {name: _Gather.apply(tensor, self, count) for name, tensor in tensors.items()}


class _Gather(torch.autograd.Function):
    """All-gather along the first dimension; see the module for its gradient."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, ranks: Ranks, count: int) -> Tensor:
        sizes = ranks.sizes(count)
        padded = own.new_zeros((max(sizes), *own.shape[1:]))  # collectives want equal shapes
        padded[: len(own)] = own
        pieces = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(pieces, padded)
        ctx.part, ctx.world = ranks.part(count), ranks.world
        return torch.cat([piece[:size] for piece, size in zip(pieces, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        # DistributedDataParallel will divide the sum over ranks by their number
        return gradients[0][ctx.part] * ctx.world, None, None


def distributed(network: nn.Module, ranks: Ranks, device: torch.device) -> nn.Module:
    """Return a network whose batch norms and gradients are those of the whole batch."""
    if ranks.world == 1:
        return network
    if device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        devices = [device.index]
    else:  # torch's own needs an accelerator
        network, devices = SyncedBatchNorm2d.convert(network), None
    return nn.parallel.DistributedDataParallel(
        network, device_ids=devices, broadcast_buffers=False, gradient_as_bucket_view=True
    )
