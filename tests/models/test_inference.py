import pytest
import torch
from torch import nn

from socl_pipeline.models.inference import WINOGRAD_CHANNELS, prepare_for_inference
from socl_pipeline.models.onednn import PointwiseConv2d
from socl_pipeline.models.winograd import WinogradConv2d
from socl_pipeline.transt.trunk import build_trunk


def kinds(network):
    return {type(m) for m in network.modules()}


@pytest.fixture
def trunk():
    """A ResNet-50 whose batch norms do something."""
    trunk, _ = build_trunk("resnet50", None, 0)
    torch.manual_seed(1)
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return trunk.eval().to(memory_format=torch.channels_last)


@torch.inference_mode()
def test_prepared_networks_compute_the_same(trunk):
    images = 255 * torch.rand(1, 3, 72, 72).contiguous(memory_format=torch.channels_last)
    before = trunk(images)
    prepare_for_inference(trunk, torch.device("cpu"), "float32")
    assert {WinogradConv2d, PointwiseConv2d} <= kinds(trunk)
    assert nn.BatchNorm2d not in kinds(trunk)
    assert (trunk(images) - before).abs().max() < 1e-4 * before.abs().max()


@pytest.mark.parametrize(("device", "precision"), [("cpu", "bf16"), ("cuda", "float32")])
def test_other_devices_and_precisions_keep_their_convolutions(trunk, device, precision):
    prepare_for_inference(trunk, torch.device(device), precision)
    assert not {WinogradConv2d, PointwiseConv2d, nn.BatchNorm2d} & kinds(trunk)


def test_few_channels_are_convolved_directly():
    network = nn.Sequential(nn.Conv2d(WINOGRAD_CHANNELS - 1, 8, 3, padding=1))
    prepare_for_inference(network, torch.device("cpu"), "float32")
    assert isinstance(network[0], nn.Conv2d)
