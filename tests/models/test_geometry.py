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


# an image high enough for one cell at least, and wide enough for the middle cells to see no border
LAYER_IMAGES = {"alexnet_v1": (87, 255), "resnet18": (16, 720), "squeezenet1_1": (31, 351)}


@pytest.mark.parametrize("name", BACKBONES)
@torch.inference_mode()
def test_cells_of_the_layers_lie_where_they_say(name: str) -> None:
    """The cells that see both sides of an edge lie, on average over its places, around it."""
    net = build(name)
    height, width = LAYER_IMAGES[name]
    edges = [width // 2 + i for i in range(16)]
    images = torch.full((2, len(edges), 3, height, width), 100.0)
    for i, edge in enumerate(edges):
        images[0, i, :, :, :edge] = torch.nan
        images[1, i, :, :, edge:] = torch.nan
    maps = net.between(images.flatten(0, 1), list(net.layers))
    for (layer, expected), found in zip(net.layers.items(), maps, strict=True):
        assert found.shape[1] == expected.channels, layer
        middle = found.unflatten(0, images.shape[:2])[:, :, :, found.shape[2] // 2]
        both = middle.isnan().any(dim=2).all(dim=0)  # (edges, cells)
        assert not both[:, 0].any(), layer
        assert not both[:, -1].any(), layer
        ends = [(int(b.nonzero().min()), int(b.nonzero().max())) for b in both]
        assert ends[-1][0] > ends[0][0] or expected.stride == 16
        cells = sum(first + last for first, last in ends) / (2 * len(ends))
        center = sum(edges) / len(edges)
        assert expected.offset + expected.stride * cells == pytest.approx(center), layer


@pytest.mark.parametrize("name", BACKBONES)
@torch.inference_mode()
def test_layers_come_in_the_order_asked_and_the_last_is_the_output(name: str) -> None:
    net = build(name)
    image = 255 * torch.rand(1, 3, 103, 103, generator=torch.Generator().manual_seed(0))
    names = list(net.layers)
    everything = net.between(image, names)
    assert torch.equal(everything[-1], net(image))
    for layer, expected in zip(names, everything, strict=True):
        assert torch.equal(net.between(image, [layer])[0], expected)
    for found, expected in zip(net.between(image, names[::-1]), everything[::-1], strict=True):
        assert torch.equal(found, expected)


# what a layer needs, and what comes after it and must not be computed
NEEDED = {
    ("alexnet_v1", "conv1"): ("pool1", "conv2"),
    ("resnet18", "conv1"): ("bn1", "maxpool"),
    ("resnet18", "layer1"): ("layer1", "layer2"),
    ("resnet18", "layer3"): ("layer3", "layer4"),
    ("squeezenet1_1", "conv1"): ("features.2", "features.3"),
    ("squeezenet1_1", "fire5"): ("features.7", "features.8"),
}


@pytest.mark.parametrize(("name", "layer"), NEEDED)
@torch.inference_mode()
def test_nothing_beyond_the_last_layer_is_computed(name: str, layer: str) -> None:
    net, called = build(name), []
    for path in NEEDED[name, layer]:
        net.get_submodule(path).register_forward_hook(lambda *_, path=path: called.append(path))
    net.between(torch.zeros(1, 3, 103, 103), [layer])
    assert called == [NEEDED[name, layer][0]]


@torch.inference_mode()
def test_the_shallow_layers_are_the_modules_outputs() -> None:
    image = 255 * torch.rand(1, 3, 103, 103, generator=torch.Generator().manual_seed(0))
    alexnet, resnet, squeezenet = (build(n) for n in BACKBONES)
    x = alexnet.pool1(alexnet.conv1(image))
    assert torch.equal(alexnet.between(image, ["conv1"])[0], x)
    x = resnet.bn1(resnet.conv1(resnet.normalize(image))).clamp(min=0)
    blocks = x[:, :, :52, :52].unfold(2, 2, 2).unfold(3, 2, 2)
    torch.testing.assert_close(resnet.between(image, ["conv1"])[0], blocks.mean(dim=(4, 5)))
    x = squeezenet.normalize(image)
    for i in range(5):
        x = squeezenet.features[i](x)
    assert torch.equal(squeezenet.between(image, ["fire3"])[0], x)
