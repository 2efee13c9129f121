"""Several blocks of feature channels, each with its own resolution, as one vector.

A filter, and a sample, has one half spectrum a channel. They lie frequency by frequency, channels
together, block after block in one flat tensor, so that conjugate gradients see a plain vector and
a product over channels is a small matrix product at every frequency.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from socl_pipeline.trackers.eco.spectra import half_weights


@dataclass(frozen=True)
class Block:
    """The highest frequency K and the number of channels of a feature block."""

    highest: int
    channels: int

    @property
    def rows(self) -> int:
        """2 K + 1, the frequencies of an axis."""
        return 2 * self.highest + 1

    @property
    def columns(self) -> int:
        """K + 1, the frequencies of an axis that are kept."""
        return self.highest + 1

    @property
    def size(self) -> int:
        """The number of coefficients."""
        return self.rows * self.columns * self.channels


class Layout:
    """How blocks lie in one vector of complex coefficients."""

    def __init__(self, blocks: Sequence[Block], device: torch.device) -> None:
        self.blocks = tuple(blocks)
        self.device = device
        self.size = sum(b.size for b in blocks)
        self.highest = max(b.highest for b in blocks)

    @cached_property
    def weights(self) -> Tensor:
        """How often each coefficient counts in the whole spectrum, float32 (size,)."""
        return torch.cat(
            [
                half_weights(b.highest)[None, :, None].expand(b.rows, -1, b.channels).reshape(-1)
                for b in self.blocks
            ]
        ).to(self.device)

    def views(self, vector: Tensor) -> list[Tensor]:
        """Return the blocks of a vector (size,), each (rows, columns, channels), without copies."""
        parts = vector.split([b.size for b in self.blocks])
        return [
            p.view(b.rows, b.columns, b.channels) for p, b in zip(parts, self.blocks, strict=True)
        ]

    def join(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the vector (size,) of blocks (rows, columns, channels)."""
        return torch.cat([b.reshape(-1) for b in blocks])

    def grid(self, *tail: int) -> Tensor:
        """Return a zero spectrum (rows, columns, *tail) at the highest resolution."""
        shape = (2 * self.highest + 1, self.highest + 1, *tail)
        return torch.zeros(shape, dtype=torch.complex64, device=self.device)

    def low(self, grid: Tensor, block: Block) -> Tensor:
        """Return the view of a spectrum (rows, columns, ...) at the frequencies of a block."""
        first = self.highest - block.highest
        return grid[first : first + block.rows, : block.columns]

    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the inner product (scalar) of two functions given by their half spectra."""
        products = torch.view_as_real(a) * torch.view_as_real(b)
        return torch.dot(products.sum(dim=1), self.weights)
