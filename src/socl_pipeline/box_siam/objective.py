"""Training SiamFC on the boxes of patches, for the generic trainer.

A pair's first frame is the exemplar and its second the search window. Pairs come in random
order, so each frame of a video is both, over the epochs.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from socl_pipeline.box_siam.geometry import (
    EXEMPLAR_PX,
    RADIUS_PX,
    exemplar_windows,
    search_grid,
    search_windows,
    usable,
)
from socl_pipeline.box_siam.labels import distances, positives
from socl_pipeline.box_siam.loss import balanced_bce, response_logits
from socl_pipeline.box_siam.pseudo_boxes import level_set_boxes
from socl_pipeline.models import Backbone
from socl_pipeline.patches.augment import cut_windows, draw_colour, jitter_colour
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.settings import BceModelSettings
from socl_pipeline.trackers.siamfc import PADDED_TEMPLATE_BORDER
from socl_pipeline.training.objective import Draws


class BoxObjective:
    """SiamFC's loss on pairs of patches; see `training.objective.Objective`."""

    def __init__(self, settings: BceModelSettings, backbone: Backbone, patch_size: int) -> None:
        """Fix the sizes of windows; raises InputError if the window is too small."""
        self.settings, self.patch_size = settings, patch_size
        self.grid = search_grid(settings.window, backbone.stride)
        self.border = PADDED_TEMPLATE_BORDER if backbone.padded else 0

    def draw(self, videos: int, rng: np.random.Generator) -> Draws:
        """Return all that is random for so many videos, on the CPU.

        shift (N, 2): of the target from the search window's centre, at most so far that the
        response still reaches it. stretch (N,): of the search window. flip (N,): of both
        windows. Colours as `draw_colour` has them.
        """
        augment = self.settings.augment
        reach = min(augment.shift_px, self.grid.reach)
        shift = rng.uniform(-reach, reach, (videos, 2))
        stretch = np.exp(rng.uniform(-augment.scale, augment.scale, videos))
        flip = rng.random(videos) < (0.5 if augment.flip else 0)
        return {
            "shift": torch.from_numpy(shift.astype(np.float32)),
            "stretch": torch.from_numpy(stretch.astype(np.float32)),
            "flip": torch.from_numpy(flip),
            **draw_colour(videos, augment, rng),
        }

    def encode(self, network: nn.Module, batch: PatchBatch, draws: Draws) -> dict[str, Tensor]:
        """Return, for each of n videos, (n,) tensors: its loss and what to watch.

        losses: with gradient. kept: 1, or 0 where a box is no use (`geometry.usable`); such a
        pair weighs nothing. hit: 1 if the highest cell is within 16 px of the target. box_px:
        mean side of both boxes in patch pixels.
        """
        boxes, kept = self._boxes(batch)
        exemplars, searches = self.windows(batch.images, boxes, draws)
        template = network(exemplars)
        if self.border:
            inner = slice(self.border, -self.border)
            template = template[:, :, inner, inner]
        logits = response_logits(template, network(searches), self.settings.similarity)
        where = draws["shift"], logits.shape[-1], self.grid.stride
        losses = balanced_bce(logits, positives(*where))
        with torch.no_grad():
            highest = logits.flatten(1).argmax(dim=1, keepdim=True)
            error = distances(*where).flatten(1).gather(1, highest)[:, 0]
            sides = boxes[..., 2:].prod(dim=-1).sqrt().mean(dim=1)
        return {
            "losses": losses,
            "kept": kept.float(),
            "hit": (error <= RADIUS_PX).float(),
            "box_px": sides,
        }

    def loss(self, encoded: Mapping[str, Tensor], draws: Draws) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean loss of the kept pairs, 0 if there are none, and means to watch.

        Watched: hit and box_px of the kept pairs, and kept, their share.
        """
        kept = encoded["kept"]
        weights = kept / kept.sum().clamp_min(1)
        watched = {name: (encoded[name] * weights).sum() for name in ("hit", "box_px")}
        return (encoded["losses"] * weights).sum(), watched | {"kept": kept.mean()}

    def windows(self, images: Tensor, boxes: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return exemplars (n, 3, 127, 127) and search windows of pairs, coloured.

        images: (2n, S, S, 3) uint8. boxes: (n, 2, 4) in patch pixels.
        """
        flips, pixels = draws["flip"], self.grid.pixels
        exemplar = exemplar_windows(boxes[:, 0], flips)
        search = search_windows(boxes[:, 1], flips, draws["shift"], draws["stretch"], pixels)
        first, second = images[0::2].contiguous(), images[1::2].contiguous()  # compiled code cuts
        return (
            _coloured(cut_windows(first, exemplar, EXEMPLAR_PX), draws, 0),
            _coloured(cut_windows(second, search, pixels), draws, 1),
        )

    def _boxes(self, batch: PatchBatch) -> tuple[Tensor, Tensor]:
        """Return the boxes (n, 2, 4) of pairs and whether both can be learnt from: bool (n,).

        One that cannot is replaced by the patch's middle quarter: the loss, though it weighs
        nothing, stays finite.
        """
        size = float(self.patch_size)
        boxes = level_set_boxes(batch.boxes, batch.scores, self.settings.box_threshold, size)
        good = usable(boxes, size)
        middle = boxes.new_full((4,), 3 / 8 * size)  # filled on the device: nothing to wait for
        middle[2:] = 1 / 4 * size
        boxes = torch.where(good[:, None], boxes, middle)
        return boxes.unflatten(0, (-1, 2)), good.unflatten(0, (-1, 2)).all(dim=1)


def _coloured(images: Tensor, draws: Draws, frame: int) -> Tensor:
    """Return the windows (n, 3, H, W) of one frame of each pair in the colours drawn for it."""
    own = {name: draws[name][:, [frame]] for name in ("brightness", "contrast")}
    return jitter_colour(images, own | {"grey": draws["grey"]})
