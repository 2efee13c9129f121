"""Each soft sample against a slow loop written from its equation."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from socl_pipeline.socl.samples import (
    background_selection,
    global_soft_template,
    hard_negative_maps,
    hard_negative_mixup,
    local_selection,
    similarity_maps,
)

N, C, L = 3, 5, 12
SEEDS = st.integers(0, 10_000)
DOUBLE = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_features(seed=0, n=N):
    return torch.randn(n, 2, C, L, generator=generator(seed), dtype=DOUBLE)


def random_top(seed=0, n=N):
    logits = torch.randn(n, 2, L, generator=generator(seed + 1), dtype=DOUBLE)
    return (2 * logits).softmax(dim=-1)


def order(top, seed=0):
    return torch.rand(top.shape, generator=generator(seed))


def norm(values):
    return math.sqrt(sum(v * v for v in values))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / (norm(a) * norm(b))


def highest(probabilities, mass):
    """Indices of the fewest highest locations that hold the mass: the first m(mass) of Eq. (5)."""
    order = sorted(range(len(probabilities)), key=lambda i: -probabilities[i])
    held, kept = 0.0, []
    for i in order:
        kept.append(i)
        held += probabilities[i]
        if held >= mass:
            break
    return kept


class TestGlobalTemplate:
    def test_weighted_sum(self):
        features, top = random_features(), random_top()
        result = global_soft_template(features, top)
        for i in range(N):
            for a in range(2):
                for c in range(C):
                    expected = sum(features[i, a, c, x] * top[i, a, x] for x in range(L))
                    assert float(result[i, a, c]) == pytest.approx(float(expected))

    def test_one_hot_picks_a_location(self):
        features = random_features()
        top = torch.zeros(N, 2, L, dtype=DOUBLE)
        top[..., 4] = 1
        torch.testing.assert_close(global_soft_template(features, top), features[..., 4])

    @pytest.mark.parametrize("shape", [(N, 2, L + 1), (N, 1, L), (N, L), (2, N, L)])
    def test_shapes_that_do_not_fit(self, shape):
        with pytest.raises(ValueError, match="do not fit"):
            global_soft_template(random_features(), torch.ones(shape, dtype=DOUBLE))

    def test_gradient(self):
        inputs = (random_features().requires_grad_(), random_top().requires_grad_())
        assert torch.autograd.gradcheck(global_soft_template, inputs)


class TestBackground:
    @given(SEEDS, st.floats(0.05, 0.99))
    def test_complement_of_the_fewest_highest(self, seed, mass):
        top = random_top(seed)
        selected = background_selection(top, mass)
        assert selected.dtype == torch.bool and selected.shape == top.shape
        for i in range(N):
            for a in range(2):
                target = set(highest(top[i, a].tolist(), mass))
                background = selected[i, a].nonzero().flatten().tolist()
                assert set(background) == set(range(L)) - target

    @given(SEEDS, st.floats(0.05, 0.99))
    def test_the_target_holds_the_mass(self, seed, mass):
        top = random_top(seed)
        held = (top * ~background_selection(top, mass)).sum(dim=-1)
        assert (held >= mass - 1e-12).all()

    @pytest.mark.parametrize("mass", [0.2, 0.35, 0.5, 0.79])
    def test_ties_are_never_cut(self, mass):
        plateau = torch.tensor([0.2, 0.05, 0.2, 0.05, 0.2, 0.05, 0.2, 0.05], dtype=DOUBLE)
        assert background_selection(plateau, mass).tolist() == [False, True] * 4

    @given(SEEDS, st.floats(0.1, 0.9))
    def test_ties_up_to_the_rounding_of_a_softmax(self, seed, mass):
        logits = torch.randint(0, 3, (L,), generator=generator(seed)).float() * 5
        noise = 1 + 2e-7 * (torch.rand(L, generator=generator(seed + 1)) - 0.5)
        top = logits.softmax(dim=-1) * noise
        background = background_selection(top, mass)
        for value in logits.unique():
            assert len(background[logits == value].unique()) == 1

    def test_a_uniform_map_has_no_background(self):
        assert not background_selection(torch.full((3, 9), 1 / 9), 0.3).any()

    def test_a_peak_that_holds_the_mass_is_the_only_target(self):
        top = torch.tensor([0.02, 0.95, 0.02, 0.01])
        assert background_selection(top, 0.9).tolist() == [True, False, True, True]


class TestSimilarity:
    @pytest.mark.parametrize("kind", ["cosine", "dot"])
    def test_every_template_and_frame_of_a_video(self, kind):
        features = random_features()
        templates = global_soft_template(features, random_top())
        result = similarity_maps(templates, features, kind, 0.2)
        assert result.shape == (N, 2, 2, L)
        for i in range(N):
            for a in range(2):
                for b in range(2):
                    for x in range(L):
                        z, f = templates[i, a].tolist(), features[i, b, :, x].tolist()
                        dot = sum(p * q for p, q in zip(z, f, strict=True))
                        expected = cosine(z, f) / 0.2 if kind == "cosine" else dot
                        assert float(result[i, a, b, x]) == pytest.approx(expected)

    @pytest.mark.parametrize("kind", ["cosine", "dot"])
    def test_gradient(self, kind):
        features = random_features().requires_grad_()
        templates = global_soft_template(random_features(5), random_top()).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda z, f: similarity_maps(z, f, kind, 0.3), (templates, features)
        )


class TestSoftNegatives:
    def similarities(self, seed=3):
        return 3 * torch.randn(N, 2, 2, L, generator=generator(seed), dtype=DOUBLE)

    @given(SEEDS, st.floats(0.1, 0.95))
    def test_softmax_over_the_background_of_the_searched_frame(self, seed, mass):
        similarities, top = self.similarities(seed), random_top(seed)
        result = hard_negative_maps(similarities, background_selection(top, mass))
        torch.testing.assert_close(result.sum(dim=-1), torch.ones(N, 2, 2, dtype=DOUBLE))
        for i in range(N):
            for b in range(2):
                target = highest(top[i, b].tolist(), mass)
                outside = [x for x in range(L) if x not in target]
                if not outside:
                    continue
                for a in range(2):
                    exponentials = {x: math.exp(float(similarities[i, a, b, x])) for x in outside}
                    total = sum(exponentials.values())
                    for x in range(L):
                        expected = exponentials.get(x, 0.0) / total
                        assert float(result[i, a, b, x]) == pytest.approx(expected, abs=1e-12)
                        if x in target:
                            assert float(result[i, a, b, x]) == 0, "nothing leaks"

    def test_without_background_the_map_is_uniform(self):
        top = torch.full((N, 2, L), 1 / L, dtype=DOUBLE)
        top[0] = random_top()[0]
        result = hard_negative_maps(self.similarities(), background_selection(top, 0.5))
        torch.testing.assert_close(result[1:], torch.full_like(result[1:], 1 / L))
        assert result[0].max() > 1.5 / L

    def test_gradient(self):
        background = background_selection(random_top(), 0.6)
        similarities = self.similarities().requires_grad_()
        assert torch.autograd.gradcheck(lambda s: hard_negative_maps(s, background), similarities)

    def test_gradient_is_finite_without_background(self):
        similarities = self.similarities().requires_grad_()
        background = torch.zeros(N, 2, L, dtype=torch.bool)
        weights = torch.arange(L, dtype=DOUBLE)
        (hard_negative_maps(similarities, background) * weights).sum().backward()
        assert torch.isfinite(similarities.grad).all()


class TestLocalTemplate:
    @given(SEEDS, st.floats(0.05, 0.99))
    def test_highest_locations_renormalised(self, seed, mass):
        top = random_top(seed)
        weights = local_selection(top, torch.full((N, 2), mass, dtype=DOUBLE), order(top))
        for i in range(N):
            for a in range(2):
                probabilities = top[i, a].tolist()
                kept = highest(probabilities, mass)
                total = sum(probabilities[x] for x in kept)
                expected = [p / total if x in kept else 0 for x, p in enumerate(probabilities)]
                torch.testing.assert_close(weights[i, a], torch.tensor(expected, dtype=DOUBLE))

    def test_a_mass_for_each_map(self):
        top = random_top()
        masses = torch.linspace(0.2, 1, 6, dtype=DOUBLE).unflatten(0, (N, 2))
        together = local_selection(top, masses, order(top))
        for i in range(N):
            for a in range(2):
                alone = local_selection(top[i, a], masses[i, a], order(top[i, a], 7))
                torch.testing.assert_close(together[i, a], alone)

    @given(SEEDS)
    def test_the_whole_mass_gives_the_map_itself(self, seed):
        top = random_top(seed).float()
        weights = local_selection(top, torch.ones(N, 2), order(top, seed))
        torch.testing.assert_close(weights, top)

    def test_ties_are_broken_without_bias(self):
        """Of a plateau of eight locations three are kept; each of the eight equally often."""
        draws = 4000
        plateau = torch.full((8,), 0.1, dtype=DOUBLE)
        top = torch.cat([plateau, torch.full((4,), 0.05, dtype=DOUBLE)]).expand(draws, -1)
        weights = local_selection(top, torch.full((draws,), 0.25, dtype=DOUBLE), order(top))
        kept = weights > 0
        assert (kept.sum(dim=1) == 3).all() and not kept[:, 8:].any()
        torch.testing.assert_close(weights[kept], torch.full((3 * draws,), 1 / 3, dtype=DOUBLE))
        frequency = kept[:, :8].double().mean(dim=0)
        deviation = (3 / 8 * 5 / 8 / draws) ** 0.5
        assert (frequency - 3 / 8).abs().max() < 5 * deviation
        pairs = (kept[:, 0] & kept[:, 1]).double().mean()
        assert float(pairs) == pytest.approx(3 / 28, abs=0.025), "independent of their neighbours"

    @given(st.permutations(range(L)), st.integers(2, 8), st.floats(0.05, 0.6))
    def test_which_of_a_plateau_are_kept_does_not_depend_on_where_they_lie(
        self, places, size, mass
    ):
        """Wherever a plateau's locations lie, each is kept equally often; no other one is."""
        draws, needed = 2000, mass * size / 0.9
        assume(abs(needed - round(needed)) > 1e-6)  # at a whole number rounding decides
        probabilities = torch.full((L,), 0.1 / (L - size), dtype=DOUBLE)
        plateau = list(places[:size])
        probabilities[plateau] = 0.9 / size
        top = probabilities.expand(draws, -1)
        masses = torch.full((draws,), mass, dtype=DOUBLE)
        kept = local_selection(top, masses, order(top)).gt(0)
        count = math.ceil(needed)
        assert (kept.sum(dim=1) == count).all()
        assert not kept[:, list(places[size:])].any()
        frequency, share = kept[:, plateau].double().mean(dim=0), count / size
        deviation = (share * (1 - share) / draws) ** 0.5
        assert (frequency - share).abs().max() <= 5 * deviation

    def test_gradient_to_the_map(self):
        def weights(logits):
            top = logits.softmax(-1)
            return local_selection(top, torch.full((N, 2), 0.6), order(top, 4))

        logits = torch.randn(N, 2, L, generator=generator(), dtype=DOUBLE).requires_grad_()
        assert torch.autograd.gradcheck(weights, logits)


