"""Batch norms of a network that is only used, folded into its convolutions."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> None:
    """Put each batch norm of a network in evaluation mode into the convolution before it.

    The features stay the same up to rounding, and are not read and written once more for it.
    A batch norm is known to follow a convolution in a Sequential, or as `bn1` follows `conv1`.
    """
    for module in list(network.modules()):
        for conv, norm in list(_pairs(module)):
            folded = fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm))
            setattr(module, conv, folded)
            setattr(module, norm, nn.Identity())


def _pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the names of the convolutions and batch norms among a module's children."""
    children = dict(module.named_children())
    candidates: Iterable[tuple[str, str]] = pairwise(children)
    if not isinstance(module, nn.Sequential):
        candidates = [(name, name.replace("conv", "bn")) for name in children]
    for conv, norm in candidates:
        follows = isinstance(children.get(norm), nn.BatchNorm2d)
        if follows and isinstance(children[conv], nn.Conv2d):
            yield conv, norm
