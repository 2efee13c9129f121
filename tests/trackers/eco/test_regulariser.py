import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.trackers.eco.blocks import Block, Layout
from socl_pipeline.trackers.eco.regulariser import Regulariser, mirrored, window_coefficients

CPU = torch.device("cpu")


def two_dimensional(along_x, along_y):
    """Return the coefficients (ky, kx) of the sum of a function of x and one of y."""
    reach = max(len(along_x), len(along_y)) // 2
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    kernel[reach, reach - len(along_x) // 2 : reach + len(along_x) // 2 + 1] += along_x
    kernel[reach - len(along_y) // 2 : reach + len(along_y) // 2 + 1, reach] += along_y
    return kernel


@pytest.mark.parametrize("threshold", [0.005, 0.05, 0.12, 0.9])
@pytest.mark.parametrize(
    ("side", "object_size"), [(24, (6.0, 6.0)), (25, (4.0, 9.5)), (22, (9.0, 3.3))]
)
def test_window_is_that_of_a_dense_transform(side, object_size, threshold, slow) -> None:
    minimum, edge = 1e-3, 1e-1
    expected = slow.window(side, object_size, minimum, edge, threshold)
    along_x, along_y = window_coefficients(side, object_size, minimum, edge, threshold)
    assert len(along_x) % 2 == len(along_y) % 2 == 1
    found = two_dimensional(along_x, along_y)
    reach, middle = len(found) // 2, side // 2
    assert reach < middle
    part = slice(middle - reach, middle + reach + 1)
    np.testing.assert_allclose(found, expected[part, part], atol=1e-9 * np.abs(expected).max())
    beyond = expected.copy()
    beyond[part, part] = 0
    assert np.abs(beyond).max() < 1e-12 * np.abs(expected).max()
    points = np.arange(side) / side
    values = [[slow.evaluate(found, x, y) for x in points] for y in points]
    assert np.min(values) == pytest.approx(minimum, rel=1e-6)


def test_window_keeps_to_the_shape_of_the_object(slow) -> None:
    """Small on the object, and less so across its short side."""
    window = two_dimensional(*window_coefficients(90, (10.0, 30.0), 1e-4, 1e-2, 0.01))
    middle, right, below = (slow.evaluate(window, *p) for p in ((0, 0), (0.3, 0), (0, 0.3)))
    assert middle < 0.02 * right
    assert right / below == pytest.approx(9, rel=0.2)


def random_filter(slow, layout, seed):
    rng = np.random.default_rng(seed)
    fulls = [slow.random_spectrum(rng, b.highest, b.channels) for b in layout.blocks]
    halves = [torch.from_numpy(slow.half(f)).to(torch.complex64) for f in fulls]
    return fulls, layout.join(halves)


# taps along x and y, which may reach beyond the highest frequency of a block; the constant of y
# is zero as from `window_coefficients`
TAPS = [
    ([0.3, -0.8, 1.9, -0.8, 0.3], [-0.7, 0.0, -0.7]),
    ([-0.5, 1.2, -0.5], [0.1, -0.2, -0.6, 0.0, -0.6, -0.2, 0.1]),
    ([1.5], [0.0]),
]


@pytest.mark.parametrize("taps", TAPS)
def test_apply_multiplies_twice_by_the_window(taps, slow) -> None:
    layout = Layout([Block(4, 2), Block(1, 3), Block(0, 1)], CPU)
    kernel = two_dimensional(*taps)
    fulls, vector = random_filter(slow, layout, 0)
    found = Regulariser(layout, *map(np.array, taps)).apply(vector)
    for full, part in zip(fulls, layout.views(found), strict=True):
        twice = slow.convolve(slow.convolve(full, kernel), kernel)
        cut = (len(twice) - len(full)) // 2
        expected = twice[cut : len(twice) - cut, cut : len(twice) - cut]
        np.testing.assert_allclose(slow.whole(part), expected, atol=1e-5)


def test_apply_is_the_product_in_space(slow) -> None:
    """<f, W^T W f> is the mean of (w f)^2 over the period."""
    layout = Layout([Block(3, 2)], CPU)
    taps = [np.array(t) for t in TAPS[0]]
    kernel = two_dimensional(*taps)
    (full,), vector = random_filter(slow, layout, 1)
    at = np.arange(12) / 12
    values = [slow.evaluate(kernel, x, y) * slow.evaluate(full, x, y) for x in at for y in at]
    found = layout.inner(vector, Regulariser(layout, *taps).apply(vector))
    assert float(found) == pytest.approx(float(np.mean(np.sum(np.square(values), 1))), rel=1e-4)


@given(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3), st.integers(0, 1000))
def test_apply_is_self_adjoint_and_positive(slow, highest, x_reach, y_reach, seed) -> None:
    layout = Layout([Block(highest, 2), Block(2, 1)], CPU)
    rng = np.random.default_rng(seed)
    halves = [rng.normal(size=r) for r in (x_reach, y_reach)]
    along_x, along_y = (
        np.concatenate([h[::-1], [m], h]) for h, m in zip(halves, (3.0, 0.0), strict=True)
    )
    regulariser = Regulariser(layout, along_x, along_y)
    a, b = (random_filter(slow, layout, seed + i)[1] for i in (0, 1))
    left = layout.inner(regulariser.apply(a), b)
    right = layout.inner(a, regulariser.apply(b))
    scale = layout.inner(a, a).sqrt() * layout.inner(b, b).sqrt() * regulariser.energy * 20
    assert abs(left - right) <= 1e-5 * scale
    assert layout.inner(a, regulariser.apply(a)) >= -1e-5 * scale
    kernel = two_dimensional(along_x, along_y)
    assert regulariser.energy == pytest.approx((kernel**2).sum())


@pytest.mark.parametrize("reach", [0, 1, 3, 5])
def test_mirrored_columns_are_conjugates(reach, slow) -> None:
    full = slow.random_spectrum(np.random.default_rng(0), 3, 2)
    found = mirrored(torch.from_numpy(slow.half(full)), reach).numpy()
    wide = slow.padded(full, 5)[2:-2]
    np.testing.assert_allclose(found, wide[:, 5 - reach : 9], atol=1e-12)
