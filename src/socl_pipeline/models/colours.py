"""The colours that networks trained on ImageNet expect."""

import torch
from torch import Tensor, nn

# Channel statistics of ImageNet, RGB on the 0..1 scale, as the torchvision weights expect them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# What networks of Caffe subtract from 0..255, in RGB order; they do not scale, and read BGR.
CAFFE_MEAN = (123.68, 116.779, 103.939)


class ImageNetColours(nn.Module):
    """Raw RGB images (N, 3, H, W), 0..255, to zero mean and unit deviation on ImageNet.

    Its constants follow the module to a device or type, but are no part of the state dict, as
    torchvision has no such keys.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            buffer = 255 * torch.tensor(values).view(1, 3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the normalised images."""
        return (images - self.mean) / self.std


def fold_caffe_colours(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first convolution of a Caffe network as one that reads `ImageNetColours`.

    weight (C, 3, k, k), bias (C,): of an unpadded convolution of BGR images minus `CAFFE_MEAN`;
    with padding, whose zeros have another colour then, the border would differ.
    """
    mean, std = (255 * torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    rgb = weight.flip(1)
    shift = (rgb * (mean - torch.tensor(CAFFE_MEAN).view(1, 3, 1, 1))).sum(dim=(1, 2, 3))
    return rgb * std, bias + shift
