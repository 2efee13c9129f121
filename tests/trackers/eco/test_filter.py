from itertools import pairwise

import numpy as np
import pytest
import torch

from socl_pipeline.trackers.eco.blocks import Block, Layout
from socl_pipeline.trackers.eco.filter import (
    FilterLearner,
    Preconditioning,
    back_projected,
    data_preconditioner,
    energy,
    response,
)
from socl_pipeline.trackers.eco.regulariser import Regulariser
from socl_pipeline.trackers.eco.samples import SampleSpace
from socl_pipeline.trackers.eco.spectra import gaussian_label

BLOCKS = [Block(3, 2), Block(1, 3), Block(2, 1)]
TAPS = np.array([-0.1, 0.5, -0.1]), np.array([-0.05, -0.1, 0.0, -0.1, -0.05])
MIX = Preconditioning(data=0.3, regularisation=0.1, projection=10)
GRID = 7  # frequencies of an axis at the highest resolution


class Case:
    """Random samples in both forms, whole and half, and the objective by its definition."""

    def __init__(self, slow, count, seed=0):
        rng = np.random.default_rng(seed)
        self.slow, self.count = slow, count
        self.layout = Layout(BLOCKS, torch.device("cpu"))
        shapes = [(b.highest, count, b.channels) for b in BLOCKS]
        self.samples = [slow.random_spectrum(rng, *s) for s in shapes]
        self.regulariser = Regulariser(self.layout, *TAPS)
        self.label = gaussian_label(3, 0.1)
        reach = 2
        self.kernel = np.zeros((5, 5))
        self.kernel[reach, 1:4] = TAPS[0]
        self.kernel[:, reach] += TAPS[1]

    def filters(self, seed):
        rng = np.random.default_rng(seed)
        return [self.slow.random_spectrum(rng, b.highest, b.channels) for b in BLOCKS]

    def vector(self, fulls):
        halves = [torch.from_numpy(self.slow.half(f)) for f in fulls]
        return self.layout.join(halves).to(torch.complex64)

    @property
    def halves(self):
        return [torch.from_numpy(self.slow.half(x)).to(torch.complex64) for x in self.samples]

    def space(self, rate=0.3):
        space = SampleSpace(self.layout, self.count, rate)
        for m in range(self.count):
            space.add(self.layout.join([x[:, :, m] for x in self.halves]))
        return space

    def scores(self, fulls):
        """Return the whole spectra (G, G, N) of the responses."""
        parts = [(x * f[:, :, None]).sum(3) for x, f in zip(self.samples, fulls, strict=True)]
        return sum(self.slow.padded(p, 3) for p in parts)

    def objective(self, vector, weights):
        fulls = [self.slow.whole(v) for v in self.layout.views(vector)]
        away = self.scores(fulls) - self.slow.whole(self.label)[:, :, None]
        value = float((np.abs(away) ** 2).sum(axis=(0, 1)) @ weights)
        return value + sum(
            float((np.abs(self.slow.convolve(f, self.kernel)) ** 2).sum()) for f in fulls
        )

    def dense(self):
        """Return the matrices of all samples' responses (N, G^2, unknowns) and of w f."""
        unknowns = sum(b.rows**2 * b.channels for b in BLOCKS)
        data = np.zeros((self.count, GRID, GRID, unknowns), np.complex128)
        windowed = []
        column = 0
        for block, x in zip(BLOCKS, self.samples, strict=True):
            low = 3 - block.highest
            for r, c, d in np.ndindex(block.rows, block.rows, block.channels):
                data[:, low + r, low + c, column] = x[r, c, :, d]
                one = np.zeros((block.rows, block.rows))
                one[r, c] = 1
                wide = np.zeros((len(BLOCKS), 6, GRID + 4, GRID + 4), np.complex128)
                wide[BLOCKS.index(block), d] = self.slow.padded(
                    self.slow.convolve(one, self.kernel), 5
                )
                windowed.append(wide.ravel())
                column += 1
        return data.reshape(self.count, GRID**2, -1), np.stack(windowed, axis=1)

    def solution(self, weights):
        """Return the minimum of the objective, whole spectra, by dense normal equations."""
        data, window = self.dense()
        label = self.slow.whole(self.label).ravel()
        normal = window.conj().T @ window
        right = np.zeros(len(normal), np.complex128)
        for a, weight in zip(data, weights, strict=True):
            normal += weight * a.conj().T @ a
            right += weight * a.conj().T @ label
        flat = np.linalg.solve(normal, right)
        ends = np.cumsum([b.rows**2 * b.channels for b in BLOCKS])[:-1]
        parts = np.split(flat, ends)
        return [p.reshape(b.rows, b.rows, b.channels) for p, b in zip(parts, BLOCKS, strict=True)]


@pytest.fixture
def case(slow):
    return Case(slow, 3)


