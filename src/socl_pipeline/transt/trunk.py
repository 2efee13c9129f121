"""Trunks of TransT: ImageNet networks cut short, at stride 8, so that S pixels give S / 8 cells.

Parameters are named as torchvision's, so that its weights fit. Raw RGB 0..255 goes in.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from socl_pipeline.models.colours import ImageNetColours
from socl_pipeline.models.pretrained import ORIGINS, Origin, fill_pretrained
from socl_pipeline.models.resnet import BasicBlock, ResNet18, shortcut
from socl_pipeline.models.squeezenet import SqueezeNet11
from socl_pipeline.settings.transt import TrunkName

LAYER3_DILATION = 2  # of its first block, in place of its stride; the others have 1 (TransT)


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 ones, with a shortcut; four times as many channels out."""

    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        channels_out = self.expansion * channels
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(
            channels, channels, 3, stride, padding=dilation, dilation=dilation, bias=False
        )
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample = shortcut(channels_in, channels_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 4 channels, H', W') of (N, channels_in, H, W)."""
        direct = x if self.downsample is None else self.downsample(x)
        x = torch.relu_(self.bn1(self.conv1(x)))
        x = torch.relu_(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x)).add_(direct).relu_()


class ResNetTrunk(nn.Module):
    """A ResNet up to layer3, which keeps the resolution of layer2."""

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: tuple[int, int, int]):
        super().__init__()
        self.normalize = ImageNetColours()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = [64, *(block.expansion * c for c in (64, 128, 256))]
        self.layer1 = _stage(block, channels[0], 64, depths[0])
        self.layer2 = _stage(block, channels[1], 128, depths[1], stride=2)
        self.layer3 = _stage(block, channels[2], 256, depths[2], dilation=LAYER3_DILATION)
        self.channels = channels[3]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (N, channels, H / 8, W / 8) of raw RGB images."""
        x = self.maxpool(torch.relu_(self.bn1(self.conv1(self.normalize(images)))))
        features: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return features


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    channels_in: int,
    channels: int,
    depth: int,
    stride: int = 1,
    dilation: int = 1,
) -> nn.Sequential:
    """Return blocks of which the first alone has the stride or the dilation."""
    first = block(channels_in, channels, stride, dilation)
    rest = (block(block.expansion * channels, channels, 1) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)


class SqueezeNetTrunk(nn.Module):
    """SqueezeNet 1.1 up to fire7, on patches with a margin.

    Its pools do not pad: cell i of fire7 lies at 15.5 + 8 i px, and 8 n - 1 px have n - 3 cells
    (`models.squeezenet`). A margin of 12 and 11 px in ImageNet's mean colour makes that 3.5 + 8 i
    and S / 8.
    """

    channels = 384
    _margin = (12, 11, 12, 11)  # px left, right, top, bottom
    _end = 11  # the layers of torchvision's `features` up to fire7

    def __init__(self) -> None:
        super().__init__()
        self.normalize = ImageNetColours()
        self.features = SqueezeNet11().features[: self._end]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (N, 384, H / 8, W / 8) of raw RGB images."""
        padded = nn.functional.pad(self.normalize(images), self._margin)
        features: Tensor = self.features(padded)
        return features


# ResNet-50: torchvision's first ImageNet weights (IMAGENET1K_V1), as TransT's authors had.
TRUNK_ORIGINS: dict[TrunkName, Origin] = {
    "resnet50": Origin(
        "resnet50",
        "https://download.pytorch.org/models/resnet50-0676ba61.pth",
        ("layer4.", "fc."),
    ),
    "resnet18": replace(ORIGINS[ResNet18], classifier=("layer4.", "fc.")),
    "squeezenet1_1": replace(
        ORIGINS[SqueezeNet11], classifier=("classifier.", "features.11.", "features.12.")
    ),
}


def build_trunk(
    name: TrunkName, weights: Path | Literal["imagenet"] | None, seed: int
) -> tuple[nn.Module, int]:
    """Return a trunk on the CPU and its channels, with pretrained weights or random ones.

    weights: as `models.load_pretrained` takes them. Random ones are a function of `seed` alone;
    torch's global random state is left as it was.

    Raises:
        InputError: the weights are not there, damaged, or of another network.
    """
    with torch.random.fork_rng(devices=[]):  # as models.build_backbone
        torch.default_generator.manual_seed(seed)
        trunk = _new(name)
    if weights is not None:
        fill_pretrained(trunk, weights, TRUNK_ORIGINS[name])
    return trunk, trunk.channels


def _new(name: TrunkName) -> ResNetTrunk | SqueezeNetTrunk:
    if name == "resnet50":
        return ResNetTrunk(Bottleneck, (3, 4, 6))
    return ResNetTrunk(BasicBlock, (2, 2, 2)) if name == "resnet18" else SqueezeNetTrunk()
