import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.trackers.eco.blocks import Block, Layout
from socl_pipeline.trackers.eco.samples import SampleSpace

LAYOUT = Layout([Block(2, 2), Block(1, 3)], torch.device("cpu"))


class Mixture:
    """The sample space by its definition, on flat vectors, all distances anew every time."""

    def __init__(self, capacity, rate):
        self.capacity, self.rate = capacity, rate
        self.vectors, self.weights, self.did = [], [], []

    def add(self, new):
        rate = self.rate
        if not self.vectors:
            self.vectors, self.weights = [new], [1.0]
            return self.did.append("first")
        least = rate * (1 - rate) ** (2 * self.capacity)
        if len(self.vectors) < self.capacity:
            self.weights = [w * (1 - rate) for w in self.weights] + [rate]
            self.vectors.append(new)
            return self.did.append("append")
        lightest = int(np.argmin(self.weights))
        if self.weights[lightest] < least:
            others = sum(self.weights) - self.weights[lightest]
            self.weights = [w * (1 - rate) / others for w in self.weights]
            self.weights[lightest], self.vectors[lightest] = rate, new
            return self.did.append("replace")
        count = range(self.capacity)
        apart = {(i, j): self.distance(i, j) for i in count for j in range(i + 1, self.capacity)}
        first, second = min(apart, key=apart.__getitem__)
        to_new = [np.sum(np.abs(v - new) ** 2) for v in self.vectors]
        self.weights = [w * (1 - rate) for w in self.weights]
        nearest = int(np.argmin(to_new))
        if to_new[nearest] < apart[first, second]:
            self.mix(nearest, self.weights[nearest], new, rate)
            return self.did.append("merge new")
        self.mix(first, self.weights[first], self.vectors[second], self.weights[second])
        self.vectors[second], self.weights[second] = new, rate
        return self.did.append("merge pair")

    def distance(self, i, j):
        return np.sum(np.abs(self.vectors[i] - self.vectors[j]) ** 2)

    def mix(self, slot, weight, other, other_weight):
        total = weight + other_weight
        self.vectors[slot] = (weight * self.vectors[slot] + other_weight * other) / total
        self.weights[slot] = total


def random_sample(rng, spread):
    parts = [rng.normal(size=(LAYOUT.size, 2)) * spread + rng.integers(0, 3, (1, 2))]
    return torch.from_numpy(parts[0]).view(-1, 2).float()


def stored(space, slot):
    return torch.cat([b[:, :, slot].reshape(-1) for b in space.blocks]).numpy()


def run(seed, capacity, rate, frames):
    rng = np.random.default_rng(seed)
    space, mixture = SampleSpace(LAYOUT, capacity, rate), Mixture(capacity, rate)
    for _ in range(frames):
        sample = torch.view_as_complex(random_sample(rng, rng.uniform(0.1, 1)))
        space.add(sample)
        mixture.add(sample.numpy().astype(np.complex128))
        compare(space, mixture)
    return mixture.did


def compare(space, mixture):
    assert space.count == len(mixture.vectors)
    assert [tuple(b.shape) for b in space.blocks] == [
        (5, 3, space.count, 2),
        (3, 2, space.count, 3),
    ]
    assert float(space.weights.sum()) == pytest.approx(1, abs=1e-6)
    # slots are not named by the specification: a pair may be merged into either
    order = np.argsort(space.weights.numpy()), np.argsort(mixture.weights)
    np.testing.assert_allclose(space.weights[order[0]], np.sort(mixture.weights), rtol=1e-5)
    for mine, theirs in zip(*order, strict=True):
        np.testing.assert_allclose(stored(space, mine), mixture.vectors[theirs], atol=1e-4)


@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(0.01, 0.6), st.integers(1, 25))
def test_equals_the_mixture_by_its_definition(seed, capacity, rate, frames) -> None:
    run(seed, capacity, rate, frames)


def test_every_way_of_taking_in_a_sample_is_tested() -> None:
    did = run(0, 4, 0.4, 40)
    assert set(did) == {"first", "append", "replace", "merge new", "merge pair"}


def test_a_new_sample_like_an_old_one_joins_it() -> None:
    rng = np.random.default_rng(0)
    a, b = (torch.view_as_complex(random_sample(rng, 1)) for _ in "ab")
    space = SampleSpace(LAYOUT, 2, 0.1)
    for sample in (a, b, b * 1.01):
        space.add(sample)
    assert space.weights.tolist() == pytest.approx([0.81, 0.19])
    np.testing.assert_allclose(stored(space, 0), a, rtol=1e-6)
    np.testing.assert_allclose(stored(space, 1), b * (0.09 + 0.101) / 0.19, rtol=1e-5)
