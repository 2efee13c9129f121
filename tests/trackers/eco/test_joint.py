from itertools import pairwise

import numpy as np
import pytest
import torch

from socl_pipeline.trackers.eco.blocks import Block, Layout
from socl_pipeline.trackers.eco.filter import Preconditioning
from socl_pipeline.trackers.eco.joint import learn_jointly, principal_components, project
from socl_pipeline.trackers.eco.regulariser import Regulariser
from socl_pipeline.trackers.eco.spectra import gaussian_label

BLOCKS = [Block(2, 2), Block(1, 1)]
CHANNELS = [3, 2]  # before the projection
TAPS = np.array([-0.1, 0.5, -0.1]), np.array([-0.15, 0.0, -0.15])
KERNEL = np.array([[0, -0.15, 0], [-0.1, 0.5, -0.1], [0, -0.15, 0]])
PENALTY = 0.02
MIX = Preconditioning(data=0.3, regularisation=0.1, projection=10)


class Bilinear:
    """The first frame's objective on whole spectra, and Gauss-Newton on it by differences.

    The unknowns are the real and imaginary parts of the filter's half spectra (of those with
    kx = 0 the lower half) and the entries of the projections.
    """

    def __init__(self, slow, seed=0):
        self.slow, rng = slow, np.random.default_rng(seed)
        self.features = [
            slow.random_spectrum(rng, b.highest, c) for b, c in zip(BLOCKS, CHANNELS, strict=True)
        ]
        self.start = [
            np.linalg.qr(rng.normal(size=(c, b.channels)))[0]
            for b, c in zip(BLOCKS, CHANNELS, strict=True)
        ]
        self.label = gaussian_label(2, 0.15)
        self.sizes = [(b.rows**2, b.channels) for b in BLOCKS]
        self.unknowns = sum(n * c for n, c in self.sizes)

    def unpack(self, theta):
        filters, at = [], 0
        for block, (n, c) in zip(BLOCKS, self.sizes, strict=True):
            values = theta[at : at + n * c].reshape(block.rows, block.rows, c)
            at += n * c
            filters.append(self.real_function(values))
        projections = []
        for p in self.start:
            projections.append(theta[at : at + p.size].reshape(p.shape))
            at += p.size
        return filters, projections

    def real_function(self, values):
        """Return the whole spectrum whose free parameters are `values`, as many real numbers."""
        opposite = values[::-1, ::-1]
        return (values + opposite) / 2 + 1j * (values - opposite) / 2

    def residuals(self, theta):
        filters, projections = self.unpack(theta)
        score = -self.slow.whole(self.label)
        parts = []
        for x, f, p in zip(self.features, filters, projections, strict=True):
            score = score + self.slow.padded(((x @ p) * f).sum(axis=2), 2)
            parts += [self.slow.convolve(f, KERNEL), np.sqrt(PENALTY) * p + 0j]
        flat = np.concatenate([a.ravel() for a in [score, *parts]])
        return np.concatenate([flat.real, flat.imag])

    def objective(self, theta):
        return float((self.residuals(theta) ** 2).sum())

    def gauss_newton(self, steps):
        theta = np.concatenate([np.zeros(self.unknowns), *(p.ravel() for p in self.start)])
        for _ in range(steps):
            units = np.eye(len(theta))
            slopes = [self.residuals(theta + u) - self.residuals(theta - u) for u in units]
            jacobian = np.stack(slopes, axis=1) / 2  # exact: residuals are bilinear
            theta = theta - np.linalg.lstsq(jacobian, self.residuals(theta))[0]
        return theta

    def pack(self, filters, projections):
        fulls = [self.slow.whole(f) for f in filters]
        values = [f.real + f.imag for f in fulls]
        return np.concatenate([v.ravel() for v in [*values, *(p.numpy() for p in projections)]])

    def learn(self, outer, inner):
        layout = Layout(BLOCKS, torch.device("cpu"))
        filters, projections = learn_jointly(
            layout,
            [torch.from_numpy(self.slow.half(x)).to(torch.complex64) for x in self.features],
            [torch.from_numpy(p).float() for p in self.start],
            self.label,
            Regulariser(layout, *TAPS),
            penalty=PENALTY,
            mix=MIX,
            outer=outer,
            inner=inner,
        )
        return self.pack(layout.views(filters), projections)


@pytest.fixture
def problem(slow):
    return Bilinear(slow)


def test_the_reference_takes_its_unknowns_back(problem) -> None:
    theta = np.random.default_rng(0).normal(size=len(problem.gauss_newton(0)))
    filters, projections = problem.unpack(theta)
    halves = [problem.slow.half(f) for f in filters]
    again = problem.pack(halves, [torch.from_numpy(p) for p in projections])
    np.testing.assert_allclose(again, theta, atol=1e-12)


@pytest.mark.parametrize("outer", [1, 2, 3])
def test_steps_are_those_of_gauss_newton(problem, outer) -> None:
    expected = problem.gauss_newton(outer)
    found = problem.learn(outer, 150)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_learning_lowers_the_objective(problem) -> None:
    values = [problem.objective(problem.gauss_newton(0))]
    values += [problem.objective(problem.learn(outer, 6)) for outer in (1, 2, 4)]
    assert all(b < a for a, b in pairwise(values))
    # both together fit better than a filter on the first projections alone
    assert values[-1] < problem.objective(problem.gauss_newton(1))


def test_projections_given_are_left_alone(problem) -> None:
    before = [p.copy() for p in problem.start]
    problem.learn(2, 3)
    assert all(np.array_equal(a, b) for a, b in zip(before, problem.start, strict=True))


def test_project_is_a_product_at_every_frequency(problem, slow) -> None:
    layout = Layout(BLOCKS, torch.device("cpu"))
    halves = [torch.from_numpy(slow.half(x)).to(torch.complex64) for x in problem.features]
    found = project(layout, halves, [torch.from_numpy(p).float() for p in problem.start])
    for part, x, p in zip(layout.views(found), problem.features, problem.start, strict=True):
        np.testing.assert_allclose(slow.whole(part), x @ p, atol=1e-5)


@pytest.mark.parametrize(("channels", "count"), [(6, 3), (4, 4), (20, 5)])
def test_principal_components_are_singular_vectors(channels, count) -> None:
    rng = np.random.default_rng(channels)
    spread = np.diag(np.geomspace(5, 0.1, channels))
    maps = (spread @ rng.normal(size=(channels, 30))).reshape(channels, 5, 6) + 7
    found = principal_components(torch.from_numpy(maps).float(), count).numpy()
    flat = maps.reshape(channels, -1)
    left, _, _ = np.linalg.svd(flat - flat.mean(axis=1, keepdims=True))
    assert found.shape == (channels, count)
    cosines = np.abs((found * left[:, :count]).sum(axis=0))
    np.testing.assert_allclose(cosines, 1, atol=1e-4)
