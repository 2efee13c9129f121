"""A batch in chunks, with the loss of the whole: two passes, as GradCache does (2101.06983).

The first pass keeps only what the loss needs of each video, the loss gives its gradient towards
that, and the second pass carries it through the network chunk by chunk. Memory is that of one
chunk, negatives are those of the whole batch. Batch norms see one chunk at a time.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from socl_pipeline.patches.augment import Draws
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.training.objective import Objective, part_of
from socl_pipeline.training.ranks import Ranks


@contextmanager
def running_statistics_frozen(network: nn.Module) -> Iterator[None]:
    """Leave the running statistics of batch norms alone; they still use those of the batch."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def chunks(ranks: Ranks, videos: int, size: int | None) -> list[slice]:
    """Return this rank's videos of a batch in parts of `size` at most.

    All ranks must have equally many parts, none of them empty: where the batch is shared
    unevenly, a part may be one video larger.
    """
    sizes = ranks.sizes(videos)
    count = 1 if size is None else min(ceil(max(sizes) / size), min(sizes))
    edges = np.linspace(0, sizes[ranks.rank], count + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]


def backward(
    objective: Objective,
    network: nn.Module,
    batch: PatchBatch,
    draws: Draws,
    ranks: Ranks,
    chunk: int | None = None,
) -> dict[str, Tensor]:
    """Add the gradients of a batch's loss to the network's parameters.

    batch: this rank's patches, on the device. draws: the whole batch's, on the device. chunk: the
    most videos that go through the network at once. Returns the loss and what is watched.
    """
    count = len(next(iter(draws.values())))
    own = part_of(draws, ranks.part(count))
    parts = chunks(ranks, count, chunk)
    if len(parts) == 1:
        encoded = objective.encode(network, batch, own)
        loss, watched = objective.loss(ranks.gather(encoded, count), draws)
        loss.backward()
    else:
        loss, watched = _in_two_passes(objective, network, batch, (draws, own), ranks, parts)
    return {"loss": loss.detach()} | {name: value.detach() for name, value in watched.items()}


def _in_two_passes(
    objective: Objective,
    network: nn.Module,
    batch: PatchBatch,
    draws: tuple[Draws, Draws],
    ranks: Ranks,
    parts: list[slice],
) -> tuple[Tensor, dict[str, Tensor]]:
    everything, own = draws

    def encode(part: slice) -> dict[str, Tensor]:
        return objective.encode(network, batch.of_videos(part), part_of(own, part))

    states = []  # the second pass has the dropout of the first
    with torch.no_grad(), running_statistics_frozen(network):
        first = []
        for part in parts:
            states.append(_random_state(batch.images.device))
            first.append(encode(part))
    kept = {name: torch.cat([e[name] for e in first]) for name in first[0]}
    for tensor in kept.values():
        tensor.requires_grad_(tensor.is_floating_point())
    count = len(next(iter(everything.values())))
    loss, watched = objective.loss(ranks.gather(kept, count), everything)
    loss.backward()
    for part, state in zip(parts, states, strict=True):
        _restore(state, batch.images.device)
        with _without_exchange(network) if part is not parts[-1] else nullcontext():
            again = encode(part)
            names = [n for n, t in again.items() if t.requires_grad and kept[n].grad is not None]
            torch.autograd.backward(
                [again[n] for n in names], [_gradient(kept[n])[part] for n in names]
            )
    return loss, watched


def _random_state(device: torch.device) -> Tensor:
    """Return the state of the generator that dropout on a device draws from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _restore(state: Tensor, device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def _without_exchange(network: nn.Module) -> Any:
    """Return a context in which ranks do not yet exchange gradients."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()
