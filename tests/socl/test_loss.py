"""The SoCL loss against slow loops over queries, written from Eq. (1)-(10)."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.socl.loss import (
    SoclOptions,
    SoftSamples,
    contrastive_loss,
    socl_loss,
    soft_samples,
)

C, L = 4, 10
DOUBLE = torch.float64
SEEDS = st.integers(0, 10_000)
ABLATIONS = {
    "templates": SoclOptions(sns=False, mixup=False, lst=False),
    "lst": SoclOptions(sns=False, mixup=False),
    "sns": SoclOptions(mixup=False, lst=False),
    "sns_mixup": SoclOptions(lst=False),
    "full": SoclOptions(),
    "full_dot": SoclOptions(sns_similarity="dot", temperature=0.3, background_mass=0.6),
}
EACH_ABLATION = pytest.mark.parametrize("options", ABLATIONS.values(), ids=ABLATIONS.keys())


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=3, seed=0, dtype=DOUBLE):
    features = torch.randn(n, 2, C, L, generator=generator(seed), dtype=dtype)
    logits = 2 * torch.randn(n, 2, L, generator=generator(seed + 1), dtype=dtype)
    return features, logits.softmax(dim=-1)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def unit(a):
    return [x / math.sqrt(dot(a, a)) for x in a]


def cosine(a, b):
    return dot(unit(a), unit(b))


def weighted(columns, weights):
    return [
        sum(w * column[c] for column, w in zip(columns, weights, strict=True)) for c in range(C)
    ]


def highest(p, mass):
    order, kept = sorted(range(L), key=lambda x: -p[x]), []
    while sum(p[x] for x in kept) < mass and len(kept) < L:
        kept.append(order[len(kept)])
    return kept


def slow_loss(features, top, options, betas, u):
    """Eq. (1)-(10) with lists and loops; returns the loss and the negatives of the first query."""
    n, tau = len(features), options.temperature
    column = {
        (i, a): [features[i, a, :, x].tolist() for x in range(L)]
        for i, a in itertools.product(range(n), range(2))
    }
    p = {key: top[key].tolist() for key in column}
    z = {key: weighted(column[key], p[key]) for key in column}  # (1)
    sns = []
    for i, a, b in itertools.product(range(n), range(2), range(2)):
        target = highest(p[i, b], options.background_mass)  # (5)
        exponentials = []
        for x in range(L):  # (2), (3), (6)
            f = column[i, b][x]
            s = dot(z[i, a], f) if options.sns_similarity == "dot" else cosine(z[i, a], f) / tau
            exponentials.append(0.0 if x in target else math.exp(s))
        weights = [e / sum(exponentials) for e in exponentials]
        sns.append(weighted(column[i, b], weights))  # (4)
    mixes = []
    for key, beta in zip(z, betas, strict=True):
        first, second = sorted(sns, key=lambda s: -cosine(z[key], s))[:2]
        mixes.append(
            [beta * q + (1 - beta) * r for q, r in zip(unit(first), unit(second), strict=True)]
        )
    local = {}
    for key in column:  # (7), (8)
        kept = highest(p[key], u)
        total = sum(p[key][x] for x in kept)
        local[key] = weighted(
            column[key], [p[key][x] / total if x in kept else 0.0 for x in range(L)]
        )
    losses, negatives = [], []
    for i, a in column:
        pool = [z[j, b] for j, b in column if j != i]
        pool += sns if options.sns else []
        pool += mixes if options.mixup else []
        negatives.append(pool)
        other = sum(math.exp(cosine(z[i, a], q) / tau) for q in pool)
        positives = [z[i, 1 - a]]
        positives += [local[i, 0], local[i, 1]] if options.lst else []
        loss = 0.0
        for positive in positives:  # (9)
            own = math.exp(cosine(z[i, a], positive) / tau)
            loss -= math.log(own / (own + other))
        losses.append(loss)  # (10)
    return sum(losses) / len(losses), negatives[0]


@EACH_ABLATION
@pytest.mark.parametrize("n", [2, 3])
def test_the_loss_is_that_of_the_equations(options, n):
    u = 0.7
    options = SoclOptions(**vars(options) | {"lst_mass": (u, u)})
    features, top = batch(n, seed=n)
    betas = torch.rand(2 * n, 1, generator=generator(9), dtype=DOUBLE).flatten().tolist()
    expected, negatives = slow_loss(features, top, options, betas, u)
    loss, _ = socl_loss(features, top, options, generator(9))
    assert float(loss) == pytest.approx(expected, rel=1e-9)
    assert soft_samples(features, top, options).negatives_per_query() == len(negatives)


@pytest.mark.parametrize("n", [2, 3, 5, 96])
def test_number_of_negatives(n):
    features, top = batch(n)
    expected = {
        "templates": 2 * n - 2,
        "lst": 2 * n - 2,
        "sns": 6 * n - 2,
        "sns_mixup": 8 * n - 2,
        "full": 8 * n - 2,
    }
    for name, count in expected.items():
        assert soft_samples(features, top, ABLATIONS[name]).negatives_per_query() == count, name


def test_number_of_negatives_of_the_papers_batch():
    samples = soft_samples(*batch(96), SoclOptions())
    assert samples.negatives_per_query() == 766, "four times the 190 of templates alone"


def test_shapes_of_the_samples():
    samples = soft_samples(*batch(3), SoclOptions())
    assert samples.gst.shape == (3, 2, C)
    assert samples.sns.shape == (3, 2, 2, C)
    assert samples.mix.shape == (6, C)
    assert samples.lst.shape == (3, 2, C)
    assert samples.negatives().shape == (18, C)
    bare = soft_samples(*batch(3), ABLATIONS["templates"])
    assert bare.sns is bare.mix is bare.lst is None
    assert bare.negatives().shape == (0, C)


@EACH_ABLATION
def test_gradient(options):
    features, top = batch(2, seed=4)

    def loss(values):
        return socl_loss(values, top, options, generator(3))[0]

    assert torch.autograd.gradcheck(loss, features.requires_grad_())


def test_gradient_of_the_contrastive_loss_to_every_sample():
    made = soft_samples(*batch(3), SoclOptions(), generator())
    parts = [t.detach().requires_grad_() for t in (made.gst, made.sns, made.mix, made.lst)]
    assert torch.autograd.gradcheck(lambda *p: contrastive_loss(SoftSamples(*p), 0.2)[0], parts)


def test_a_case_with_a_known_answer():
    """Two videos, each with equal templates, at right angles: one positive and two negatives."""
    gst = torch.zeros(2, 2, C, dtype=DOUBLE)
    gst[0, :, 0], gst[1, :, 1] = 3.0, 0.5
    loss, accuracy = contrastive_loss(SoftSamples(gst, None, None, None), 0.5)
    assert float(loss) == pytest.approx(math.log(1 + 2 * math.exp(-2)))
    assert float(accuracy) == 1
    local, _ = contrastive_loss(SoftSamples(gst, None, None, gst), 0.5)
    assert float(local) == pytest.approx(3 * math.log(1 + 2 * math.exp(-2)))


def test_accuracy_counts_queries_whose_partner_is_nearest():
    gst = torch.eye(C, dtype=DOUBLE)[None].repeat(2, 1, 1)[:, :2].clone()
    gst[0] = torch.tensor([[1.0, 0, 0, 0], [0.9, 0.1, 0, 0]])
    gst[1] = torch.tensor([[0, 1.0, 0, 0], [0.8, 0.6, 0, 0]])
    samples = SoftSamples(gst, None, None, None)
    hits = []
    for i, a in itertools.product(range(2), range(2)):
        own = cosine(gst[i, a].tolist(), gst[i, 1 - a].tolist())
        others = [cosine(gst[i, a].tolist(), gst[1 - i, b].tolist()) for b in range(2)]
        hits.append(own > max(others))
    assert 0 < sum(hits) < 4
    assert float(contrastive_loss(samples, 0.1)[1]) == sum(hits) / 4


@given(SEEDS)
def test_swapping_the_frames_of_all_pairs_changes_nothing(seed):
    features, top = batch(3, seed)
    options = SoclOptions(mixup=False, lst_mass=(0.6, 0.6))
    loss, _ = socl_loss(features, top, options, generator())
    swapped, _ = socl_loss(features.flip(1), top.flip(1), options, generator())
    torch.testing.assert_close(loss, swapped)


@given(SEEDS, st.permutations(range(4)))
def test_the_order_of_videos_and_locations_changes_nothing(seed, order):
    features, top = batch(4, seed)
    options = SoclOptions(mixup=False, lst_mass=(0.6, 0.6))
    loss, _ = socl_loss(features, top, options, generator())
    videos, _ = socl_loss(features[list(order)], top[list(order)], options, generator())
    torch.testing.assert_close(loss, videos)
    places = torch.randperm(L, generator=generator(seed))
    moved, _ = socl_loss(features[..., places], top[..., places], options, generator())
    torch.testing.assert_close(loss, moved)


@given(SEEDS, st.floats(0.1, 10))
def test_the_length_of_the_features_changes_nothing(seed, factor):
    features, top = batch(3, seed)
    loss, _ = socl_loss(features, top, SoclOptions(), generator())
    scaled, _ = socl_loss(factor * features, top, SoclOptions(), generator())
    torch.testing.assert_close(loss, scaled)


def test_more_negatives_mean_more_loss():
    features, top = batch(4)
    names = ("templates", "sns", "sns_mixup", "full")
    losses = [float(socl_loss(features, top, ABLATIONS[n], generator())[0]) for n in names]
    assert losses == sorted(losses) and len(set(losses)) == 4


def test_features_of_the_target_do_not_enter_the_sns():
    """Two target cells trade a change, so the template stays; the SNS must stay as well."""
    features, top = batch(2)
    options = SoclOptions(mixup=False, lst=False, background_mass=0.5)
    target = highest(top[0, 0].tolist(), 0.5)
    outside = [x for x in range(L) if x not in target]
    change = torch.randn(C, generator=generator(5), dtype=DOUBLE)

    def sns_after_trade(x, y):
        moved = features.clone()
        moved[0, 0, :, x] += change / top[0, 0, x]
        moved[0, 0, :, y] -= change / top[0, 0, y]
        return soft_samples(moved, top, options).sns

    unchanged = soft_samples(features, top, options).sns
    torch.testing.assert_close(sns_after_trade(*target[:2]), unchanged)
    assert not torch.allclose(sns_after_trade(*outside[:2]), unchanged)


def test_watched_values():
    features, top = batch(3)
    _, watched = socl_loss(features, top, SoclOptions(background_mass=0.6), generator())
    targets = [len(highest(top[i, a].tolist(), 0.6)) for i in range(3) for a in range(2)]
    assert float(watched["masked"]) == pytest.approx(sum(targets) / (6 * L))
    assert not watched["accuracy"].requires_grad and 0 <= float(watched["accuracy"]) <= 1


@EACH_ABLATION
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_dtype_is_kept_and_two_videos_are_enough(options, dtype):
    features, top = batch(2, dtype=dtype)
    loss, _ = socl_loss(features, top, options, generator())
    assert loss.dtype == dtype and loss.shape == () and torch.isfinite(loss) and loss > 0


def test_the_generator_alone_decides_what_is_random():
    features, top = batch(3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, _ = socl_loss(features, top, SoclOptions(), generator(5))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, _ = socl_loss(features, top, SoclOptions(), generator(5))
    other, _ = socl_loss(features, top, SoclOptions(), generator(6))
    assert first == again and first != other


def test_without_a_generator_the_global_one_is_used():
    features, top = batch(3)
    torch.manual_seed(1)
    first, _ = socl_loss(features, top, SoclOptions())
    torch.manual_seed(1)
    again, _ = socl_loss(features, top, SoclOptions())
    assert first == again


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu():
    features, top = (t.cuda() for t in batch(3))
    options = SoclOptions(mixup=False, lst_mass=(0.7, 0.7))
    loss, _ = socl_loss(features, top, options, torch.Generator("cuda").manual_seed(0))
    expected, _ = socl_loss(features.cpu(), top.cpu(), options, generator())
    torch.testing.assert_close(loss.cpu(), expected)


def test_descending_the_loss_makes_templates_agree():
    features, top = batch(3)
    features.requires_grad_()
    optimizer = torch.optim.Adam([features], lr=0.05)
    start, _ = socl_loss(features, top, SoclOptions(), generator())
    for _ in range(60):
        loss, watched = socl_loss(features, top, SoclOptions(), generator())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2 * start and float(watched["accuracy"]) == 1
