"""SqueezeNet 1.1 without its classifier: a small pretrained network, faster than SiamFC's AlexNet.

The layers, their numbers and their names are those of torchvision's squeezenet1_1, so that its
ImageNet weights fit. As the SoCL paper does with the last stage of ResNet-18, the last pooling
keeps its resolution, so the total stride is 8. For an input side of 127 (255) pixels:

    features  layer            channels  side      cell 0 at  sees
    0, 1      conv 3/2, ReLU   64        63   127  1.5 px     3 px
    2         pool 3/2, ceil   64        31   63   3.5        7
    3, 4      fire             128       31   63   3.5        23
    5         pool 3/2, ceil   128       15   31   7.5        31
    6, 7      fire             256       15   31   7.5        63
    8         pool 3/1         256       13   29   15.5       79
    9 .. 12   fire             512       13   29   15.5       143

The first convolution and the pools do not pad, the 3x3 convolutions of the fire modules do. Cells
of patches of 8 n - 1 pixels, as above, lie symmetrically; otherwise the last cells of the pools
are cut.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from socl_pipeline.models.backbone import Backbone, Layer
from socl_pipeline.models.colours import ImageNetColours


class _Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and padded 3x3 ones side by side."""

    def __init__(self, channels_in: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels_in, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


class SqueezeNet11(Backbone):
    """SqueezeNet 1.1 at stride 8: (N, 3, H, W) raw RGB 0..255 to (N, 512, H', W'), 0.722 M weights.

    Weights start as torchvision's do: He-uniform convolutions with zero biases.
    """

    stride = 8
    channels = 512
    receptive_field = 143
    offset = 15.5
    padded = True
    layers: ClassVar = {
        "conv1": Layer(
            stride=4, channels=64, offset=3.5, kept=16
        ),  # pooled, as layer 2 of the table
        "fire3": Layer(stride=4, channels=128, offset=3.5),
        "fire5": Layer(stride=8, channels=256, offset=7.5),
        "fire7": Layer(stride=8, channels=384, offset=15.5, kept=64),
        "fire9": Layer(stride=8, channels=512, offset=15.5),
    }
    _ends: ClassVar = {"conv1": 3, "fire3": 5, "fire5": 8, "fire7": 11, "fire9": 13}

    def __init__(self) -> None:
        super().__init__()
        self.normalize = ImageNetColours()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(64, 16, 64),
            _Fire(128, 16, 64),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(128, 32, 128),
            _Fire(256, 32, 128),
            nn.MaxPool2d(3, 1),
            _Fire(256, 48, 192),
            _Fire(384, 48, 192),
            _Fire(384, 64, 256),
            _Fire(512, 64, 256),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of raw RGB images of at least 25 x 25 pixels."""
        features: Tensor = self.features(self.normalize(images))
        return features

    def between(self, images: Tensor, names: Sequence[str]) -> list[Tensor]:
        """Return the features of the named `layers`."""
        found: dict[str, Tensor] = {}
        x, done = self.normalize(images), 0
        for name in sorted(names, key=self._ends.__getitem__):
            x = self.features[done : self._ends[name]](x)
            found[name], done = x, self._ends[name]
        return [found[name] for name in names]
