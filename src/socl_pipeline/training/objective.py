"""What the trainer asks of a loss."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from socl_pipeline.patches.augment import Draws
from socl_pipeline.patches.loader import PatchBatch


class Objective(Protocol):
    """A loss in two parts: what each video is turned into, and what the batch makes of that.

    Nothing is random but the draws, so any part of a batch (a chunk, a rank's share) sees the
    same numbers as it would within the whole; a network's dropout is seeded by the step.
    """

    def draw(self, videos: int, rng: np.random.Generator) -> Draws:
        """Draw everything random for a batch of so many videos, on the CPU."""
        ...

    def encode(self, network: nn.Module, batch: PatchBatch, draws: Draws) -> dict[str, Tensor]:
        """Return what the loss needs of n videos: tensors whose first dimension is n.

        network: images (2n, 3, w, w), 0..255, to features (2n, C, H, W), or what else a kind of
        model trains. batch: 2n patches, rows 2i and 2i + 1 of one video. What is only watched
        carries no gradient.
        """
        ...

    def loss(self, encoded: dict[str, Tensor], draws: Draws) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a whole batch (a scalar), and scalars to watch."""
        ...


def part_of(tensors: Mapping[str, Tensor], videos: slice) -> dict[str, Tensor]:
    """Return the part of tensors that belongs to some of the videos."""
    return {name: tensor[videos] for name, tensor in tensors.items()}
