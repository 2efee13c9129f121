"""The sums and their written-out gradient against autograd on the equations as they stand."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from socl_pipeline.socl import soft_sums as module
from socl_pipeline.socl.soft_sums import soft_sums

DOUBLE = torch.float64
SIMILARITIES = ("cosine", "dot")
CASES = st.fixed_dictionaries(
    {
        "n": st.integers(1, 5),
        "c": st.integers(1, 9),
        "cells": st.integers(1, 5),
        "k": st.integers(1, 3),
        "similarity": st.sampled_from(SIMILARITIES),
        "temperature": st.floats(0.05, 2),
        "share": st.sampled_from([0.0, 0.3, 0.7, 1.0]),
        "channels_last": st.booleans(),
        "seed": st.integers(0, 10_000),
    }
)


def case(n=3, c=5, cells=4, k=2, share=0.7, channels_last=True, seed=0, dtype=DOUBLE, **options):
    """Features as a network gives them, weights that sum to 1, and where negatives are sought."""
    generator = torch.Generator().manual_seed(seed)
    form = torch.channels_last if channels_last else torch.contiguous_format
    maps = torch.randn(2 * n, c, cells, cells, generator=generator, dtype=DOUBLE)
    maps = maps.to(dtype).contiguous(memory_format=form)
    weights = torch.randn(n, 2, k, cells**2, generator=generator, dtype=DOUBLE).softmax(-1)
    background = torch.rand(n, 2, cells**2, generator=generator) < share
    return SimpleNamespace(
        maps=maps.requires_grad_(),
        features=maps.flatten(2).unflatten(0, (-1, 2)),
        weights=weights,
        background=background,
        options={"similarity": "cosine", "temperature": 0.2} | options,
        generator=generator,
    )


def plain_sums(features, weights, background, similarity, temperature):
    """The same in as many steps as there are equations; autograd does the rest."""
    sums = torch.einsum("nbcl,nbkl->nbkc", features, weights)
    templates, searched = sums[:, :, 0], features
    if similarity == "cosine":
        templates = normalize(templates, dim=-1) / temperature
        searched = normalize(features, dim=-2)
    found = torch.einsum("nac,nbcl->nabl", templates, searched)
    nothing = ~background.any(-1)[:, None, :, None]
    found = found.masked_fill(~background[:, None], -torch.inf).masked_fill(nothing, 0.0)
    return sums, torch.einsum("nbcl,nabl->nabc", features, found.softmax(-1))


def gradients(function, made, factors):
    results = function(made.features, made.weights, made.background, **made.options)
    total = sum((r * f).sum() for r, f in zip(results, factors, strict=True))
    return torch.autograd.grad(total, made.maps, retain_graph=True)[0]


def random_factors(made):
    shapes = [
        r.shape
        for r in plain_sums(
            made.features, made.weights.to(made.features.dtype), made.background, **made.options
        )
    ]
    return [torch.randn(s, generator=made.generator, dtype=DOUBLE) for s in shapes]


@given(CASES, st.integers(1, 200))
def test_values_and_gradients_are_those_of_the_equations(drawn, part):
    made = case(**drawn)
    factors = random_factors(made)
    expected = plain_sums(made.features, made.weights, made.background, **made.options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CPU_PART", part)  # a video at a time, several, or all
        actual = soft_sums(made.features, made.weights, made.background, **made.options)
        gradient = gradients(soft_sums, made, factors)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(gradient, gradients(plain_sums, made, factors))
    assert gradient.shape == made.maps.shape


@given(CASES)
def test_sums_alone(drawn):
    made = case(**drawn)
    factor = random_factors(made)[0]
    sums, nothing = soft_sums(made.features, made.weights, None, **made.options)
    expected = torch.einsum("nbcl,nbkl->nbkc", made.features, made.weights)
    assert nothing is None
    torch.testing.assert_close(sums, expected)
    torch.testing.assert_close(
        torch.autograd.grad((sums * factor).sum(), made.maps)[0],
        torch.autograd.grad((expected * factor).sum(), made.maps)[0],
    )


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_numerical_gradient(similarity):
    made = case(n=2, cells=3, similarity=similarity)

    def results(features):
        return soft_sums(features, made.weights, made.background, **made.options)

    features = made.features.detach().contiguous().requires_grad_()
    assert torch.autograd.gradcheck(results, features)


@pytest.mark.parametrize("unused", [0, 1])
def test_a_result_that_is_not_used_has_no_gradient(unused):
    made = case()
    factors = random_factors(made)
    factors[unused] = torch.zeros_like(factors[unused])
    used = soft_sums(made.features, made.weights, made.background, **made.options)[1 - unused]
    torch.testing.assert_close(
        torch.autograd.grad((used * factors[1 - unused]).sum(), made.maps)[0],
        gradients(plain_sums, made, factors),
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_features_of_low_precision_are_summed_in_full(similarity, dtype):
    """The sums are as exact as of the same numbers in double; under autocast as well."""
    made = case(n=4, c=16, cells=8, similarity=similarity, dtype=dtype)
    exact = case(n=4, c=16, cells=8, similarity=similarity)
    exact.maps.data.copy_(made.maps.data)
    exact.features = exact.maps.flatten(2).unflatten(0, (-1, 2))
    factors = random_factors(exact)
    with torch.autocast("cpu", torch.bfloat16):
        actual = soft_sums(made.features, made.weights, made.background, **made.options)
        gradient = gradients(soft_sums, made, factors)
    expected = plain_sums(exact.features, exact.weights, exact.background, **exact.options)
    for one, other in zip(actual, expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-6)
    assert gradient.dtype == dtype
    rounding = torch.finfo(dtype).eps + 1e-5
    torch.testing.assert_close(
        gradient.double(), gradients(plain_sums, exact, factors), rtol=rounding, atol=1e-6
    )


def test_gradients_are_laid_out_as_the_features_are():
    for channels_last in (True, False):
        made = case(c=8, channels_last=channels_last)
        gradient = gradients(soft_sums, made, random_factors(made))
        assert gradient.stride() == made.maps.stride()


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, DOUBLE])
def test_zero_features_give_finite_gradients(similarity, dtype):
    made = case(n=2, dtype=dtype, similarity=similarity, temperature=0.01)
    made.maps.data[0], made.maps.data[1, :, 1, 2] = 0, 0
    assert torch.isfinite(gradients(soft_sums, made, random_factors(made))).all()


def test_the_features_are_the_only_large_tensor_that_is_kept():
    made = case(n=4, c=32, cells=8, dtype=torch.bfloat16)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        soft_sums(made.features, made.weights, made.background, **made.options)
    large = [t for t in kept if t.numel() * t.element_size() >= made.maps.nbytes / 2]
    assert len(large) == 1 and large[0].data_ptr() == made.maps.data_ptr()
    kept.clear()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        soft_sums(made.features, made.weights, None, **made.options)
    assert kept and all(t.numel() < made.maps.numel() for t in kept)
