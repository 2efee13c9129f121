"""Training TransT on the boxes of patches, for the generic trainer.

A pair's first frame is the template and its second the search patch; pairs come in random order.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from socl_pipeline.box_siam.pseudo_boxes import level_set_boxes
from socl_pipeline.patches.augment import Draws, cut_windows, jitter_colour
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.settings import TransTModelSettings
from socl_pipeline.transt.assignment import positive_cells
from socl_pipeline.transt.geometry import (
    boxes_in_search,
    search_windows,
    template_windows,
    usable,
)
from socl_pipeline.transt.loss import LossWeights, overlaps, transt_loss
from socl_pipeline.transt.network import STRIDE
from socl_pipeline.transt.recolour import draw_recolour, recoloured

WATCHED = ("ce", "l1", "giou", "iou")


class TransTObjective:
    """TransT's loss on pairs of patches; see `training.objective.Objective`."""

    def __init__(self, settings: TransTModelSettings, patch_size: int) -> None:
        """Remember the settings; patch_size: side of the packed patches in pixels."""
        self.settings, self.patch_size = settings, patch_size
        self.weights = LossWeights(**settings.loss.model_dump())

    def draw(self, videos: int, rng: np.random.Generator) -> Draws:
        """Return all that is random for so many videos, on the CPU.

        stretch, offset (N, 2): of the search window (`search_windows`). Colours as `draw_colour`
        has them, with no contrast; with `augment.recolour` those of `recolour`, too.
        """
        augment = self.settings.augment
        stretch = np.exp(augment.size * rng.standard_normal((videos, 2)))
        offset = rng.uniform(-augment.centre, augment.centre, (videos, 2))
        low, high = 1 - augment.brightness, 1 + augment.brightness
        brightness = rng.uniform(low, high, (videos, 2))
        return {
            "stretch": torch.from_numpy(stretch.astype(np.float32)),
            "offset": torch.from_numpy(offset.astype(np.float32)),
            "brightness": torch.from_numpy(brightness.astype(np.float32)),
            "contrast": torch.ones(videos, 2),
            "grey": torch.from_numpy(rng.random(videos) < augment.grey),
            **draw_recolour(videos, augment.recolour, rng),
        }

    def encode(self, network: nn.Module, batch: PatchBatch, draws: Draws) -> dict[str, Tensor]:
        """Return logits (n, M, 2), boxes (n, M, 4) and truth (n, 4) of n videos, and `kept` (n,).

        network: templates (n, 3, T, T) and search patches (n, 3, S, S) to logits and boxes. kept:
        1, or 0 where a box is no use (`geometry.usable`); such a pair weighs nothing.
        """
        templates, searches, truth, kept = self.pairs(batch, draws)
        logits, boxes = network(templates, searches)
        return {"logits": _exact(logits), "boxes": _exact(boxes), "truth": truth, "kept": kept}

    def loss(self, encoded: Mapping[str, Tensor], draws: Draws) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of the kept pairs, 0 if there are none, and means to watch.

        Watched: the loss's terms (`transt_loss`); kept, the share of pairs; box_iou, the overlap of
        the best cells' boxes.
        """
        kept = encoded["kept"] > 0
        logits, boxes, truth = (encoded[name][kept] for name in ("logits", "boxes", "truth"))
        if not len(truth):
            nothing = 0 * (encoded["logits"].sum() + encoded["boxes"].sum())
            zero = torch.zeros_like(encoded["kept"][0])
            return nothing, dict.fromkeys((*WATCHED, "box_iou", "kept"), zero)
        with torch.autocast(logits.device.type, enabled=False):
            cells = self.settings.window // STRIDE
            positives = positive_cells(truth, cells)
            loss, terms = transt_loss(logits, boxes, truth, positives, self.weights)
            found = best_overlaps(logits.detach(), boxes.detach(), truth).mean()
        watched = {name: terms[name] for name in WATCHED}
        return loss, watched | {"box_iou": found, "kept": encoded["kept"].mean()}

    def pairs(self, batch: PatchBatch, draws: Draws) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return templates, search patches, truth (n, 4) in shares of these, and kept (n,)."""
        boxes, good = self._boxes(batch)
        searched = search_windows(boxes[:, 1], draws["stretch"], draws["offset"])
        # compiled code cuts on the CPU: it wants each frame's patches side by side
        first, second = batch.images[0::2].contiguous(), batch.images[1::2].contiguous()
        templates = cut_windows(first, template_windows(boxes[:, 0]), self.settings.template)
        searches = cut_windows(second, searched, self.settings.window)
        truth = boxes_in_search(boxes[:, 1], searched)
        return _coloured(templates, draws, 0), _coloured(searches, draws, 1), truth, good.float()

    def _boxes(self, batch: PatchBatch) -> tuple[Tensor, Tensor]:
        """Return the boxes (n, 2, 4) of pairs and whether both can be learnt from: bool (n,).

        One that cannot is replaced by the patch's middle, so that all numbers stay finite.
        """
        size = float(self.patch_size)
        boxes = level_set_boxes(batch.boxes, batch.scores, self.settings.box_threshold, size)
        good = usable(boxes)
        middle = boxes.new_full((4,), 3 / 8 * size)
        middle[2:] = 1 / 4 * size
        boxes = torch.where(good[:, None], boxes, middle)
        return boxes.unflatten(0, (-1, 2)), good.unflatten(0, (-1, 2)).all(dim=1)


def best_overlaps(logits: Tensor, boxes: Tensor, truth: Tensor) -> Tensor:
    """Return the IoU (n,) of the box of the best cell with the truth.

    logits: (n, M, 2). boxes: (n, M, 4), truth: (n, 4), both cx, cy, w, h.
    """
    best = (logits[..., 0] - logits[..., 1]).argmax(dim=1)
    chosen = boxes.gather(1, best[:, None, None].expand(-1, 1, 4))[:, 0]
    return overlaps(chosen, truth)[0]


def _exact(values: Tensor) -> Tensor:
    """Return values in float32 at least: autocast's bfloat16 is too coarse for a loss."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _coloured(images: Tensor, draws: Draws, frame: int) -> Tensor:
    """Return the windows (n, 3, H, W) of one frame of each pair in the colours drawn for it."""
    images = recoloured(images, draws)
    own = {name: draws[name][:, [frame]] for name in ("brightness", "contrast")}
    return jitter_colour(images, own | {"grey": draws["grey"]})
