"""ResNet-18 as a dense feature extractor, and its ImageNet weights.

As in appendix J of the SoCL paper (footnote 2), the pooling and classifier at the end are gone
and the last stage keeps its resolution (stride 1), so the total stride is 16: 255 pixels give
16 cells, 127 give 8. Parameter names are those of torchvision's resnet18, so that its ImageNet
weights fit.
"""

import hashlib
import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from socl_pipeline.errors import InputError
from socl_pipeline.models.backbone import Backbone
from socl_pipeline.models.weights import load_weights

# Channel statistics of ImageNet on the 0..1 scale, as the torchvision weights expect them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_HASHED_NAME = re.compile(r"-([0-9a-f]{8})\.pth$")  # torch-hub: <name>-<start of sha256>.pth


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Module | None = None
        if channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + shortcut)


def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        _BasicBlock(channels_in, channels_out, stride), _BasicBlock(channels_out, channels_out, 1)
    )


class ResNet18(Backbone):
    """ResNet-18 at stride 16: (N, 3, H, W) raw RGB 0..255 to (N, 512, H', W').

    Weights start as torchvision's do: He-normal (fan out) convolutions, unit batch norms.
    """

    stride = 16
    channels = 512
    # 11 after the pooling (7 + 2*2), then 3x3 convolutions, each adding twice its input's
    # stride: layer1 4*8, layer2 8 + 3*16, layer3 16 + 3*32, layer4 4*32.
    receptive_field = 339
    padded = True

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            buffer = 255 * torch.tensor(values).view(1, 3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)  # torchvision has no such keys
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = _stage(64, 64, 1)
        self.layer2 = _stage(64, 128, 2)
        self.layer3 = _stage(128, 256, 2)
        self.layer4 = _stage(256, self.channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of raw RGB images."""
        x = (images - self.mean) / self.std
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        features: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return features


def load_imagenet(model: ResNet18, path: Path) -> None:
    """Fill `model` with ImageNet weights from a .safetensors or .pth file of torchvision names.

    The classifier (fc.*) is ignored, and the batch norms' step counters may be missing, as in
    old files. A .pth file named as torch-hub does (resnet18-f37072fd.pth) must have a sha256
    that starts with those digits.

    Raises:
        InputError: the file is missing, damaged or not of this network (the first key that is
            missing, unknown or of another shape is named). The model is then unchanged.
    """
    state = {k: v for k, v in _read_state(path).items() if not k.startswith("fc.")}
    _check_state(model.state_dict(), state, path)
    model.load_state_dict(state, strict=False)  # all but the step counters is checked above


def _check_state(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    """Raise an InputError about the first key of `state` that does not fit."""
    advice = "give the weights of torchvision's resnet18"
    for key, tensor in expected.items():
        if key not in state:
            if key.endswith("num_batches_tracked"):
                continue
            raise InputError(f"{path}: key {key} is missing; {advice}.")
        if state[key].shape != tensor.shape:
            found, wanted = tuple(state[key].shape), tuple(tensor.shape)
            raise InputError(f"{path}: key {key} has shape {found}, not {wanted}; {advice}.")
    for key in state:
        if key not in expected:
            raise InputError(f"{path}: key {key} is not part of ResNet-18; {advice}.")


def _read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors or .pth file."""
    if path.suffix == ".safetensors":
        return load_weights(path)[0]
    if path.suffix != ".pth":
        raise InputError(f"{path}: expected a .safetensors or .pth file of weights.")
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights; check the path.")
    _check_hash(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: cannot be read as PyTorch weights; download the file again."
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path}: expected a mapping of names to tensors; save a state dict.")
    return dict(state)


def _check_hash(path: Path) -> None:
    """Raise an InputError if the file's name carries a hash that its bytes do not have."""
    match = _HASHED_NAME.search(path.name)
    if match is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(match[1]):
        raise InputError(
            f"{path}: its sha256 starts with {digest[:8]}, not with {match[1]} as in its name; "
            "download the file again."
        )
