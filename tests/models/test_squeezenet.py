import pytest
import torch

from socl_pipeline.models import SqueezeNet11, build_backbone
from socl_pipeline.models.colours import fold_caffe_colours

# torchvision's squeezenet1_1 without its classifier: number, channels in, squeezed, expanded.
FIRES = [
    (3, 64, 16, 64),
    (4, 128, 16, 64),
    (6, 128, 32, 128),
    (7, 256, 32, 128),
    (9, 256, 48, 192),
    (10, 384, 48, 192),
    (11, 384, 64, 256),
    (12, 512, 64, 256),
]


def expected_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "features.0.weight": (64, 3, 3, 3),
        "features.0.bias": (64,),
    }
    for number, channels, squeezed, expanded in FIRES:
        for part, shape in {
            "squeeze": (squeezed, channels, 1, 1),
            "expand1x1": (expanded, squeezed, 1, 1),
            "expand3x3": (expanded, squeezed, 3, 3),
        }.items():
            shapes[f"features.{number}.{part}.weight"] = shape
            shapes[f"features.{number}.{part}.bias"] = shape[:1]
    return shapes


def build(seed: int = 0) -> SqueezeNet11:
    net = build_backbone("squeezenet1_1", seed)
    assert isinstance(net, SqueezeNet11)
    return net.eval()


def test_keys_and_shapes_are_torchvisions() -> None:
    found = {k: tuple(v.shape) for k, v in build().state_dict().items()}
    assert found == expected_shapes()
    # 1 235 496 of torchvision's network, without the 1x1 classifier
    assert sum(p.numel() for p in build().parameters()) == 1_235_496 - 513_000


@torch.inference_mode()
def test_normalises_raw_colours_itself() -> None:
    net = build()
    mean = 255 * torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    assert net(mean.expand(1, 3, 64, 64)).abs().max() < 1e-4


@torch.inference_mode()
def test_caffes_colours_are_folded_exactly() -> None:
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 3, 3, 3, generator=rng)
    bias = torch.randn(64, generator=rng)
    image = 255 * torch.rand(1, 3, 33, 35, generator=rng)
    caffe = image.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)  # BGR
    expected = torch.conv2d(caffe, weight, bias, stride=2)
    net = build()
    net.features[0].weight.data, net.features[0].bias.data = fold_caffe_colours(weight, bias)
    found = net.features[0](net.normalize(image))
    assert expected.abs().max() > 500
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-3)


@pytest.mark.parametrize(("size", "cells"), [(25, 1), (95, 9), (127, 13), (255, 29)])
@torch.inference_mode()
def test_feature_size(size: int, cells: int) -> None:
    net = build()
    assert net(torch.zeros(1, 3, size, size)).shape == (1, net.channels, cells, cells)
