"""The SoCL loss against slow loops over queries, written from Eq. (1)-(10)."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.socl.loss import (
    SoclOptions,
    contrastive_loss,
    draw_noise,
    shared_negatives,
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
FULL = ABLATIONS["full"]
EACH_ABLATION = pytest.mark.parametrize("options", ABLATIONS.values(), ids=ABLATIONS.keys())


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(n=3, options=FULL, seed=0):
    return draw_noise(n, L, options, np.random.default_rng(seed))


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
    drawn = noise(n, options) | {"mixup": torch.rand(n, 2, generator=generator(9), dtype=DOUBLE)}
    betas = drawn["mixup"].flatten().tolist()
    expected, negatives = slow_loss(features, top, options, betas, u)
    loss, _ = socl_loss(features, top, options, drawn)
    assert float(loss) == pytest.approx(expected, rel=1e-9)
    shared = shared_negatives(soft_samples(features, top, options, drawn), options, drawn)
    assert 2 * (n - 1) + len(shared) == len(negatives)


@pytest.mark.parametrize("n", [2, 3, 96])
def test_number_of_negatives(n):
    """K = 8N - 2 at most: for the paper's batch 766, four times the 190 of templates alone."""
    features, top = batch(n)
    expected = {"templates": 0, "lst": 0, "sns": 4 * n, "sns_mixup": 6 * n, "full": 6 * n}
    for name, count in expected.items():
        options, drawn = ABLATIONS[name], noise(n, ABLATIONS[name])
        samples = soft_samples(features, top, options, drawn)
        assert shared_negatives(samples, options, drawn).shape == (count, C), name


def test_shapes_of_the_samples():
    samples = soft_samples(*batch(3), FULL, noise(3))
    shapes = {name: sample.shape for name, sample in samples.items()}
    assert shapes == {"gst": (3, 2, C), "sns": (3, 2, 2, C), "lst": (3, 2, C)}
    assert set(soft_samples(*batch(3), ABLATIONS["templates"], {})) == {"gst"}


@pytest.mark.parametrize("shape", [(3, 2, L + 1), (3, 1, L), (3, L), (2, 2, L)])
def test_maps_that_do_not_fit_the_features(shape):
    with pytest.raises(ValueError, match="do not fit"):
        soft_samples(batch(3)[0], torch.ones(shape, dtype=DOUBLE), FULL, noise())


@EACH_ABLATION
def test_gradient(options):
    features, top = batch(2, seed=4)
    drawn = noise(2, options, 3)

    def loss(values):
        return socl_loss(values, top, options, drawn)[0]

    assert torch.autograd.gradcheck(loss, features.requires_grad_())


def test_gradient_of_the_contrastive_loss_to_every_sample():
    options, drawn = SoclOptions(temperature=0.2), noise(3)
    made = soft_samples(*batch(3), options, drawn)
    parts = [made[name].detach().requires_grad_() for name in made]

    def loss(*values):
        return contrastive_loss(dict(zip(made, values, strict=True)), options, drawn)[0]

    assert len(parts) == 3 and torch.autograd.gradcheck(loss, parts)


def test_a_case_with_a_known_answer():
    """Two videos, each with equal templates, at right angles: one positive and two negatives."""
    gst = torch.zeros(2, 2, C, dtype=DOUBLE)
    gst[0, :, 0], gst[1, :, 1] = 3.0, 0.5
    options = SoclOptions(temperature=0.5, sns=False, mixup=False)
    loss, accuracy = contrastive_loss({"gst": gst}, options, {})
    assert float(loss) == pytest.approx(math.log(1 + 2 * math.exp(-2)))
    assert float(accuracy) == 1
    local, _ = contrastive_loss({"gst": gst, "lst": gst}, options, {})
    assert float(local) == pytest.approx(3 * math.log(1 + 2 * math.exp(-2)))


def test_accuracy_counts_queries_whose_partner_is_nearest():
    gst = torch.eye(C, dtype=DOUBLE)[None].repeat(2, 1, 1)[:, :2].clone()
    gst[0] = torch.tensor([[1.0, 0, 0, 0], [0.9, 0.1, 0, 0]])
    gst[1] = torch.tensor([[0, 1.0, 0, 0], [0.8, 0.6, 0, 0]])
    hits = []
    for i, a in itertools.product(range(2), range(2)):
        own = cosine(gst[i, a].tolist(), gst[i, 1 - a].tolist())
        others = [cosine(gst[i, a].tolist(), gst[1 - i, b].tolist()) for b in range(2)]
        hits.append(own > max(others))
    assert 0 < sum(hits) < 4
    _, accuracy = contrastive_loss({"gst": gst}, ABLATIONS["templates"], {})
    assert float(accuracy) == sum(hits) / 4


@given(SEEDS)
def test_swapping_the_frames_of_all_pairs_changes_nothing(seed):
    features, top = batch(3, seed)
    drawn = noise(seed=seed)
    loss, _ = socl_loss(features, top, FULL, drawn)
    flipped = {name: values.flip(1) for name, values in drawn.items()}
    swapped, _ = socl_loss(features.flip(1), top.flip(1), FULL, flipped)
    torch.testing.assert_close(loss, swapped)


