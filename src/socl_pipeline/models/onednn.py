"""Linear layers by oneDNN, which torch itself leaves to another library.

On one thread of an AMD processor oneDNN is a tenth faster, and needs no copy of the bias.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_AVAILABLE = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return what `torch.nn.functional.linear` does: (..., C') of (..., C), (C', C) and (C',).

    By oneDNN in inference mode, for float32 on a CPU.
    """
    # compiled code chooses by itself; oneDNN's function takes every bias for contiguous
    strided = bias is not None and not bias.is_contiguous()
    if torch.compiler.is_compiling() or strided or not _is_plain(x):
        return functional.linear(x, weight, bias)
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


def _is_plain(x: Tensor) -> bool:
    """Whether `x` is what oneDNN's function without gradients and autocast is right for."""
    on_cpu = _AVAILABLE and x.device.type == "cpu" and x.dtype == torch.float32
    return on_cpu and torch.is_inference_mode_enabled() and not torch.is_autocast_enabled("cpu")


class Linear(nn.Linear):
    """`nn.Linear`, by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out_features) of (..., in_features)."""
        return linear(x, self.weight, self.bias)


class PointwiseConv2d(nn.Module):
    """What a 1x1 `nn.Conv2d` of stride 1 computes, by `linear`: fast if channels are last."""

    def __init__(self, conv: nn.Conv2d) -> None:
        """Take over the weights of `conv`, which must be one that `is_pointwise`."""
        super().__init__()
        if not is_pointwise(conv):
            raise ValueError(f"{conv} is no ungrouped 1x1 convolution of stride 1")
        self.weight = nn.Parameter(conv.weight.detach().flatten(1).contiguous())
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H, W) of (N, C, H, W)."""
        return linear(x.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)


def is_pointwise(conv: nn.Conv2d) -> bool:
    """Whether a convolution mixes the channels of each cell, and no more."""
    kernel = (conv.kernel_size, conv.stride, conv.padding)
    return kernel == ((1, 1), (1, 1), (0, 0)) and conv.groups == 1
