import numpy as np
import pytest
import torch

from socl_pipeline.trackers.eco.conjugate_gradient import Momentum, solve

FORMULAS = ("fletcher_reeves", "polak_ribiere")


class Problem:
    """A random system whose operator is self-adjoint under a weighted inner product only."""

    def __init__(self, seed, size=6, condition=30.0, change=0.0):
        rng = np.random.default_rng(seed)
        self.weights = rng.uniform(0.5, 2, size)
        basis, _ = np.linalg.qr(rng.normal(size=(size, size)))
        symmetric = basis @ np.diag(np.geomspace(1, condition, size)) @ basis.T
        bump = rng.normal(size=(size, size))
        symmetric += change * bump @ bump.T
        self.matrix = symmetric / self.weights[:, None]
        self.right = rng.normal(size=size)
        self.solution = np.linalg.solve(self.matrix, self.right)

    def inner(self, a, b):
        return (a * b * torch.from_numpy(self.weights)).sum()

    def error(self, x):
        """In the norm that conjugate gradients lessen with every step."""
        d = x.numpy() - self.solution
        return d @ (self.weights * (self.matrix @ d))

    def solve(self, iterations, formula="polak_ribiere", start=None, precondition=None, **kwargs):
        calls = []

        def operator(x):
            calls.append(x)
            return torch.from_numpy(self.matrix) @ x

        x, momentum = solve(
            operator,
            torch.from_numpy(self.right),
            torch.zeros(len(self.right), dtype=torch.float64) if start is None else start,
            inner=self.inner,
            precondition=precondition or (lambda r: r),
            iterations=iterations,
            formula=formula,
            **kwargs,
        )
        return x, momentum, len(calls)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("seed", range(3))
def test_exact_after_as_many_steps_as_unknowns(formula, seed) -> None:
    problem = Problem(seed)
    x, _, _ = problem.solve(6, formula)
    np.testing.assert_allclose(x, problem.solution, rtol=1e-8, atol=1e-10)
    five, _, _ = problem.solve(5, formula)
    assert np.abs(five.numpy() - problem.solution).max() > 1e-5


@pytest.mark.parametrize("formula", FORMULAS)
def test_every_step_is_the_best_of_its_krylov_space(formula) -> None:
    """Preconditioned: the error is least over the span of (M A)^i M r."""
    problem = Problem(3)
    inverse = np.random.default_rng(0).uniform(0.2, 3, 6)
    for steps in (1, 2, 4):
        x, _, _ = problem.solve(steps, formula, precondition=lambda r: r * torch.tensor(inverse))
        vectors = [inverse * problem.right]
        for _ in range(steps - 1):
            vectors.append(inverse * (problem.matrix @ vectors[-1]))
        span = np.stack([v / np.linalg.norm(v) for v in vectors], axis=1)
        weighted = problem.weights[:, None] * problem.matrix
        best = span @ np.linalg.solve(
            span.T @ weighted @ span, span.T @ (problem.weights * problem.right)
        )
        np.testing.assert_allclose(x, best, rtol=1e-7, atol=1e-9)


def test_a_good_preconditioner_needs_one_step() -> None:
    problem = Problem(4)
    inverse = torch.from_numpy(np.linalg.inv(problem.matrix))
    x, _, _ = problem.solve(1, precondition=lambda r: inverse @ r)
    np.testing.assert_allclose(x, problem.solution, rtol=1e-9)


def test_stops_at_the_solution() -> None:
    problem = Problem(5)
    problem.right[:] = 0
    x, momentum, calls = problem.solve(9)
    assert (x == 0).all()
    assert momentum is None
    assert calls == 2  # the first residual, and one step that leads nowhere
    earlier = Momentum(*(torch.ones(6, dtype=torch.float64) for _ in "dr"), torch.tensor(1.0))
    assert problem.solve(9, momentum=earlier)[1] is earlier


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_run_in_two_parts_is_one_run(formula) -> None:
    problem = Problem(6)
    first, momentum, _ = problem.solve(2, formula)
    second, _, _ = problem.solve(2, formula, start=first, momentum=momentum)
    whole, _, _ = problem.solve(4, formula)
    np.testing.assert_allclose(second, whole, rtol=1e-8)


def test_momentum_helps_on_a_slightly_changed_operator() -> None:
    errors = {True: 0.0, False: 0.0}
    for seed in range(20):
        first = Problem(seed, size=40, condition=1e4)
        changed = Problem(seed, size=40, condition=1e4, change=1e-4)
        x, momentum, _ = first.solve(12)
        for remembered in errors:
            after = changed.solve(3, start=x, momentum=momentum if remembered else None)[0]
            errors[remembered] += changed.error(after) / changed.error(x)
    assert errors[True] < 0.9 * errors[False]


def test_polak_ribiere_forgets_a_direction_that_does_not_fit() -> None:
    """Where the residual has not turned since the run before, beta is zero."""
    problem = Problem(7)
    residual = torch.from_numpy(problem.right)
    opposed = Momentum(torch.ones_like(residual), 2 * residual, torch.tensor(0.1))
    fresh, _, _ = problem.solve(1)
    assert torch.equal(problem.solve(1, momentum=opposed)[0], fresh)
    assert not torch.allclose(problem.solve(1, "fletcher_reeves", momentum=opposed)[0], fresh)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_step_along_an_old_direction_goes_as_far_as_is_best(formula) -> None:
    problem = Problem(9)
    rng = torch.Generator().manual_seed(0)
    direction, residual = (torch.randn(6, generator=rng, dtype=torch.float64) for _ in "dr")
    earlier = Momentum(direction, -residual, torch.tensor(0.5))
    x, momentum, _ = problem.solve(1, formula, momentum=earlier)
    left = torch.from_numpy(problem.right - problem.matrix @ x.numpy())
    along = problem.inner(momentum.direction, momentum.direction).sqrt()
    assert abs(problem.inner(momentum.direction, left)) < 1e-9 * along
    assert not torch.allclose(momentum.direction, momentum.residual)


def test_a_larger_rho_makes_the_earlier_direction_count_less() -> None:
    problem = Problem(8)
    x, m, _ = problem.solve(2)
    fresh, _, _ = problem.solve(1, start=x)
    distances = [
        torch.dist(
            problem.solve(1, start=x, momentum=Momentum(m.direction, m.residual, m.rho * s))[0],
            fresh,
        )
        for s in (1, 10, 1e6)
    ]
    assert distances[0] > distances[1] > 0
    assert distances[2] < 1e-4 * distances[0]


def test_an_operator_that_is_zero_changes_nothing():
    """A frame without any features gives one: there is nothing to learn, and no number is lost."""
    start = torch.ones(3)
    found, _ = solve(
        lambda v: 0 * v,
        torch.ones(3),
        start,
        inner=torch.dot,
        precondition=lambda r: r,
        iterations=4,
        formula="fletcher_reeves",
    )
    assert torch.equal(found, start)
