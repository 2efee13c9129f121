"""TransT's loss: cross entropy of all cells, L1 and GIoU of the positive ones' boxes."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-7  # in place of an area of 0, in shares of the patch; a float32 box of 1 px has 1.5e-5


@dataclass(frozen=True)
class LossWeights:
    """Factors of the terms (TransT); background: of a background cell in the cross entropy."""

    ce: float = 8.334
    l1: float = 5.0
    giou: float = 2.0
    background: float = 1 / 16


def transt_loss(
    logits: Tensor,
    boxes: Tensor,
    truth: Tensor,
    positives: Tensor,
    weights: LossWeights | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum, and its terms before weighting: ce, l1, giou; iou to watch.

    logits: (N, M, 2), target and background. boxes: (N, M, 4), truth: (N, 4), both cx, cy, w, h as
    shares of the patch. positives: bool (N, M). ce is the mean with the cells' weights; l1 sums
    the four differences, giou is 1 - GIoU, both averaged over all positives of the batch (0 if
    there are none), as is iou. Computed in float32; the terms carry no gradient.
    """
    weights = weights or LossWeights()
    labels = torch.where(positives, 0, 1)
    balance = torch.tensor([1.0, weights.background], device=logits.device)
    ce = functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), balance)
    # Weighted sums instead of a selection: no shape depends on the data, as GPUs like it.
    chosen = positives.float()
    count = chosen.sum().clamp(min=1)
    wanted = truth.float()[:, None]
    overlap, generalised = overlaps(boxes.float(), wanted)
    l1 = ((boxes.float() - wanted).abs().sum(dim=2) * chosen).sum() / count
    giou = ((1 - generalised) * chosen).sum() / count
    total = weights.ce * ce + weights.l1 * l1 + weights.giou * giou
    iou = (overlap * chosen).sum() / count
    terms = {"ce": ce, "l1": l1, "giou": giou, "iou": iou}
    return total, {name: term.detach() for name, term in terms.items()}


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and GIoU (...) of boxes (..., 4) cx, cy, w, h, broadcast against each other.

    GIoU is the IoU less the share of the common enclosing box that is in neither (Rezatofighi et
    al. 2019): from -1 for small boxes far apart to 1 for equal ones.
    """
    a_low, a_high = a[..., :2] - a[..., 2:] / 2, a[..., :2] + a[..., 2:] / 2
    b_low, b_high = b[..., :2] - b[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2
    both = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(dim=-1)
    union = a[..., 2:].prod(dim=-1) + b[..., 2:].prod(dim=-1) - both
    enclosing = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).prod(dim=-1)
    iou = both / union.clamp(min=_TINY)
    return iou, iou - (enclosing - union) / enclosing.clamp(min=_TINY)
