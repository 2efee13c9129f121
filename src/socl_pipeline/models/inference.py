"""Networks that are only used, rewritten so that they compute the same sooner."""

from collections.abc import Iterator

import torch
from torch import nn

from socl_pipeline.models import onednn, winograd
from socl_pipeline.models.backbone import Precision
from socl_pipeline.models.folding import fold_batch_norms

# With fewer channels the transforms cost what the products save.
WINOGRAD_CHANNELS = 64


def prepare_for_inference(network: nn.Module, device: torch.device, precision: Precision) -> None:
    """Fold a network's batch norms and, for float32 on a CPU, replace slow convolutions.

    The features stay the same up to rounding; gradients are lost, so give it a copy in evaluation
    mode. The network is still moved to `device`, and to channels last, by who called.
    """
    fold_batch_norms(network)
    if device.type == "cpu" and precision == "float32":
        for parent, name, conv in list(_convolutions(network)):
            if onednn.is_pointwise(conv):
                setattr(parent, name, onednn.PointwiseConv2d(conv))
            elif winograd.fits(conv) and conv.in_channels >= WINOGRAD_CHANNELS:
                setattr(parent, name, winograd.WinogradConv2d(conv))


def _convolutions(network: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Conv2d]]:
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d):
                yield module, name, child
