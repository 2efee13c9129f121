"""The soft contrastive loss (Eq. 9-10) on soft samples.

Soft samples are dicts, so that they can be gathered from parts of a batch: `gst` (N, 2, C), with
SNS `sns` (N, 2, 2, C), with LST `lst` (N, 2, C). What is random is drawn beforehand, by
`draw_noise`; the same noise gives the same loss on every device.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from socl_pipeline.socl.samples import (
    SnsSimilarity,
    background_selection,
    hard_negative_mixup,
    local_selection,
)
from socl_pipeline.socl.soft_sums import soft_sums


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
    sns_temperature: float | None = None
    mixup_beta: tuple[float, float] = (0.0, 1.0)


def draw_noise(
    videos: int, locations: int, options: SoclOptions, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Draw all that is random in the loss of N videos with L locations a frame.

    Returns float32 CPU tensors; with LST `lst_order` (N, 2, L), uniform in [0, 1), and `lst_mass`
    (N, 2), u ~ U(options.lst_mass); with mix-up `mixup` (N, 2), beta ~ U(options.mixup_beta).
    """
    noise = {}
    if options.lst:
        noise["lst_order"] = rng.random((videos, 2, locations), np.float32)
        noise["lst_mass"] = rng.uniform(*options.lst_mass, (videos, 2)).astype(np.float32)
    if options.mixup:
        noise["mixup"] = rng.uniform(*options.mixup_beta, (videos, 2)).astype(np.float32)
    return {name: torch.from_numpy(values) for name, values in noise.items()}


def soft_samples(
    features: Tensor, top: Tensor, options: SoclOptions, noise: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Make the soft samples of features (N, 2, C, L) under TOP maps (N, 2, L), video by video.

    They are at least float32, whatever the features are. TOP maps are constants: no gradient goes
    to them. Raises ValueError if features and maps do not fit.
    """
    if features.shape[:2] != top.shape[:2] or features.shape[3:] != top.shape[2:]:
        raise ValueError(
            f"features {tuple(features.shape)} and TOP maps {tuple(top.shape)} do not fit"
        )
    weights = [top]
    if options.lst:
        weights.append(local_selection(top, noise["lst_mass"], noise["lst_order"]))
    background = background_selection(top, options.background_mass) if options.sns else None
    sums, sns = soft_sums(
        features,
        torch.stack(weights, dim=2),
        background,
        options.sns_similarity,
        options.sns_temperature or options.temperature,
    )
    samples = dict(zip(("gst", "lst"), sums.unbind(dim=2), strict=False))
    return samples if sns is None else samples | {"sns": sns}


def shared_negatives(
    samples: Mapping[str, Tensor], options: SoclOptions, noise: Mapping[str, Tensor]
) -> Tensor:
    """Return the negatives that all videos share, (6N, C): SNS and one mix for each template.

    (4N, C) without mix-up, (0, C) without SNS. With the 2N - 2 templates of other videos they are
    the K = 8N - 2 negatives of Eq. (9).
    """
    templates = samples["gst"].flatten(0, 1)
    if "sns" not in samples:
        return templates[:0]
    sns = samples["sns"].flatten(0, 2)
    if not options.mixup:
        return sns
    return torch.cat([sns, hard_negative_mixup(templates, sns, noise["mixup"].flatten())])


def contrastive_loss(
    samples: Mapping[str, Tensor], options: SoclOptions, noise: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the loss (a scalar) and how often the positive wins (a scalar in [0, 1]).

    Eq. (9): -log of the softmax of s(z, z+) / tau against the negatives, s the cosine. Eq. (10):
    each template's loss towards the other frame's template and towards both local templates,
    summed; the mean over the 2N templates is returned. Without LST only the first term stays.
    """
    videos = len(samples["gst"])
    queries = normalize(samples["gst"].flatten(0, 1), dim=-1)  # (2N, C), rows 2i, 2i + 1 a pair
    shared = normalize(shared_negatives(samples, options, noise), dim=-1)
    logits = queries @ torch.cat([queries, shared]).T / options.temperature
    video = torch.arange(videos, device=queries.device).repeat_interleave(2)
    own = torch.zeros_like(logits, dtype=torch.bool)
    own[:, : 2 * videos] = video[:, None] == video[None, :]
    others = logits.masked_fill(own, float("-inf"))
    negatives = others.logsumexp(dim=1, keepdim=True)
    positives = _positive_similarities(samples, queries) / options.temperature
    losses = torch.logaddexp(positives, negatives) - positives
    won = positives[:, 0] > others.amax(dim=1)
    return losses.sum(dim=1).mean(), won.float().mean()


def _positive_similarities(samples: Mapping[str, Tensor], queries: Tensor) -> Tensor:
    """Return the similarity (2N, P) of each query to its positives: other GST, both LSTs."""
    pairs = queries.unflatten(0, (-1, 2))
    columns = [(pairs * pairs.flip(1)).sum(dim=-1, keepdim=True)]
    if "lst" in samples:
        columns.append(pairs @ normalize(samples["lst"], dim=-1).transpose(-1, -2))
    return torch.cat(columns, dim=-1).flatten(0, 1)


def socl_loss(
    features: Tensor, top: Tensor, options: SoclOptions, noise: Mapping[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the SoCL loss of a batch (Eq. 10) and what to watch while it trains.

    features: (N, 2, C, L). top: (N, 2, L). noise: of `draw_noise`. The second value holds scalars:
    `accuracy` (how often the other frame's template beats all negatives), `masked` (share of the
    locations that count as target when negatives are sought).

        >>> import numpy as np, torch
        >>> options = SoclOptions()
        >>> features, top = torch.randn(4, 2, 8, 25), torch.rand(4, 2, 25).softmax(-1)
        >>> noise = draw_noise(4, 25, options, np.random.default_rng(0))
        >>> loss, watched = socl_loss(features, top, options, noise)
        >>> loss.shape, sorted(watched)
        (torch.Size([]), ['accuracy', 'masked'])
    """
    samples = soft_samples(features, top, options, noise)
    loss, accuracy = contrastive_loss(samples, options, noise)
    masked = 1 - background_selection(top, options.background_mass).float().mean()
    return loss, {"accuracy": accuracy, "masked": masked}
