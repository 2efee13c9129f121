import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from socl_pipeline.errors import InputError
from socl_pipeline.models import ResNet18, build_backbone, load_imagenet

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


@pytest.fixture(scope="module")
def imagenet() -> dict[str, Tensor]:
    """A stand-in for torchvision's file: the same keys, with the classifier."""
    state = build(seed=7).state_dict()
    return {**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def test_keys_and_shapes_are_torchvisions() -> None:
    found = {k: tuple(v.shape) for k, v in build().state_dict().items()}
    assert found == expected_shapes()
    assert sum(p.numel() for p in build().parameters()) == 11_689_512 - 513_000  # without fc


@pytest.mark.parametrize(("size", "cells"), [(127, 8), (255, 16)])
@torch.inference_mode()
def test_feature_size(size: int, cells: int) -> None:
    net = build()
    assert net(torch.zeros(1, 3, size, size)).shape == (1, net.channels, cells, cells)


def test_receptive_field_by_gradient() -> None:
    net = build()
    image = torch.rand(1, 3, 33, 433, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (grad,) = torch.autograd.grad(net(image)[0, :, 1, 13].sum(), image)
    columns = grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    span = int(columns[-1] - columns[0]) + 1
    assert net.receptive_field - 2 * net.stride < span <= net.receptive_field


@torch.inference_mode()
def test_normalises_raw_colours_itself() -> None:
    net = build()
    mean = 255 * torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    assert net(mean.expand(1, 3, 64, 64)).abs().max() < 1e-4
    assert net.half().mean.dtype == torch.float16  # a buffer: it follows the module


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_loads_imagenet_weights(tmp_path: Path, imagenet: dict[str, Tensor], suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(imagenet, path)
    else:
        save_file(imagenet, path)
    net = build()
    load_imagenet(net, path)
    assert all(torch.equal(v, imagenet[k]) for k, v in net.state_dict().items())


def test_step_counters_may_be_missing(tmp_path: Path, imagenet: dict[str, Tensor]) -> None:
    path = tmp_path / "old.pth"
    torch.save({k: v for k, v in imagenet.items() if "num_batches" not in k}, path)
    net = build()
    load_imagenet(net, path)
    assert torch.equal(net.conv1.weight, imagenet["conv1.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer2.0.downsample.0.weight": None}, "layer2.0.downsample.0.weight is missing"),
        ({"layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}, r"conv1.weight has shape \(64, 64,"),
        ({"layer5.0.bn1.bias": torch.zeros(1)}, "layer5.0.bn1.bias is not part"),
    ],
)
def test_first_wrong_key_is_named(
    tmp_path: Path, imagenet: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    path = tmp_path / "wrong.pth"
    torch.save({k: v for k, v in {**imagenet, **change}.items() if v is not None}, path)
    net = build()
    before = net.conv1.weight.clone()
    with pytest.raises(InputError, match=message):
        load_imagenet(net, path)
    assert torch.equal(net.conv1.weight, before)


def test_hash_in_the_name_is_checked(tmp_path: Path, imagenet: dict[str, Tensor]) -> None:
    path = tmp_path / "plain.pth"
    torch.save(imagenet, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    good = path.rename(tmp_path / f"resnet18-{digest[:8]}.pth")
    load_imagenet(build(), good)
    bad = good.rename(tmp_path / "resnet18-f37072fd.pth")
    with pytest.raises(InputError, match=f"starts with {digest[:8]}, not with f37072fd"):
        load_imagenet(build(), bad)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.pth", b"no weights", "cannot be read as PyTorch"),
        ("broken.safetensors", b"no weights", "cannot be read as safetensors"),
        ("weights.npz", b"", "expected a .safetensors or .pth"),
        ("absent.pth", None, "no such file"),
        ("absent.safetensors", None, "no such file"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_imagenet(build(), path)


def test_a_file_that_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "checkpoint.pth")
    with pytest.raises(InputError, match="names to tensors"):
        load_imagenet(build(), tmp_path / "checkpoint.pth")
