import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.statistics import bootstrap_mean

VALUES = st.floats(-100, 100)
SAMPLES = st.lists(st.tuples(VALUES, st.integers(0, 5)), min_size=2, max_size=40).filter(
    lambda sample: len({cluster for _, cluster in sample}) > 1
)


def unzip(sample):
    values, clusters = zip(*sample, strict=True)
    return np.array(values), np.array(clusters)


@given(SAMPLES, st.integers(0, 3))
def test_interval_lies_between_the_means_of_the_clusters(sample, seed):
    values, clusters = unzip(sample)
    means = [values[clusters == c].mean() for c in np.unique(clusters)]
    low, high = bootstrap_mean(values, clusters, 50, seed)
    assert min(means) - 1e-9 <= low <= high <= max(means) + 1e-9


@given(SAMPLES, st.floats(0.1, 10), VALUES)
def test_interval_moves_and_grows_with_the_values(sample, scale, shift):
    values, clusters = unzip(sample)
    low, high = bootstrap_mean(values, clusters, 50)
    changed = bootstrap_mean(values * scale + shift, clusters, 50)
    np.testing.assert_allclose(changed, [low * scale + shift, high * scale + shift], atol=1e-8)


@given(SAMPLES, st.randoms(use_true_random=False))
def test_order_of_the_values_does_not_matter(sample, random):
    shuffled = random.sample(sample, len(sample))
    np.testing.assert_allclose(
        bootstrap_mean(*unzip(sample), 50), bootstrap_mean(*unzip(shuffled), 50), atol=1e-9
    )


@given(SAMPLES)
def test_clusters_may_have_names(sample):
    values, clusters = unzip(sample)
    names = np.array([f"video{c}" for c in clusters])
    assert bootstrap_mean(values, clusters, 50) == bootstrap_mean(values, names, 50)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(30), 4)
    found = []
    for seed in range(300):
        values = rng.normal(0, 1, 30)[clusters] + rng.normal(0, 0.2, 120)
        low, high = bootstrap_mean(values, clusters, 200, seed)
        found.append(low <= 0 <= high)
    assert 0.89 <= np.mean(found) <= 0.98  # single values drawn: about 0.68


def test_values_of_one_cluster_are_one_observation():
    values, clusters = np.repeat([0.0, 1.0, 2.0, 3.0], 25), np.repeat(np.arange(4), 25)
    assert bootstrap_mean(values, clusters) == bootstrap_mean(values[::25], clusters[::25])


def test_seed_decides_the_draws():
    values, clusters = np.arange(20.0) ** 2, np.arange(20)
    assert bootstrap_mean(values, clusters) == bootstrap_mean(values, clusters)
    assert bootstrap_mean(values, clusters, seed=1) != bootstrap_mean(values, clusters)


def test_one_cluster_has_no_interval():
    assert np.isnan(bootstrap_mean([1.0, 2.0], ["a", "a"])).all()


@pytest.mark.parametrize(
    ("values", "clusters", "message"),
    [([], [], "0"), ([1.0], [1, 2], "2"), ([[1.0]], [[1]], "1, 1"), ([np.nan, 1], [0, 1], "fin")],
)
def test_bad_values_are_refused(values, clusters, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_mean(values, clusters)