@given(SEEDS, st.permutations(range(4)))
def test_the_order_of_videos_and_locations_changes_nothing(seed, order):
    features, top = batch(4, seed)
    drawn, order = noise(4, seed=seed), list(order)
    loss, _ = socl_loss(features, top, FULL, drawn)
    moved = {name: values[order] for name, values in drawn.items()}
    videos, _ = socl_loss(features[order], top[order], FULL, moved)
    torch.testing.assert_close(loss, videos)
    places = torch.randperm(L, generator=generator(seed))
    moved = drawn | {"lst_order": drawn["lst_order"][..., places]}
    locations, _ = socl_loss(features[..., places], top[..., places], FULL, moved)
    torch.testing.assert_close(loss, locations)


@given(SEEDS)
def test_parts_of_a_batch_give_the_samples_of_the_whole(seed):
    features, top = batch(4, seed)
    drawn = noise(4, seed=seed)
    whole = soft_samples(features, top, FULL, drawn)
    parts = [
        soft_samples(features[part], top[part], FULL, {k: v[part] for k, v in drawn.items()})
        for part in (slice(0, 1), slice(1, 4))
    ]
    for name, values in whole.items():
        torch.testing.assert_close(torch.cat([p[name] for p in parts]), values)


@given(SEEDS, st.floats(0.1, 10))
def test_the_length_of_the_features_changes_nothing(seed, factor):
    features, top = batch(3, seed)
    loss, _ = socl_loss(features, top, FULL, noise())
    scaled, _ = socl_loss(factor * features, top, FULL, noise())
    torch.testing.assert_close(loss, scaled)


def test_more_negatives_mean_more_loss():
    features, top = batch(4)
    names = ("templates", "sns", "sns_mixup", "full")
    losses = [
        float(socl_loss(features, top, ABLATIONS[n], noise(4, ABLATIONS[n]))[0]) for n in names
    ]
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
        return soft_samples(moved, top, options, {})["sns"]

    unchanged = soft_samples(features, top, options, {})["sns"]
    torch.testing.assert_close(sns_after_trade(*target[:2]), unchanged)
    assert not torch.allclose(sns_after_trade(*outside[:2]), unchanged)


def test_watched_values():
    features, top = batch(3)
    _, watched = socl_loss(features, top, SoclOptions(background_mass=0.6), noise())
    targets = [len(highest(top[i, a].tolist(), 0.6)) for i in range(3) for a in range(2)]
    assert float(watched["masked"]) == pytest.approx(sum(targets) / (6 * L))
    assert not watched["accuracy"].requires_grad and 0 <= float(watched["accuracy"]) <= 1


@EACH_ABLATION
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_dtype_is_kept_and_two_videos_are_enough(options, dtype):
    features, top = batch(2, dtype=dtype)
    loss, _ = socl_loss(features, top, options, noise(2, options))
    assert loss.dtype == dtype and loss.shape == () and torch.isfinite(loss) and loss > 0


def test_the_noise_alone_decides_what_is_random():
    features, top = batch(3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, _ = socl_loss(features, top, FULL, noise(seed=5))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, _ = socl_loss(features, top, FULL, noise(seed=5))
    other, _ = socl_loss(features, top, FULL, noise(seed=6))
    assert first == again and first != other


def test_what_is_drawn():
    drawn = noise(500, SoclOptions(lst_mass=(0.3, 0.8)))
    assert {k: v.shape for k, v in drawn.items()} == {
        "lst_order": (500, 2, L),
        "lst_mass": (500, 2),
        "mixup": (500, 2),
    }
    for values, low, high in (
        (drawn["lst_order"], 0, 1),
        (drawn["lst_mass"], 0.3, 0.8),
        (drawn["mixup"], 0, 1),
    ):
        assert values.dtype == torch.float32
        counts = torch.histc(values, 5, low, high)
        assert counts.sum() == values.numel(), "none lies outside"
        expected = values.numel() / 5
        assert (counts - expected).abs().max() < 5 * expected**0.5
    assert noise(2, ABLATIONS["templates"]) == {}
    assert set(noise(2, ABLATIONS["sns_mixup"])) == {"mixup"}
    assert set(noise(2, ABLATIONS["lst"])) == {"lst_order", "lst_mass"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu():
    features, top = batch(3)
    expected, _ = socl_loss(features, top, FULL, noise())
    drawn = {k: v.cuda() for k, v in noise().items()}
    loss, _ = socl_loss(features.cuda(), top.cuda(), FULL, drawn)
    torch.testing.assert_close(loss.cpu(), expected)


def test_descending_the_loss_makes_templates_agree():
    features, top = batch(3)
    features.requires_grad_()
    optimizer = torch.optim.Adam([features], lr=0.05)
    start, _ = socl_loss(features, top, FULL, noise())
    for _ in range(60):
        loss, watched = socl_loss(features, top, FULL, noise())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2 * start and float(watched["accuracy"]) == 1
