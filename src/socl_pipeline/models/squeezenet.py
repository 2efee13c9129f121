"""exp"""

import torch
from torch import Tensor, nn

from socl_pipeline.models.backbone import Backbone
from socl_pipeline.models.colours import ImageNetColours


class _Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 ones side by side (SqueezeNet paper)."""

    def __init__(self, channels_in: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels_in, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


class SqueezeNet11(Backbone):
    stride = 16
    channels = 512
    receptive_field = 207
    offset = 15.5
    padded = True

    def __init__(self, last=12, pool3=2) -> None:
        super().__init__()
        self.normalize = ImageNetColours()
        f = [
            nn.Conv2d(3, 64, 3, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(64, 16, 64),
            _Fire(128, 16, 64),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(128, 32, 128),
            _Fire(256, 32, 128),
            nn.MaxPool2d(3, pool3, ceil_mode=True),
            _Fire(256, 48, 192),
            _Fire(384, 48, 192),
            _Fire(384, 64, 256),
            _Fire(512, 64, self.channels // 2),
        ]
        self.features = nn.Sequential(*f[: last + 1])
        if last < 8:
            self.stride, self.channels = 8, 256
        elif pool3 == 1:
            self.stride = 8
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.features(self.normalize(images))
        return features
