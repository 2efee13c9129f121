"""The sample space: a mixture of Gaussians' means that stands for all frames seen (ECO, 3.2)."""

import torch
from torch import Tensor

from socl_pipeline.trackers.eco.blocks import Layout


class SampleSpace:
    """At most `capacity` samples with weights; the two most alike are merged when it is full.

    Weights sum to 1; that of a frame fades by (1 - rate) with every later one. Distances count
    kx = 0 twice like all others, as the published code does: it only changes which samples are
    called alike.
    """

    def __init__(self, layout: Layout, capacity: int, rate: float) -> None:
        """layout: of a sample's blocks. capacity: of the space. rate: learning rate."""
        self._layout = layout
        self._rate = rate
        self._least = rate * (1 - rate) ** (2 * capacity)
        device = layout.device
        shapes = [(b.rows, b.columns, capacity, b.channels) for b in layout.blocks]
        self._blocks = [torch.zeros(s, dtype=torch.complex64, device=device) for s in shapes]
        self._weights = torch.zeros(capacity, dtype=torch.float64)
        # on the CPU: choosing what to merge is a handful of comparisons
        self._gram = torch.full((capacity, capacity), torch.nan, dtype=torch.float64)
        self.count = 0

    @property
    def weights(self) -> Tensor:
        """The weights (count,) of the samples, float32, on the layout's device."""
        return self._weights[: self.count].to(self._layout.device, torch.float32)

    @property
    def blocks(self) -> list[Tensor]:
        """The samples, a block each: (rows, columns, count, channels), views."""
        return [b[:, :, : self.count] for b in self._blocks]

    def add(self, sample: Tensor) -> None:
        """Take in a sample (size,) of the newest frame."""
        if self.count == 0:
            self._append(sample, self._inner(sample), 1.0)
            return
        products = self._inner(sample)
        if self.count < len(self._weights):
            self._weights *= 1 - self._rate
            self._append(sample, products, self._rate)
            return
        lightest = int(self._weights.argmin())
        if self._weights[lightest] < self._least:
            self._fade(lightest)
            self._put(lightest, sample, products)
        else:
            self._merge(sample, products)

    def _append(self, sample: Tensor, products: Tensor, weight: float) -> None:
        slot = self.count
        self.count += 1
        self._weights[slot] = weight
        self._put(slot, sample, products)

    def _fade(self, freed: int) -> None:
        """Give the new frame the weight `rate` in the slot `freed`, scaling the others."""
        self._weights[freed] = 0
        self._weights *= (1 - self._rate) / self._weights.sum()
        self._weights[freed] = self._rate

    def _merge(self, sample: Tensor, products: Tensor) -> None:
        """Merge the new sample with its nearest, or the nearest pair to make room for it."""
        norm = float(self._norm(sample))
        squares = self._gram.diagonal()
        to_new = squares + norm - 2 * products
        between = squares[:, None] + squares[None, :] - 2 * self._gram
        between.fill_diagonal_(torch.inf)
        nearest = int(to_new.argmin())
        first, second = divmod(int(between.argmin()), len(squares))
        self._weights *= 1 - self._rate
        if to_new[nearest] < between[first, second]:
            old = float(self._weights[nearest])
            total = old + self._rate
            mixed = (old * self._sample(nearest) + self._rate * sample) / total
            self._weights[nearest] = total
            self._put(nearest, mixed, self._inner(mixed))
            return
        w1, w2 = float(self._weights[first]), float(self._weights[second])
        mixed = (w1 * self._sample(first) + w2 * self._sample(second)) / (w1 + w2)
        self._weights[first] = w1 + w2
        self._weights[second] = self._rate
        self._put(first, mixed, self._inner(mixed))
        self._put(second, sample, self._inner(sample))

    def _sample(self, slot: int) -> Tensor:
        return self._layout.join([b[:, :, slot] for b in self._blocks])

    def _put(self, slot: int, sample: Tensor, products: Tensor) -> None:
        """Write a sample; products: with the samples there are, whatever they say of `slot`."""
        for block, part in zip(self._blocks, self._layout.views(sample), strict=True):
            block[:, :, slot] = part
        known = len(products)
        self._gram[slot, :known] = products
        self._gram[:known, slot] = products
        self._gram[slot, slot] = self._norm(sample)

    def _inner(self, sample: Tensor) -> Tensor:
        """Return 2 Re <sample, s> (count,) with every sample s, float64 on the CPU."""
        total = torch.zeros(self.count, device=self._layout.device)
        for block, part in zip(self.blocks, self._layout.views(sample), strict=True):
            products = part.conj()[:, :, None, :] @ block.transpose(2, 3)
            total = total + products.real.sum(dim=(0, 1, 2))
        return 2 * total.to("cpu", torch.float64)

    def _norm(self, sample: Tensor) -> Tensor:
        return 2 * torch.view_as_real(sample).square().sum().to("cpu", torch.float64)
