"""Validation of a TransT: how well its best cell's box fits on held-out pairs."""

import numpy as np
import torch
from torch import nn

from socl_pipeline.models.backbone import Precision
from socl_pipeline.patches.augment import Draws
from socl_pipeline.patches.loader import load_batch
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.training import validation
from socl_pipeline.training.history import Row
from socl_pipeline.training.objective import part_of
from socl_pipeline.transt.objective import TransTObjective, best_overlaps
from socl_pipeline.transt.recolour import without_recolour

GOOD_IOU = 0.5  # GOT-10k's first success rate


class BoxValidation:
    """The same pairs each time, searched as training does, in their own colours.

    See `training.validation.Validation`. Patches are decoded anew each time: they are larger than
    those of other kinds, and memory is for training.
    """

    error = "box_error"

    def __init__(
        self,
        objective: TransTObjective,
        patches: PatchSet,
        videos: list[str],
        device: torch.device,
        precision: Precision,
    ) -> None:
        """Draw the pairs of held-out videos."""
        settings = objective.settings
        rng = np.random.default_rng([settings.seed, len(videos)])
        self.objective, self.patches = objective, patches
        self.device, self.precision = device, precision
        self.rows = validation.draw_pair_rows(patches, videos, settings.max_gap, rng)
        self.draws = _in_own_colours(objective.draw(len(self.rows), rng))

    @torch.inference_mode()
    def measure(self, backbone: nn.Module, batch: int = 16) -> Row:
        """Return `mean_iou`, the share of boxes above 0.5, and `box_error`, 1 - mean_iou.

        Pairs whose boxes are no use are left out; without any the overlap is 0.
        """
        backbone.eval()
        starts = range(0, len(self.rows), batch)
        found = np.concatenate([self._overlaps(backbone, slice(i, i + batch)) for i in starts])
        backbone.train()
        iou = float(found.mean()) if len(found) else 0.0
        good = float((found > GOOD_IOU).mean()) if len(found) else 0.0
        return {"mean_iou": iou, "success_50": good, "box_error": 1 - iou}

    def sentence(self, row: Row) -> str:
        """Say what a measurement found."""
        return f"mean IoU {row['mean_iou']:.3f} on held-out pairs"

    def _overlaps(self, backbone: nn.Module, part: slice) -> np.ndarray:
        rows = [row for pair in self.rows[part] for row in pair]
        batch = load_batch(self.patches, rows).to(self.device)
        draws = {k: v.to(self.device) for k, v in part_of(self.draws, part).items()}
        templates, searches, truth, kept = self.objective.pairs(batch, draws)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits, boxes = backbone(templates, searches)
        found = best_overlaps(logits.float(), boxes.float(), truth)
        return found[kept > 0].cpu().numpy()


def _in_own_colours(draws: Draws) -> Draws:
    plain = {"brightness": torch.ones_like, "grey": torch.zeros_like}
    return without_recolour(draws) | {name: make(draws[name]) for name, make in plain.items()}