def test_response_is_the_sum_of_products(case) -> None:
    fulls = case.filters(1)
    found = response(case.layout, case.vector(fulls), case.halves)
    assert found.shape == (7, 4, 3)
    np.testing.assert_allclose(case.slow.whole(found), case.scores(fulls), atol=1e-5)


def test_response_is_the_convolution_in_space(case) -> None:
    """At one shift: the mean over the period of sample(t - p) times filter(p), all channels."""
    fulls = case.filters(2)
    found = case.slow.whole(response(case.layout, case.vector(fulls), case.halves))
    tx, ty = 0.15, -0.32
    at = np.arange(8) / 8
    expected = np.zeros(3)
    for x, f in zip(case.samples, fulls, strict=True):
        for px, py in ((px, py) for px in at for py in at):
            moved = case.slow.evaluate(x, tx - px, ty - py)
            expected += moved @ case.slow.evaluate(f, px, py) / 64
    np.testing.assert_allclose(case.slow.evaluate(found, tx, ty), expected, atol=1e-5)


def test_back_projection_is_the_adjoint(case, slow) -> None:
    rng = np.random.default_rng(3)
    scores = slow.random_spectrum(rng, 3, 3)
    half = torch.from_numpy(slow.half(scores)).to(torch.complex64)
    fulls = case.filters(4)
    left = np.vdot(case.scores(fulls), scores)
    back = back_projected(case.layout, half, case.halves)
    right = case.layout.inner(case.vector(fulls), back)
    assert abs(left.imag) < 1e-9
    assert float(right) == pytest.approx(left.real, rel=1e-4)


def test_training_long_enough_solves_the_normal_equations(case) -> None:
    space = case.space()
    weights = space.weights.double().numpy()
    assert weights == pytest.approx([0.49, 0.21, 0.3])
    energies = sum(
        w * energy(case.layout, case.layout.join([x[:, :, m] for x in case.halves]))
        for m, w in enumerate(weights.tolist())
    )
    start = case.vector(case.filters(5))
    learner = FilterLearner(case.layout, case.label, case.regulariser, MIX, start)
    learner.train(space, energies, 150, 0.5)
    expected = case.solution(weights)
    for found, full in zip(case.layout.views(learner.filters), expected, strict=True):
        np.testing.assert_allclose(case.slow.whole(found), full, atol=1e-3 * np.abs(full).max())
    scores = learner.responses(case.halves)
    np.testing.assert_allclose(case.slow.whole(scores), case.scores(expected), atol=1e-4)


def test_every_step_lowers_the_objective(case) -> None:
    space = case.space()
    weights = space.weights.double().numpy()
    energies = torch.ones(case.layout.size)
    values = []
    for steps in range(8):
        start = case.vector(case.filters(6))
        learner = FilterLearner(case.layout, case.label, case.regulariser, MIX, start)
        learner.train(space, energies, steps, 0.5)
        values.append(case.objective(learner.filters, weights))
    assert all(b < a for a, b in pairwise(values))
    least = case.objective(case.vector(case.solution(weights)), weights)
    assert least < values[-1]
    assert values[-1] - least < 0.1 * (values[0] - least)


def test_training_goes_on_where_it_stopped(case) -> None:
    """Without forgetting, two trainings on the same samples are one; from afresh they are not."""
    space, energies = case.space(), torch.ones(case.layout.size)

    def train(steps, forgetting):
        start = torch.zeros(case.layout.size, dtype=torch.complex64)
        learner = FilterLearner(case.layout, case.label, case.regulariser, MIX, start)
        for n in steps:
            learner.train(space, energies, n, forgetting)
        return learner.filters

    once = train([6], 1.0)
    size = float(once.abs().max())
    assert float((train([3, 3], 1.0) - once).abs().max()) < 1e-3 * size
    afresh = train([3, 3], 1e-12)
    assert float((afresh - once).abs().max()) > 1e-2 * size
    # the less is kept of the weight of the first training's direction, the less it counts
    distances = [float((train([3, 3], f) - afresh).abs().max()) for f in (1.0, 0.1, 1e-6)]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-4 * size


def test_preconditioner_by_its_formula(case) -> None:
    energies = torch.from_numpy(np.random.default_rng(7).uniform(0, 2, case.layout.size)).float()
    found = data_preconditioner(case.layout, energies, case.regulariser, MIX)
    window = float((case.kernel**2).sum())
    for part, e in zip(case.layout.views(found), case.layout.views(energies), strict=True):
        for r, c, d in np.ndindex(*e.shape):
            data = 0.3 * float(e[r, c, d]) + 0.7 * float(e[r, c].mean())
            assert float(part[r, c, d]) == pytest.approx(0.9 * data + 0.1 * window, rel=1e-5)


def test_energy_is_the_squared_modulus(case) -> None:
    vector = case.vector(case.filters(8))
    np.testing.assert_allclose(energy(case.layout, vector), np.abs(vector.numpy()) ** 2, rtol=1e-5)
