import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.top.maps import clip_level, coverage, score_map, top_map

SEEDS = st.integers(0, 10_000)


def random_boxes(rng, n, size):
    low = rng.integers(-5, size, (n, 2))
    return np.concatenate([low, rng.integers(1, size, (n, 2))], axis=1).astype(float)


@given(SEEDS)
def test_whole_boxes_on_a_grid_of_pixels_are_slices(seed):
    rng = np.random.default_rng(seed)
    boxes, scores = random_boxes(rng, 6, 20), rng.uniform(0, 1, 6)
    expected = np.zeros((15, 20))
    for (x, y, w, h), score in zip(boxes.astype(int), scores, strict=True):
        expected[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] += score
    actual = score_map(boxes, scores, np.array([0, 0, 20, 15]), 15, 20)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


@given(SEEDS, st.integers(1, 4))
def test_coarse_cells_average_fine_ones(seed, factor):
    rng = np.random.default_rng(seed)
    boxes, scores = rng.uniform(-3, 12, (4, 4)), rng.uniform(0, 1, 4)
    boxes[:, 2:] = np.abs(boxes[:, 2:])
    region = np.array([1.5, -2, 12, 12])
    fine = score_map(boxes, scores, region, 6 * factor, 6 * factor)
    blocks = fine.reshape(6, factor, 6, factor).mean(axis=(1, 3))
    np.testing.assert_allclose(score_map(boxes, scores, region, 6, 6), blocks, atol=1e-9)


def test_coverage_is_the_share_of_each_cell():
    shares = coverage(np.array([1.5, -4.0, 7.0]), np.array([2.0, 5.0, 9.0]), 0.0, 2.0, 4)
    expected = [[0.25, 0.75, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 0.5]]
    np.testing.assert_allclose(shares, expected)


def test_the_mass_of_a_box_inside_is_its_area():
    mapped = score_map(
        np.array([[3.3, 4.1, 2.7, 5.2]]), np.array([1.0]), np.array([0, 0, 24, 24]), 8, 8
    )
    assert mapped.sum() * 9 == pytest.approx(2.7 * 5.2)


@given(SEEDS, st.floats(0.01, 1))
def test_the_clip_level_is_the_mean_of_the_top_share(seed, share):
    scores = np.random.default_rng(seed).uniform(0, 5, (7, 9))
    count = max(1, round(share * 63))
    expected = np.mean(sorted(scores.ravel())[-count:])
    assert clip_level(scores, share) == pytest.approx(expected)


@given(SEEDS, st.floats(0.01, 1), st.sampled_from([1.0, 10.0, "raw"]))
def test_top_maps_are_probabilities_that_keep_the_order(seed, share, gain):
    scores = np.random.default_rng(seed).uniform(0, 5, (7, 9))
    probability = top_map(scores, share, gain)
    assert probability.sum() == pytest.approx(1) and (probability > 0).all()
    order = np.argsort(scores.ravel())
    assert (np.diff(probability.ravel()[order]) >= -1e-15).all()


def test_everything_above_the_level_is_one_plateau():
    scores = np.random.default_rng(0).uniform(0, 5, (20, 20))
    level = clip_level(scores, 0.1)
    probability = top_map(scores, 0.1)
    above = scores >= level
    assert 1 < above.sum() <= 40
    np.testing.assert_allclose(probability[above], probability.max())
    assert (probability[~above] < probability.max()).all()


@pytest.mark.parametrize("gain", [2.0, 10.0])
def test_the_gain_makes_the_scale_of_the_scores_irrelevant(gain):
    scores = np.random.default_rng(0).uniform(0, 5, (9, 9))
    np.testing.assert_allclose(top_map(7 * scores, 0.1, gain), top_map(scores, 0.1, gain))
    scores[0, 0] = 0
    probability = top_map(scores, 0.1, gain)
    assert probability.max() / probability[0, 0] == pytest.approx(np.exp(gain))


def test_raw_is_the_softmax_of_the_clipped_scores():
    scores = np.random.default_rng(0).uniform(0, 5, (9, 9))
    clipped = np.exp(np.minimum(scores, clip_level(scores, 0.2)))
    np.testing.assert_allclose(top_map(scores, 0.2, "raw"), clipped / clipped.sum())


def test_without_scores_the_map_is_uniform():
    np.testing.assert_allclose(top_map(np.zeros((4, 5)), 0.1), np.full((4, 5), 1 / 20))
