"""Soft samples of SoCL: templates, negatives and their mixes, as weighted sums of features.

Shapes: N videos, 2 frames each, C channels, L = H * W locations. `features` is (N, 2, C, L) and
`top` (N, 2, L), each TOP map summing to 1. In the paper's notation F_i^a = features[i, a] and
p_i^a = top[i, a].
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

SnsSimilarity = Literal["cosine", "dot"]


def global_soft_template(features: Tensor, top: Tensor) -> Tensor:
    """Aggregate feature maps into templates, weighted by their TOP maps (Eq. 1).

    features: (..., C, L). top: (..., L). Returns (..., C). Raises ValueError if shapes differ.
    """
    if features.shape[:-2] != top.shape[:-1] or features.shape[-1] != top.shape[-1]:
        raise ValueError(
            f"features {tuple(features.shape)} and TOP maps {tuple(top.shape)} do not fit"
        )
    return torch.einsum("...cl,...l->...c", features, top)


def background_selection(top: Tensor, mass: float) -> Tensor:
    """Return where the background is, the complement of the top locations (Eq. 5-6).

    top: (..., L). The m highest locations hold at least `mass` of the probability (Eq. 5); they
    are the target. Locations tied with the last of them are target too: the clip of the TOP map
    makes a plateau of equal values, and cutting through it would call parts of the target
    background. Returns bool (..., L).
    """
    ordered = top.sort(dim=-1, descending=True).values
    before = ordered.cumsum(dim=-1) - ordered
    last = (before < mass).sum(dim=-1, keepdim=True) - 1
    return top < ordered.gather(-1, last) * (1 - 1e-6)  # the softmax leaves ties inexact


def similarity_maps(
    templates: Tensor,
    features: Tensor,
    similarity: SnsSimilarity = "cosine",
    temperature: float = 0.1,
) -> Tensor:
    """Return the similarity of each template to each location of both frames (Eq. 2).

    templates: (N, 2, C). features: (N, 2, C, L). Returns (N, a, b, L): template a, frame b.
    cosine is divided by the temperature (our choice); dot is the literal reading.
    """
    dots = templates[:, None] @ features  # (N, b, a, L)
    if similarity == "cosine":
        dots = dots / (temperature * lengths(templates, -1)[:, None] * lengths(features, -2))
    return dots.transpose(1, 2)


def lengths(vectors: Tensor, dim: int) -> Tensor:
    """Return the lengths of vectors along a dimension, whose size becomes 1.

    They are 1e-12 at least, so a zero vector has a cosine of zero with all others.
    """
    return torch.linalg.vector_norm(vectors, dim=dim, keepdim=True).clamp_min(1e-12)


def hard_negative_maps(similarities: Tensor, background: Tensor) -> Tensor:
    """Return the hard-negative maps: softmax of similarities over the background (Eq. 3, 6).

    similarities: (N, a, b, L). background: bool (N, b, L), of the frame that is searched. Each map
    sums to 1; if a frame has no background left, its map is uniform over all locations.
    """
    nothing = ~background.any(dim=-1, keepdim=True)
    masked = similarities.masked_fill(~background[:, None], float("-inf"))
    return masked.masked_fill(nothing[:, None], 0.0).softmax(dim=-1)


def local_selection(top: Tensor, mass: Tensor, order: Tensor) -> Tensor:
    """Keep the TOP probability of the top locations and re-normalise it (Eq. 5, 7, 8).

    top: (..., L). mass: (...), u in (0, 1]: as many of the highest locations as hold it are kept.
    order: (..., L), distinct random numbers: of tied locations those with the lowest come first; a
    stable sort would always keep the upper rows of a plateau. Returns weights (..., L) that sum
    to 1; u = 1 gives top itself.
    """
    shuffle = order.argsort(dim=-1)
    ordered, ranks = top.gather(-1, shuffle).sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    kept = ordered * ((before < mass[..., None]) | (mass[..., None] >= 1))
    weights = torch.zeros_like(top).scatter(-1, shuffle.gather(-1, ranks), kept)
    return weights / weights.sum(dim=-1, keepdim=True)


def hard_negative_mixup(templates: Tensor, negatives: Tensor, beta: Tensor) -> Tensor:
    """Mix the two hardest soft negatives of each template (paper 3.2.4).

    templates: (M, C). negatives: (K, C), the SNS of the whole batch. beta: (M,) in [0, 1], the
    share of the hardest one; which two are hardest (cosine) carries no gradient; the mix of the
    two unit vectors is normalised. Returns (M, C).
    """
    unit = normalize(negatives, dim=-1)
    with torch.no_grad():
        hardest = (normalize(templates, dim=-1) @ unit.T).topk(2, dim=-1).indices
    share = beta[:, None]
    return normalize(share * unit[hardest[:, 0]] + (1 - share) * unit[hardest[:, 1]], dim=-1)
