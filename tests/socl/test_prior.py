import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.models import build_backbone
from socl_pipeline.socl.prior import CellGrid, coverage, feature_grid, score_maps, top_probability
from socl_pipeline.top import maps

SEEDS = st.integers(0, 10_000)


def random_boxes(seed, batch, k):
    rng = np.random.default_rng(seed)
    boxes = np.concatenate(
        [rng.uniform(-30, 110, (batch, k, 2)), rng.uniform(0, 90, (batch, k, 2))], axis=-1
    )
    return boxes, rng.uniform(0, 1, (batch, k))


@given(SEEDS, st.floats(-8, 40), st.floats(1, 20), st.integers(1, 12))
def test_rasters_equal_those_of_numpy(seed, start, step, cells):
    boxes, scores = random_boxes(seed, 3, 5)
    grid = CellGrid(start, step, cells)
    region = np.array([start, start, step * cells, step * cells])
    expected = [
        maps.score_map(b, s, region, cells, cells).ravel()
        for b, s in zip(boxes, scores, strict=True)
    ]
    actual = score_maps(torch.from_numpy(boxes), torch.from_numpy(scores), grid)
    assert actual.shape == (3, cells * cells)
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-9)


@given(SEEDS)
def test_coverage_equals_that_of_numpy(seed):
    boxes, _ = random_boxes(seed, 2, 4)
    expected = [maps.coverage(b[:, 0], b[:, 2], 3.5, 8.0, 9) for b in boxes]
    low, size = torch.from_numpy(boxes[..., 0]), torch.from_numpy(boxes[..., 2])
    np.testing.assert_allclose(coverage(low, size, CellGrid(3.5, 8.0, 9)), expected, atol=1e-12)


@given(SEEDS, st.floats(0.01, 1), st.sampled_from([1.0, 10.0, "raw"]))
def test_probabilities_equal_those_of_numpy(seed, share, gain):
    scores = np.random.default_rng(seed).uniform(0, 5, (4, 6, 7))
    scores[3] = 0
    expected = [maps.top_map(s, share, gain).ravel() for s in scores]
    actual = top_probability(torch.from_numpy(scores).flatten(1), share, gain)
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(actual.sum(dim=1), 1)


def test_padding_boxes_add_nothing():
    boxes, scores = random_boxes(0, 2, 3)
    padded = np.concatenate([boxes, np.zeros((2, 4, 4))], axis=1)
    more = np.concatenate([scores, np.zeros((2, 4))], axis=1)
    grid = CellGrid(0.0, 8.0, 10)
    a = score_maps(torch.from_numpy(boxes), torch.from_numpy(scores), grid)
    b = score_maps(torch.from_numpy(padded), torch.from_numpy(more), grid)
    torch.testing.assert_close(a, b)


def test_rows_come_first():
    box = torch.tensor([[[8.0, 0.0, 8.0, 8.0]]])  # second column, first row
    raster = score_maps(box, torch.ones(1, 1), CellGrid(0.0, 8.0, 3))
    assert raster.tolist() == [[0, 1, 0, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("name", "window", "expected"),
    [
        ("alexnet_v1", 255, CellGrid(39.5, 8.0, 22)),
        ("alexnet_v1", 127, CellGrid(39.5, 8.0, 6)),
        ("resnet18", 255, CellGrid(-7.5, 16.0, 16)),
        ("resnet18", 127, CellGrid(-7.5, 16.0, 8)),
        ("squeezenet1_1", 255, CellGrid(11.5, 8.0, 29)),
        ("squeezenet1_1", 127, CellGrid(11.5, 8.0, 13)),
    ],
)
def test_feature_grid(name, window, expected):
    assert feature_grid(build_backbone(name, seed=0).eval(), window) == expected


@pytest.mark.parametrize("name", ["alexnet_v1", "resnet18", "squeezenet1_1"])
def test_cells_lie_where_the_gradient_says(name):
    """The pixels that a feature cell depends on are centred where the grid puts the cell."""
    window = 255
    backbone = build_backbone(name, seed=0).eval().double()
    image = torch.zeros(1, 3, window, window, dtype=torch.float64, requires_grad=True)
    cells = feature_grid(build_backbone(name, seed=0).eval(), window)
    row, column = 7, 9
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(window, window, dtype=torch.float64)
    for _ in range(3):
        noise = 255 * torch.rand(image.shape, generator=generator, dtype=torch.float64)
        values = backbone(image + noise)[0, :, row, column]
        weights = torch.randn(len(values), generator=generator, dtype=torch.float64)
        (gradient,) = torch.autograd.grad((values * weights).sum(), image)
        total += gradient.square().sum(dim=(0, 1))
    position = torch.arange(window) + 0.5
    y = (total.sum(dim=1) * position).sum() / total.sum()
    x = (total.sum(dim=0) * position).sum() / total.sum()
    for found, index in ((y, row), (x, column)):
        assert float(found) == pytest.approx(cells.start + cells.step * (index + 0.5), abs=6)
