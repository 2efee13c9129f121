"""SiamFC's response and its loss."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d, normalize

from socl_pipeline.trackers.siamfc import SiamFCSettings

OUT_SCALE: float = SiamFCSettings.model_fields["out_scale"].default
# A mean cosine is in [-1, 1]; times 10, the inverse of SoCL's temperature, it can be as sure as
# a logit has to be (our choice).
COSINE_GAIN = 10.0


def response_logits(
    template: Tensor, search: Tensor, similarity: Literal["correlation", "cosine"]
) -> Tensor:
    """Return the logits (B, R, R) of templates (B, C, h, w) in features (B, C, H, W).

    The response of `trackers.siamfc`: correlation is that of `normalize: none`, cosine that of
    `normalize: cell` times a constant. In float32, also under autocast: 9,000 products a cell.
    """
    with torch.autocast(search.device.type, enabled=False):
        template, search = template.float(), search.float()
        if similarity == "cosine":
            template, search = normalize(template, dim=1), normalize(search, dim=1)
            factor = COSINE_GAIN / (template.shape[2] * template.shape[3])
        else:
            factor = OUT_SCALE
        # each video is a group of one convolution: its channels meet its own template alone
        joined = search.reshape(1, -1, *search.shape[2:])
        return conv2d(joined, template * factor, groups=len(template))[0]


def balanced_bce(logits: Tensor, positive: Tensor) -> Tensor:
    """Return the binary cross entropy (B,) of logits (B, R, R) for bool labels (B, R, R).

    Positives and negatives weigh one half each (siamfc-pytorch); a kind that is absent weighs 0.
    """
    losses = binary_cross_entropy_with_logits(logits, positive.to(logits.dtype), reduction="none")
    halves = [_mean_over(losses, positive), _mean_over(losses, ~positive)]
    return (halves[0] + halves[1]) / 2


def _mean_over(values: Tensor, selected: Tensor) -> Tensor:
    """Return the means (B,) of selected values (B, R, R), 0 if there are none."""
    total = (values * selected).sum(dim=(-2, -1))
    return total / selected.sum(dim=(-2, -1)).clamp_min(1)
