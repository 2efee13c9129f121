"""Other objects from the same frames: both patches of a pair with their colour channels changed.

Ours: a transformer learns a few dozen objects by heart, and finds no others.
"""

import numpy as np
import torch
from torch import Tensor

from socl_pipeline.patches.augment import Draws

WHITE = 255.0
_NAMES = ("order", "invert")


def draw_recolour(pairs: int, share: float, rng: np.random.Generator) -> Draws:
    """Draw order (N, 3), the channels' places, and invert (N,) bool, half of the changed pairs.

    share: probability that a pair is changed; where it is 0 nothing is drawn.
    """
    if not share:
        return {}
    changed = rng.random(pairs) < share
    order = rng.permuted(np.tile(np.arange(3), (pairs, 1)), axis=1)
    order[~changed] = np.arange(3)
    invert = changed & (rng.random(pairs) < 0.5)
    return {"order": torch.from_numpy(order), "invert": torch.from_numpy(invert)}


def recoloured(images: Tensor, draws: Draws) -> Tensor:
    """Return images (N, 3, H, W) of 0..255, one of each pair, in the colours drawn for it."""
    if "order" not in draws:
        return images
    order = draws["order"][:, :, None, None].expand_as(images)
    images = images.gather(1, order)
    return torch.where(draws["invert"][:, None, None, None], WHITE - images, images)


def without_recolour(draws: Draws) -> Draws:
    """Return the other draws."""
    return {name: values for name, values in draws.items() if name not in _NAMES}
