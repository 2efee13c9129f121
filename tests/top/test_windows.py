import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.boxes import centers
from socl_pipeline.settings import RandomWindowSettings
from socl_pipeline.top.windows import random_windows, window_templates, within_frame

FRAME = (300.0, 200.0)


def test_templates_are_a_function_of_the_seed():
    first = window_templates(RandomWindowSettings(count=50, seed=1))
    assert first.shape == (50, 2)
    np.testing.assert_array_equal(first, window_templates(RandomWindowSettings(count=50, seed=1)))
    assert not np.allclose(first, window_templates(RandomWindowSettings(count=50, seed=2)))


@given(st.floats(0, 300), st.floats(0, 200), st.floats(1, 5), st.floats(1, 60))
def test_windows_are_centred_with_bounded_side_and_aspect(x, y, aspect, min_side):
    templates = window_templates(RandomWindowSettings(count=200, max_aspect=aspect))
    windows = random_windows(templates, np.array([x, y]), *FRAME, min_side)
    np.testing.assert_allclose(centers(windows), np.tile([x, y], (200, 1)), atol=1e-9)
    side = np.sqrt(windows[:, 2] * windows[:, 3])
    assert (side >= min_side * (1 - 1e-9)).all()
    assert (side <= np.sqrt(FRAME[0] * FRAME[1]) * (1 + 1e-9)).all()
    ratio = windows[:, 2] / windows[:, 3]
    assert (ratio <= aspect * (1 + 1e-9)).all() and (ratio >= 1 / aspect / (1 + 1e-9)).all()


def test_sides_and_aspects_are_log_uniform():
    templates = window_templates(RandomWindowSettings(count=20000))
    windows = random_windows(templates, np.zeros(2), *FRAME, 16)
    log_side = np.log(windows[:, 2] * windows[:, 3]) / 2
    log_aspect = np.log(windows[:, 2] / windows[:, 3])
    for values, low, high in (
        (log_side, np.log(16), np.log(60000) / 2),
        (log_aspect, -np.log(3), np.log(3)),
    ):
        counts, _ = np.histogram(values, 10, (low, high))
        assert counts.sum() == 20000
        assert abs(counts - 2000).max() < 200


def test_a_frame_smaller_than_the_smallest_side():
    templates = window_templates(RandomWindowSettings(count=5))
    windows = random_windows(templates, np.array([4, 4]), 8, 8, 16)
    np.testing.assert_allclose(windows[:, 2] * windows[:, 3], 256)


@pytest.mark.parametrize("border_loss", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("point", [(150, 100), (12, 30), (299, 199)])
def test_windows_lose_at_most_the_given_share(point, border_loss):
    templates = window_templates(RandomWindowSettings(count=500))
    windows = random_windows(templates, np.array(point, float), *FRAME, 4)
    kept = within_frame(windows, *FRAME, border_loss)
    expected = []
    for x, y, w, h in windows:
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, FRAME[0]), min(y + h, FRAME[1])
        if (x1 - x0) * (y1 - y0) >= (1 - border_loss) * w * h - 1e-9:
            expected.append([x0, y0, x1 - x0, y1 - y0])
    if expected:
        np.testing.assert_allclose(kept, expected)
    else:
        assert len(kept) == 500, "nothing fits, so everything that reaches in is kept"
    assert (kept[:, :2] >= 0).all() and (kept[:, :2] + kept[:, 2:] <= np.array(FRAME) + 1e-9).all()


def test_a_click_on_the_corner_keeps_windows():
    templates = window_templates(RandomWindowSettings(count=20))
    windows = random_windows(templates, np.array(FRAME), *FRAME, 10)
    kept = within_frame(windows, *FRAME, 0.1)
    assert len(kept) == 20
    np.testing.assert_allclose(kept[:, :2] + kept[:, 2:], np.tile(FRAME, (20, 1)))


def test_windows_outside_are_never_kept():
    outside = np.array([[-20.0, 5, 10, 10], [400, 5, 10, 10], [5, 5, 10, 10]])
    np.testing.assert_allclose(within_frame(outside, *FRAME, 1.0)[-1], [5, 5, 10, 10])
    assert len(within_frame(outside[:2], *FRAME, 0.1)) == 0
