import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from socl_pipeline.errors import InputError
from socl_pipeline.models import ResNet18, SqueezeNet11, build_backbone
from socl_pipeline.transt.trunk import TRUNK_ORIGINS, build_trunk


def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{p}": (channels,) for p in parts} | {f"{name}.num_batches_tracked": ()}


def resnet50_to_layer3() -> dict[str, tuple[int, ...]]:
    """Names and shapes of torchvision's resnet50, without layer4 and fc."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7)} | norm("bn1", 64)
    inside = 64
    for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6)), start=1):
        for block in range(depth):
            name = f"layer{stage}.{block}"
            shapes[f"{name}.conv1.weight"] = (width, inside, 1, 1)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes[f"{name}.conv3.weight"] = (4 * width, width, 1, 1)
            shapes |= norm(f"{name}.bn1", width) | norm(f"{name}.bn2", width)
            shapes |= norm(f"{name}.bn3", 4 * width)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, inside, 1, 1)
                shapes |= norm(f"{name}.downsample.1", 4 * width)
            inside = 4 * width
    return shapes


def test_resnet50_is_torchvisions() -> None:
    trunk, channels = build_trunk("resnet50", None, 0)
    assert {k: tuple(v.shape) for k, v in trunk.state_dict().items()} == resnet50_to_layer3()
    assert channels == 1024


@pytest.mark.parametrize("name", ["resnet50", "resnet18", "squeezenet1_1"])
@torch.inference_mode()
def test_a_cell_is_eight_pixels(name: str) -> None:
    trunk, channels = build_trunk(name, None, 0)  # type: ignore[arg-type]
    for size in (64, 104):
        features = trunk.eval()(torch.zeros(1, 3, size, size))
        assert features.shape == (1, channels, size // 8, size // 8)


@torch.inference_mode()
def test_resnet18_is_the_backbone_up_to_layer2() -> None:
    whole = build_backbone("resnet18", 3).eval()
    assert isinstance(whole, ResNet18)
    trunk, _ = build_trunk("resnet18", None, 0)
    state = {k: v for k, v in whole.state_dict().items() if not k.startswith("layer4.")}
    trunk.load_state_dict(state)
    seen = {}
    trunk.layer2.register_forward_hook(lambda *given: seen.update(out=given[-1]))  # type: ignore[union-attr]
    image = 255 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    trunk.eval()(image)
    assert torch.allclose(seen["out"], whole.between(image, ["layer2"])[0], atol=1e-5)


def convolutions(module: torch.nn.Module) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [
        (m.stride, m.dilation)
        for m in module.modules()
        if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)
    ]


def test_the_first_block_of_layer3_is_dilated() -> None:
    deep, thin = (build_trunk(n, None, 0)[0].layer3 for n in ("resnet50", "resnet18"))
    plain, wide = ((1, 1), (1, 1)), ((1, 1), (2, 2))
    assert convolutions(deep) == [wide] + 5 * [plain]
    assert convolutions(thin) == [wide, wide, plain, plain]


@torch.inference_mode()
def test_squeezenet_is_the_backbone_on_a_margin() -> None:
    whole = build_backbone("squeezenet1_1", 3).eval()
    assert isinstance(whole, SqueezeNet11)
    trunk, _ = build_trunk("squeezenet1_1", None, 0)
    state = whole.state_dict()
    trunk.load_state_dict({k: state[k] for k in trunk.state_dict()})
    image = 255 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean = whole.normalize.mean
    padded = mean.expand(1, 3, 87, 87).clone()
    padded[:, :, 12:-11, 12:-11] = image
    assert torch.allclose(trunk.eval()(image), whole.between(padded, ["fire7"])[0], atol=1e-5)


def published(name: str) -> dict[str, Tensor]:
    """A stand-in for torchvision's file: more layers than the trunk, and a classifier."""
    whole = build_backbone(name, 9).state_dict()  # type: ignore[arg-type]
    classifier = {"resnet18": "fc.weight", "squeezenet1_1": "classifier.1.weight"}[name]
    return whole | {classifier: torch.zeros(1000, 512)}


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_pretrained_weights(tmp_path: Path, name: str) -> None:
    state = published(name)
    save_file(state, tmp_path / "w.safetensors")
    trunk, _ = build_trunk(name, tmp_path / "w.safetensors", 0)  # type: ignore[arg-type]
    assert all(torch.equal(v, state[k]) for k, v in trunk.state_dict().items())


def test_resnet50s_weights(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(5)
    state = {
        k: torch.rand(s, generator=rng) if s else torch.tensor(7)
        for k, s in resnet50_to_layer3().items()
    }
    surplus = {"layer4.0.conv1.weight": torch.zeros(512), "fc.bias": torch.zeros(1000)}
    torch.save(state | surplus, tmp_path / "plain.pth")
    digest = hashlib.sha256((tmp_path / "plain.pth").read_bytes()).hexdigest()
    path = (tmp_path / "plain.pth").rename(tmp_path / f"resnet50-{digest[:8]}.pth")
    trunk, _ = build_trunk("resnet50", path, 0)
    assert all(torch.equal(v, state[k]) for k, v in trunk.state_dict().items())
    wrong = path.rename(tmp_path / "resnet50-0676ba61.pth")
    with pytest.raises(InputError, match="not with 0676ba61"):
        build_trunk("resnet50", wrong, 0)


def test_weights_of_another_network(tmp_path: Path) -> None:
    save_file(published("squeezenet1_1"), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="give weights of resnet18 with torchvision's names"):
        build_trunk("resnet18", tmp_path / "w.safetensors", 0)


def test_published_files_are_named_by_their_hash() -> None:
    for origin in TRUNK_ORIGINS.values():
        assert origin.url is not None and "-" in origin.url.rsplit("/", 1)[1]
