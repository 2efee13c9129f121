import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.annotation.clicks import noisy_points, sample_frames, sample_videos

NAMES = [f"video{i}" for i in range(12)]
FRAMES = [3, 10, 1, 7, 5, 20, 2, 9, 4, 6, 8, 15]


def sample(count=None, hours=None, seed=0, names=NAMES, frames=FRAMES):
    return sample_videos(names, frames, count=count, hours=hours, seconds_per_frame=2.0, seed=seed)


@given(st.floats(0, 100), st.integers(0, 2**31), st.text(max_size=8), st.integers(1, 20))
def test_the_shift_has_exactly_the_radius(noise, seed, video, n):
    points = np.random.default_rng(0).uniform(0, 300, (n, 2))
    shift = noisy_points(points, noise, seed, video) - points
    np.testing.assert_allclose(np.linalg.norm(shift, axis=1), noise, atol=1e-9)


def test_directions_are_uniform():
    shift = noisy_points(np.zeros((20000, 2)), 1, 0, "a")
    counts, _ = np.histogram(np.arctan2(shift[:, 1], shift[:, 0]), 8, (-np.pi, np.pi))
    assert abs(counts - 2500).max() < 250, "five standard deviations of a bin are 234"


def test_the_shift_depends_on_seed_video_and_frame_only():
    points = np.random.default_rng(1).uniform(0, 300, (9, 2))
    shift = noisy_points(points, 5, 0, "a") - points
    np.testing.assert_allclose(noisy_points(points + 50, 5, 0, "a") - points - 50, shift)
    partly = np.where(np.arange(9)[:, None] == 4, points, np.nan)
    np.testing.assert_allclose(noisy_points(partly, 5, 0, "a")[4], points[4] + shift[4])
    for seed, video in ((1, "a"), (0, "b")):
        assert not np.allclose(noisy_points(points, 5, seed, video) - points, shift)


def test_noise_scales_the_same_shift():
    zero = np.zeros((4, 2))
    np.testing.assert_allclose(noisy_points(zero, 10, 3, "a"), 2 * noisy_points(zero, 5, 3, "a"))


@given(st.integers(0, 60), st.floats(0.01, 1))
def test_sampled_frames_are_evenly_spaced(n, fraction):
    indices = np.arange(n) * 3 + 7
    chosen = sample_frames(indices, fraction)
    assert len(chosen) == (max(1, round(n * fraction)) if n else 0)
    if n:
        assert chosen[0] == indices[0]
        assert np.isin(chosen, indices).all()
        gaps = np.diff(chosen) // 3
        assert (gaps > 0).all()
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_everything_without_limits():
    assert sample() == NAMES
    assert sample(count=99) == NAMES
    assert sample(hours=1e6) == NAMES


@given(st.integers(1, 12), st.integers(0, 50))
def test_more_videos_contain_fewer(count, seed):
    smaller, larger = sample(count=count, seed=seed), sample(count=count + 1, seed=seed)
    assert len(smaller) == count
    assert set(smaller) <= set(larger)
    assert smaller == sorted(smaller, key=NAMES.index), "original order"


@given(st.floats(0, 0.06), st.floats(0, 0.06), st.integers(0, 50))
def test_a_larger_budget_contains_a_smaller_one(a, b, seed):
    small, large = sorted((a, b))
    chosen, more = sample(hours=small, seed=seed), sample(hours=large, seed=seed)
    assert set(chosen) <= set(more)
    for hours, names in ((small, chosen), (large, more)):
        spent = 2.0 * sum(FRAMES[NAMES.index(n)] for n in names)
        assert spent <= 3600 * hours + 1e-6


def test_the_budget_is_used_up_to_the_next_video():
    order = [next(iter(set(sample(count=k)) - set(sample(count=k - 1)))) for k in range(2, 13)]
    order = sample(count=1) + order
    for hours in (0.01, 0.02, 0.04):
        count = len(sample(hours=hours))
        spent = 2.0 * sum(FRAMES[NAMES.index(n)] for n in order[: count + 1])
        assert set(sample(hours=hours)) == set(order[:count])
        assert spent > 3600 * hours


def test_both_limits_hold():
    assert len(sample(count=2, hours=1e6)) == 2
    assert sample(count=2, hours=0) == []


def test_seeds_draw_other_videos():
    assert len({tuple(sample(count=4, seed=s)) for s in range(10)}) > 5


@pytest.mark.parametrize("frames", [10, 13, 15, 101, 1234])
def test_a_budget_of_exactly_so_many_frames_pays_for_them(frames):
    hours = frames * 2.27 / 3600
    for length, expected in ((frames, ["a"]), (frames + 1, [])):
        chosen = sample_videos(
            ["a"], [length], count=None, hours=hours, seconds_per_frame=2.27, seed=0
        )
        assert chosen == expected
