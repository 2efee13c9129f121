"""The passes of the loss over feature maps, in little memory: Eq. (1)-(4) and (8) at once.

Feature maps are by far the largest tensors of the loss; all others have L numbers or C numbers a
frame. Written with differentiable operations, the soft negatives keep several float32 copies of
the features for their gradient. Here the gradient is written out: only the features themselves
are kept, as the network made them, and a few videos at a time are brought to full precision.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from socl_pipeline.socl.samples import SnsSimilarity, hard_negative_maps, lengths, similarity_maps

# Feature values in full precision at a time: 4 MB stay in the cache of a core, which made these
# sums eight times as fast as 95 MB at once; a GPU needs more to be busy.
CPU_PART, GPU_PART = 2**20, 2**23


def soft_sums(
    features: Tensor,
    weights: Tensor,
    background: Tensor | None,
    similarity: SnsSimilarity,
    temperature: float,
) -> tuple[Tensor, Tensor | None]:
    """Return weighted sums of features (N, 2, C, L), and the soft negatives of the first ones.

    weights: (N, 2, k, L), constants; the first of the k maps is the TOP map. background: bool
    (N, 2, L), where negatives are sought, or None: no negatives.

    Returns the sums (N, 2, k, C), the first of which are the GST (Eq. 1), and the SNS
    (N, a, b, C) of template a in frame b (Eq. 2-4), weighted by `samples.similarity_maps` and
    `samples.hard_negative_maps`. Both are at least float32, whatever the features are.
    """
    sums, *sns = _SoftSums.apply(features, weights, background, similarity, temperature)
    return sums, sns[0].transpose(1, 2) if sns else None


class _SoftSums(torch.autograd.Function):
    """The sums with their gradient. Maps of pairs are (N, b, a, L) here: frame b is searched."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weights: Tensor,
        background: Tensor | None,
        similarity: SnsSimilarity,
        temperature: float,
    ) -> tuple[Tensor, ...]:
        exact = torch.promote_types(features.dtype, torch.float32)
        weights = weights.to(exact)
        rows: list[tuple[Tensor, ...]] = []
        with torch.autocast(features.device.type, enabled=False):
            for part in _parts(features):
                values = features[part].to(exact)
                sums = weights[part] @ values.mT
                if background is None:
                    rows.append((sums,))
                    continue
                found = similarity_maps(sums[:, :, 0], values, similarity, temperature)
                maps = hard_negative_maps(found, background[part]).transpose(1, 2)
                rows.append((sums, maps @ values.mT, found.transpose(1, 2), maps))
        sums, *searched = (torch.cat(column) for column in zip(*rows, strict=True))
        ctx.similarity, ctx.temperature = similarity, temperature
        ctx.like = torch.empty_like(features, device="meta")
        if background is None:  # these sums are linear: their gradient needs no features
            ctx.save_for_backward(weights)
            return (sums,)
        sns, found, maps = searched
        anything = background.any(dim=-1)
        ctx.save_for_backward(weights, features, anything, sums[:, :, 0], found, maps)
        return sums, sns

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sums: Tensor, *d_sns: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        gradient = torch.empty_like(ctx.like, device=d_sums.device)
        with torch.autocast(d_sums.device.type, enabled=False):
            for part in _parts(gradient):
                incoming, kept = [d[part] for d in (d_sums, *d_sns)], [s[part] for s in saved]
                made = (
                    _gradient(incoming, kept, ctx.similarity, ctx.temperature)
                    if d_sns
                    else kept[0].mT @ incoming[0]
                )
                gradient[part].copy_(made.mT)
        return gradient, None, None, None, None


def _gradient(
    incoming: list[Tensor], kept: list[Tensor], similarity: SnsSimilarity, temperature: float
) -> Tensor:
    """Return the gradient (n, b, L, C) of the features of n videos, from all that uses them.

    incoming: gradients of the sums (n, b, k, C) and of the SNS (n, b, a, C). kept: the weights
    (n, b, k, L); the features; whether there is any background, (n, b) bool; the templates
    (n, a, C); similarities and hard-negative maps (n, b, a, L), Eq. (2) and (3).

    A similarity is z.F, for cosine over temperature |z| |F|. What the lengths add to the gradient
    of z.F lies along z and along F.
    """
    d_sums, d_sns = incoming
    weights, features, anything, templates, found, maps = kept
    features = features.to(weights.dtype)
    d_maps = d_sns @ features
    d_found = maps * (d_maps - (maps * d_maps).sum(dim=-1, keepdim=True))
    d_found = d_found * anything[..., None, None]  # without background a map is uniform
    d_dots = d_found
    if similarity == "cosine":
        template_lengths, feature_lengths = lengths(templates, -1), lengths(features, -2)
        d_dots = d_found / (temperature * template_lengths[:, None] * feature_lengths)
        along = d_found * found
    d_templates = (d_dots @ features.mT).sum(dim=1)
    if similarity == "cosine":
        share = along.sum(dim=(1, 3))[..., None] / template_lengths.square()
        d_templates -= share * templates
    d_sums = d_sums.clone()
    d_sums[:, :, 0] += d_templates
    searched = templates[:, None].expand_as(d_sns)
    made = torch.cat([weights, maps, d_dots], 2).mT @ torch.cat([d_sums, d_sns, searched], 2)
    if similarity == "cosine":
        share = along.sum(dim=2)[..., None] / feature_lengths.square().mT
        made.addcmul_(features.mT, share, value=-1)
    return made


def _parts(features: Tensor) -> Iterator[slice]:
    """Yield runs of videos whose features (N, 2, C, L) may be in full precision at a time."""
    most = CPU_PART if features.device.type == "cpu" else GPU_PART
    videos = max(1, most // features[0].numel())
    return (slice(i, i + videos) for i in range(0, len(features), videos))
