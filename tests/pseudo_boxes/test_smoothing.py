import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.pseudo_boxes.smoothing import smoothed_sizes

SIZES = st.lists(st.tuples(st.floats(4, 400), st.floats(4, 400)), min_size=2, max_size=14)


@given(SIZES, st.floats(0.3, 5), st.booleans())
def test_the_sizes_of_sparse_boxes_stay(sizes, scale, closed):
    sizes = np.array(sizes)
    result = smoothed_sizes(sizes, scale, closed)
    assert result.shape == sizes.shape and (result > 0).all()
    assert (result[0] == sizes[0]).all()
    assert not closed or (result[-1] == sizes[-1]).all()


@given(SIZES, st.floats(0.3, 3), st.booleans())
def test_it_equals_a_slow_sum_over_mirror_images(sizes, scale, closed):
    logs = np.log(np.array(sizes))[:, 0]
    last = len(logs) - 1
    line = logs[0] + (logs[-1] - logs[0]) * np.arange(last + 1) / last * closed

    def residual(t):
        if t < 0:
            return -residual(-t)
        if t > last:
            return -residual(2 * last - t) if closed else residual(2 * last - t)
        return logs[t] - line[t]

    reach = int(np.ceil(4 * scale))
    weights = {k: np.exp(-0.5 * (k / scale) ** 2) for k in range(-reach, reach + 1)}
    total = sum(weights.values())
    expected = [
        line[t] + sum(w * residual(t + k) for k, w in weights.items()) / total
        for t in range(last + 1)
    ]
    found = np.log(smoothed_sizes(np.array(sizes), scale, closed)[:, 0])
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("closed", [True, False])
def test_what_grows_evenly_between_boxes_is_left_alone(closed):
    sizes = 20 * 1.1 ** np.arange(9)[:, None] * np.ones(2) if closed else np.full((9, 2), 20.0)
    np.testing.assert_allclose(smoothed_sizes(sizes, 2.0, closed), sizes)


def test_noise_becomes_less():
    rng = np.random.default_rng(0)
    sizes = 50 * np.exp(0.2 * rng.normal(size=(40, 2)))
    rough, smooth = (np.diff(np.log(s), axis=0).std() for s in (sizes, smoothed_sizes(sizes, 2, 1)))
    assert smooth < rough / 3


def test_frames_without_a_size_are_bridged():
    sizes = np.full((7, 2), 20.0)
    sizes[3] = np.nan
    result = smoothed_sizes(sizes, 1.0, True)
    assert np.isnan(result[3]).all()
    np.testing.assert_allclose(np.delete(result, 3, axis=0), 20)


def test_no_scale_changes_nothing():
    sizes = np.array([[20.0, 10], [30, 40], [7, 8]])
    assert (smoothed_sizes(sizes, 0, True) == sizes).all()
