import pytest
import torch
from torch import nn

from socl_pipeline.models import build_backbone
from socl_pipeline.models.folding import fold_batch_norms


def with_statistics(name):
    """A backbone whose batch norms do something."""
    network = build_backbone(name, 0).eval()
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.bias, 0, 0.3)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network


@pytest.mark.parametrize("name", ["resnet18", "alexnet_v1", "squeezenet1_1"])
@torch.inference_mode()
def test_folded_networks_compute_the_same_without_batch_norms(name):
    network = with_statistics(name)
    images = 255 * torch.rand(2, 3, 127, 127)
    layers = list(network.layers)
    before = network.between(images, layers)
    fold_batch_norms(network)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    for old, new in zip(before, network.between(images, layers), strict=True):
        assert (new - old).abs().max() < 1e-4 * old.abs().max()
