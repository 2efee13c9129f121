import numpy as np
import pytest
import torch

from socl_pipeline.trackers.eco.blocks import Block, Layout

BLOCKS = [Block(3, 2), Block(1, 4), Block(2, 1)]


@pytest.fixture
def layout():
    return Layout(BLOCKS, torch.device("cpu"))


def test_sizes(layout) -> None:
    assert [(b.rows, b.columns, b.size) for b in BLOCKS] == [(7, 4, 56), (3, 2, 24), (5, 3, 15)]
    assert (layout.size, layout.highest) == (95, 3)


def test_views_are_joined_again(layout) -> None:
    vector = torch.arange(layout.size).to(torch.complex64)
    views = layout.views(vector)
    assert [tuple(v.shape) for v in views] == [(7, 4, 2), (3, 2, 4), (5, 3, 1)]
    assert torch.equal(layout.join(views), vector)
    views[1][0, 0, 0] = -1
    assert vector[56] == -1


def test_inner_is_the_mean_product_of_the_functions(layout, slow) -> None:
    """Parseval, with the functions by direct sums at as many points as the products need."""
    rng = np.random.default_rng(0)
    pairs = [[slow.random_spectrum(rng, b.highest, b.channels) for b in BLOCKS] for _ in "ab"]
    at = np.arange(8) / 8 - 0.3
    expected = 0.0
    for a, b in zip(*pairs, strict=True):
        products = [slow.evaluate(a, x, y) @ slow.evaluate(b, x, y) for x in at for y in at]
        expected += float(np.mean(products))
    a, b = (
        layout.join([torch.from_numpy(slow.half(f)).to(torch.complex64) for f in fulls])
        for fulls in pairs
    )
    assert float(layout.inner(a, b)) == pytest.approx(expected, rel=1e-4)


def test_low_is_a_view_of_the_low_frequencies(layout, slow) -> None:
    rng = np.random.default_rng(1)
    full = slow.random_spectrum(rng, 1, 2)
    grid = layout.grid(2)
    assert grid.shape == (7, 4, 2)
    layout.low(grid, BLOCKS[1]).add_(torch.from_numpy(slow.half(full)))
    np.testing.assert_allclose(slow.whole(grid), slow.padded(full, 3), atol=1e-6)
