"""Which pixels a feature cell sees, of every backbone."""

import math

import pytest
import torch

from socl_pipeline.models import Backbone, build_backbone
from socl_pipeline.socl.prior import feature_grid
from socl_pipeline.trackers.siamfc import SiamFCSettings

BACKBONES = ("alexnet_v1", "resnet18", "squeezenet1_1")


def build(name) -> Backbone:
    return build_backbone(name, seed=0).eval()


@torch.inference_mode()
def sees_nan(net: Backbone, columns: slice | int, width: int, cell: int) -> bool:
    """Whether a cell of the middle row changes with pixel columns; NaN spreads through all."""
    image = torch.full((1, 3, math.ceil(net.receptive_field), width), 100, dtype=torch.float64)
    image[..., columns] = torch.nan
    features = net.double()(image)
    return bool(features[0, :, features.shape[2] // 2, cell].isnan().any())


@pytest.mark.parametrize("name", BACKBONES)
def test_a_cell_sees_its_receptive_field_around_its_centre(name: str) -> None:
    net = build(name)
    cell = math.ceil(net.receptive_field / 2 / net.stride) + 1
    center = net.offset + net.stride * cell
    first, end = (round(center + s * net.receptive_field / 2) for s in (-1, 1))
    width = end + net.stride
    assert first > 0
    assert sees_nan(net, first, width, cell)
    assert sees_nan(net, end - 1, width, cell)
    assert not sees_nan(net, slice(0, first), width, cell)
    assert not sees_nan(net, slice(end, width), width, cell)


@pytest.mark.parametrize("name", BACKBONES)
def test_the_cells_of_siamfcs_patches_are_centred_alike(name: str) -> None:
    """Else the peak of the response of an object at rest is off the response's centre."""
    net, settings = build(name), SiamFCSettings()
    middles = []
    for size in (settings.exemplar_size, settings.search_size):
        grid = feature_grid(net, size)
        middles.append(grid.start + grid.step * grid.cells / 2 - size / 2)
    assert middles[0] == middles[1]
    assert abs(middles[0]) <= net.stride / 2
    assert not (settings.search_size - settings.exemplar_size) % (2 * net.stride)
