"""Where the response should be high."""

import torch
from torch import Tensor

from socl_pipeline.box_siam.geometry import RADIUS_PX


def offsets(side: int, stride: int, device: torch.device | None = None) -> Tensor:
    """Return how far (side,) the cells of a response are off its centre, in search pixels."""
    return stride * (torch.arange(side, device=device) - (side - 1) / 2)


def distances(shifts: Tensor, side: int, stride: int) -> Tensor:
    """Return the distances (B, side, side) of response cells, rows first, from targets.

    shifts: (B, 2) x, y of the targets from the window's centre. All in search pixels.
    """
    cells = offsets(side, stride, shifts.device)
    across = (cells - shifts[:, :1])[:, None, :]
    down = (cells - shifts[:, 1:])[:, :, None]
    return (across**2 + down**2).sqrt()


def positives(shifts: Tensor, side: int, stride: int) -> Tensor:
    """Return which response cells (B, side, side) are positive: bool, within 16 px of targets.

    The distance is Euclidean (Matlab); siamfc-pytorch's sum of both axes gives the same 13 cells
    of stride 8 for a centred target. There is no band that counts as neither (rNeg = 0).
    """
    return distances(shifts, side, stride) <= RADIUS_PX
