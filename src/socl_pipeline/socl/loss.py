"""The soft contrastive loss (Eq. 9-10) on soft samples."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from socl_pipeline.socl.samples import (
    SnsSimilarity,
    background_selection,
    global_soft_template,
    hard_negative_maps,
    hard_negative_mixup,
    local_soft_template,
    similarity_maps,
    soft_negative_samples,
)


@dataclass(frozen=True)
class SoclOptions:
    """What the loss is made of; see `settings.SoclModelSettings` for each value's source."""

    temperature: float = 0.1
    sns: bool = True
    mixup: bool = True
    lst: bool = True
    background_mass: float = 0.9
    sns_similarity: SnsSimilarity = "cosine"
    lst_mass: tuple[float, float] = (0.5, 1.0)


@dataclass(frozen=True)
class SoftSamples:
    """The soft samples of a batch of N videos.

    gst: (N, 2, C). sns: (N, 2, 2, C) or None. mix: (2N, C) or None. lst: (N, 2, C) or None.
    """

    gst: Tensor
    sns: Tensor | None
    mix: Tensor | None
    lst: Tensor | None

    def negatives(self) -> Tensor:
        """Return the negatives that all videos share, (6N, C): SNS and mixes; may be empty."""
        channels = self.gst.shape[-1]
        parts = [s.reshape(-1, channels) for s in (self.sns, self.mix) if s is not None]
        return torch.cat(parts) if parts else self.gst.new_zeros(0, channels)

    def negatives_per_query(self) -> int:
        """Return K of Eq. (9): 8N - 2 with all samples, 2N - 2 with templates alone."""
        return 2 * (len(self.gst) - 1) + len(self.negatives())


def soft_samples(
    features: Tensor, top: Tensor, options: SoclOptions, generator: torch.Generator | None = None
) -> SoftSamples:
    """Make all soft samples of features (N, 2, C, L) under TOP maps (N, 2, L)."""
    gst = global_soft_template(features, top)
    sns = mix = lst = None
    if options.sns:
        similarities = similarity_maps(gst, features, options.sns_similarity, options.temperature)
        weights = hard_negative_maps(similarities, top, options.background_mass)
        sns = soft_negative_samples(features, weights)
        if options.mixup:
            mix = hard_negative_mixup(gst.flatten(0, 1), sns.flatten(0, 2), generator)
    if options.lst:
        lst = local_soft_template(features, top, options.lst_mass, generator)
    return SoftSamples(gst, sns, mix, lst)


def contrastive_loss(samples: SoftSamples, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the loss (a scalar) and how often the positive wins (a scalar in [0, 1]).

    Eq. (9): -log of the softmax of s(z, z+) / tau against the negatives, s the cosine. Eq. (10):
    each template's loss towards the other frame's template and towards both local templates,
    summed; the mean over the 2N templates is returned. Without LST only the first term stays.
    """
    videos = len(samples.gst)
    queries = normalize(samples.gst.flatten(0, 1), dim=-1)  # (2N, C), rows 2i and 2i + 1 a pair
    pool = torch.cat([queries, normalize(samples.negatives(), dim=-1)])
    logits = queries @ pool.T / temperature
    video = torch.arange(videos, device=queries.device).repeat_interleave(2)
    own = torch.zeros_like(logits, dtype=torch.bool)
    own[:, : 2 * videos] = video[:, None] == video[None, :]
    negatives = logits.masked_fill(own, float("-inf")).logsumexp(dim=1, keepdim=True)
    positives = _positive_similarities(samples, queries) / temperature
    losses = torch.logaddexp(positives, negatives) - positives
    hardest = logits.masked_fill(own, float("-inf")).amax(dim=1)
    return losses.sum(dim=1).mean(), (positives[:, 0] > hardest).float().mean()


def _positive_similarities(samples: SoftSamples, queries: Tensor) -> Tensor:
    """Return the similarity (2N, P) of each query to its positives: other GST, both LSTs."""
    pairs = queries.unflatten(0, (-1, 2))
    columns = [(pairs * pairs.flip(1)).sum(dim=-1, keepdim=True)]
    if samples.lst is not None:
        columns.append(torch.einsum("nac,nbc->nab", pairs, normalize(samples.lst, dim=-1)))
    return torch.cat(columns, dim=-1).flatten(0, 1)


def socl_loss(
    features: Tensor, top: Tensor, options: SoclOptions, generator: torch.Generator | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the SoCL loss of a batch (Eq. 10) and what to watch while it trains.

    features: (N, 2, C, L). top: (N, 2, L). The second value holds scalars: `accuracy` (how often
    the other frame's template beats all negatives), `masked` (share of the locations that count
    as target when negatives are sought).

        >>> features, top = torch.randn(4, 2, 8, 25), torch.rand(4, 2, 25).softmax(-1)
        >>> loss, watched = socl_loss(features, top, SoclOptions())
    """
    samples = soft_samples(features, top, options, generator)
    loss, accuracy = contrastive_loss(samples, options.temperature)
    masked = 1 - background_selection(top, options.background_mass).float().mean()
    return loss, {"accuracy": accuracy.detach(), "masked": masked}
