"""Tiny networks: what costs time in the real ones is not what is tested."""

import pytest
import torch
from torch import nn

from socl_pipeline.models.colours import ImageNetColours
from socl_pipeline.transt.network import TransT, TransTShape

TINY = TransTShape(width=16, heads=2, layers=2, feedforward=24, dropout=0.1)


@pytest.fixture
def tiny():
    """A function that builds a network on one convolution as its trunk, in evaluation mode."""

    def build(shape=TINY, seed=0):
        torch.manual_seed(seed)
        trunk = nn.Sequential(ImageNetColours(), nn.Conv2d(3, 6, 8, 8), nn.BatchNorm2d(6))
        network = TransT(trunk, 6, shape).eval()
        for parameter in network.parameters():
            if parameter.dim() > 1:  # or all cells end up much alike
                nn.init.normal_(parameter, 0, 1.5 * parameter[0].numel() ** -0.5)
            else:  # biases and norms, too, must go where they belong
                parameter.data += 0.3 * torch.randn_like(parameter)
        return network

    return build
