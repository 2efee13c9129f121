import pytest
import torch

from socl_pipeline.models import ResNet18, build_backbone

# torchvision's resnet18 without fc: convolutions, then batch norms and their channels.
CONVOLUTIONS = {
    "conv1.weight": (64, 3, 7, 7),
    "layer1.0.conv1.weight": (64, 64, 3, 3),
    "layer1.0.conv2.weight": (64, 64, 3, 3),
    "layer1.1.conv1.weight": (64, 64, 3, 3),
    "layer1.1.conv2.weight": (64, 64, 3, 3),
    "layer2.0.conv1.weight": (128, 64, 3, 3),
    "layer2.0.conv2.weight": (128, 128, 3, 3),
    "layer2.0.downsample.0.weight": (128, 64, 1, 1),
    "layer2.1.conv1.weight": (128, 128, 3, 3),
    "layer2.1.conv2.weight": (128, 128, 3, 3),
    "layer3.0.conv1.weight": (256, 128, 3, 3),
    "layer3.0.conv2.weight": (256, 256, 3, 3),
    "layer3.0.downsample.0.weight": (256, 128, 1, 1),
    "layer3.1.conv1.weight": (256, 256, 3, 3),
    "layer3.1.conv2.weight": (256, 256, 3, 3),
    "layer4.0.conv1.weight": (512, 256, 3, 3),
    "layer4.0.conv2.weight": (512, 512, 3, 3),
    "layer4.0.downsample.0.weight": (512, 256, 1, 1),
    "layer4.1.conv1.weight": (512, 512, 3, 3),
    "layer4.1.conv2.weight": (512, 512, 3, 3),
}
BATCH_NORMS = {
    "bn1": 64,
    "layer1.0.bn1": 64,
    "layer1.0.bn2": 64,
    "layer1.1.bn1": 64,
    "layer1.1.bn2": 64,
    "layer2.0.bn1": 128,
    "layer2.0.bn2": 128,
    "layer2.0.downsample.1": 128,
    "layer2.1.bn1": 128,
    "layer2.1.bn2": 128,
    "layer3.0.bn1": 256,
    "layer3.0.bn2": 256,
    "layer3.0.downsample.1": 256,
    "layer3.1.bn1": 256,
    "layer3.1.bn2": 256,
    "layer4.0.bn1": 512,
    "layer4.0.bn2": 512,
    "layer4.0.downsample.1": 512,
    "layer4.1.bn1": 512,
    "layer4.1.bn2": 512,
}


def expected_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = dict(CONVOLUTIONS)
    for name, channels in BATCH_NORMS.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()
    return shapes


def build(seed: int = 0) -> ResNet18:
    net = build_backbone("resnet18", seed)
    assert isinstance(net, ResNet18)
    return net.eval()


def test_keys_and_shapes_are_torchvisions() -> None:
    found = {k: tuple(v.shape) for k, v in build().state_dict().items()}
    assert found == expected_shapes()
    assert sum(p.numel() for p in build().parameters()) == 11_689_512 - 513_000  # without fc


@pytest.mark.parametrize(("size", "cells"), [(127, 8), (255, 16)])
@torch.inference_mode()
def test_feature_size(size: int, cells: int) -> None:
    net = build()
    assert net(torch.zeros(1, 3, size, size)).shape == (1, net.channels, cells, cells)


@torch.inference_mode()
def test_normalises_raw_colours_itself() -> None:
    net = build()
    mean = 255 * torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    assert net(mean.expand(1, 3, 64, 64)).abs().max() < 1e-4
    assert net.half().normalize.mean.dtype == torch.float16  # a buffer: it follows the module
