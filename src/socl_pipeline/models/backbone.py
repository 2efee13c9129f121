"""What every feature extractor of this package offers."""

from torch import Tensor, nn


class Backbone(nn.Module):
    """Features (N, channels, H', W') of raw RGB images (N, 3, H, W), floats from 0 to 255.

    Any normalisation of the colours happens inside, so every user feeds the same numbers.
    """

    stride: int  # image pixels from one feature cell to the next
    channels: int  # feature channels
    receptive_field: int  # side of the image square that one cell depends on, in pixels
    padded: bool  # whether convolutions pad: then border cells know where the crop ends

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of raw RGB images."""
        raise NotImplementedError
