"""ResNet-18 as a dense feature extractor.

As in appendix J of the SoCL paper (footnote 2), the pooling and classifier at the end are gone
and the last stage keeps its resolution (stride 1), so the total stride is 16: 255 pixels give
16 cells, 127 give 8. Parameter names are those of torchvision's resnet18, so that its ImageNet
weights fit.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from socl_pipeline.models.backbone import Backbone, Layer
from socl_pipeline.models.colours import ImageNetColours


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; `dilation` is of both."""

    expansion = 1  # channels out, over those in between

    def __init__(self, channels_in: int, channels_out: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        wide = {"padding": dilation, "dilation": dilation, "bias": False}
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, **wide)  # type: ignore[arg-type]
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, **wide)  # type: ignore[arg-type]
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample = shortcut(channels_in, channels_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels_out, H', W') of (N, channels_in, H, W)."""
        direct = x if self.downsample is None else self.downsample(x)
        x = torch.relu_(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x)).add_(direct).relu_()


def shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential | None:
    """Return what brings a block's input to its output's channels and size; None: it fits."""
    if channels_in == channels_out:
        return None
    convolution = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out))


def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(channels_in, channels_out, stride), BasicBlock(channels_out, channels_out, 1)
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
    offset = 0.5
    padded = True
    # "conv1" is averaged over 2 x 2 cells, so that it has the stride that correlation filters
    # take their shallow features at (ECO); the others are the network's own.
    layers: ClassVar = {
        "conv1": Layer(stride=4, channels=64, offset=1.5, kept=16),
        "layer1": Layer(stride=4, channels=64, offset=0.5),
        "layer2": Layer(stride=8, channels=128, offset=0.5),
        "layer3": Layer(stride=16, channels=256, offset=0.5, kept=64),
        "layer4": Layer(stride=16, channels=512, offset=0.5),
    }

    def __init__(self) -> None:
        super().__init__()
        self.normalize = ImageNetColours()
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
        features: Tensor = self.between(images, ["layer4"])[0]
        return features

    def between(self, images: Tensor, names: Sequence[str]) -> list[Tensor]:
        """Return the features of the named `layers`."""
        x = torch.relu_(self.bn1(self.conv1(self.normalize(images))))
        found = {"conv1": functional.avg_pool2d(x, 2)} if "conv1" in names else {}
        stages = iter(("layer1", "layer2", "layer3", "layer4"))
        if set(names) - set(found):
            x = self.maxpool(x)
        while set(names) - set(found):
            name = next(stages)
            x = getattr(self, name)(x)
            found[name] = x
        return [found[name] for name in names]
