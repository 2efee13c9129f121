"""The un-padded AlexNet of SiamFC (variant V1 of the siamfc-pytorch code base), random weights.

For an input side of 127 (255) pixels, the output side is 6 (22) cells:

    layer   kernel/stride  groups  channels  side      followed by
    conv1   11/2           1       96        59  123   BN, ReLU
    pool1   3/2                    96        29   61
    conv2   5/1            2       256       25   57   BN, ReLU
    pool2   3/2                    256       12   28
    conv3   3/1            1       384       10   26   BN, ReLU
    conv4   3/1            2       384        8   24   BN, ReLU
    conv5   3/1            2       256        6   22   nothing
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from socl_pipeline.models.backbone import Backbone, Layer

BN_EPS = 1e-6  # siamfc-pytorch
BN_MOMENTUM = 0.05  # siamfc-pytorch


def _block(
    channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return convolution, batch normalisation and ReLU, without padding."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, groups=groups),
        nn.BatchNorm2d(channels_out, eps=BN_EPS, momentum=BN_MOMENTUM),
        nn.ReLU(inplace=True),
    )


class AlexNetV1(Backbone):
    """SiamFC's AlexNet: (N, 3, H, W) raw RGB 0..255 to (N, 256, H', W'), 2.336 M parameters.

    Weights start Xavier-uniform with zero biases (siamfc-pytorch).
    """

    stride = 8
    channels = 256
    receptive_field = 87
    offset = 43.5
    padded = False
    layers: ClassVar = {
        "conv1": Layer(stride=4, channels=96, offset=7.5, kept=16),  # pooled
        "conv5": Layer(stride=8, channels=256, offset=43.5, kept=64),
    }

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _block(3, 96, 11, stride=2)
        self.pool1 = nn.MaxPool2d(3, 2)
        self.conv2 = _block(96, 256, 5, groups=2)
        self.pool2 = nn.MaxPool2d(3, 2)
        self.conv3 = _block(256, 384, 3)
        self.conv4 = _block(384, 384, 3, groups=2)
        self.conv5 = nn.Conv2d(384, self.channels, 3, groups=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of raw RGB images of at least 87 x 87 pixels."""
        return self.between(images, ["conv5"])[0]

    def between(self, images: Tensor, names: Sequence[str]) -> list[Tensor]:
        """Return the features of the named `layers`."""
        found = {"conv1": self.pool1(self.conv1(images))}
        if "conv5" in names:
            x = self.pool2(self.conv2(found["conv1"]))
            found["conv5"] = self.conv5(self.conv4(self.conv3(x)))
        return [found[name] for name in names]