class TestMixup:
    def slow(self, templates, negatives, betas):
        mixes = []
        for z, beta in zip(templates.tolist(), betas.tolist(), strict=True):
            units = [[v / norm(n) for v in n] for n in negatives.tolist()]
            order = sorted(range(len(units)), key=lambda k: -cosine(z, units[k]))
            first, second = units[order[0]], units[order[1]]
            mix = [beta * p + (1 - beta) * q for p, q in zip(first, second, strict=True)]
            mixes.append([v / norm(mix) for v in mix])
        return torch.tensor(mixes, dtype=DOUBLE)

    @given(SEEDS)
    def test_mixes_the_two_hardest(self, seed):
        templates = torch.randn(6, C, generator=generator(seed), dtype=DOUBLE)
        negatives = 5 * torch.randn(9, C, generator=generator(seed + 1), dtype=DOUBLE)
        betas = torch.rand(6, generator=generator(seed + 2), dtype=DOUBLE)
        result = hard_negative_mixup(templates, negatives, betas)
        torch.testing.assert_close(result, self.slow(templates, negatives, betas))

    def test_the_mix_lies_between_two_given_vectors(self):
        negatives = torch.tensor([[3.0, 0, 0], [0, 0.1, 0], [0, 0, -1], [-1, -1, 0]])
        templates = torch.tensor([[2.0, 1, 0]]).repeat(200, 1)
        betas = torch.linspace(0, 1, 200)
        mixes = hard_negative_mixup(templates, negatives, betas)
        assert (mixes[:, :2] >= 0).all() and (mixes[:, 2] == 0).all()
        torch.testing.assert_close(mixes.norm(dim=1), torch.ones(200))
        share = mixes[:, 0] / mixes[:, :2].sum(dim=1)
        torch.testing.assert_close(share, betas)

    def test_gradient(self):
        templates = torch.randn(4, C, generator=generator(), dtype=DOUBLE)
        negatives = torch.randn(7, C, generator=generator(1), dtype=DOUBLE).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda n: hard_negative_mixup(templates, n, torch.rand(4, generator=generator(2))),
            negatives,
        )

    def test_no_gradient_through_the_choice(self):
        templates = torch.randn(4, C, generator=generator(), dtype=DOUBLE).requires_grad_()
        negatives = torch.randn(7, C, generator=generator(1), dtype=DOUBLE).requires_grad_()
        hard_negative_mixup(templates, negatives, torch.rand(4)).sum().backward()
        assert templates.grad is None
        assert (negatives.grad.abs().sum(dim=1) > 0).any()
