"""Where TransT looks in a patch: template and search windows around a box, and which boxes serve.

Windows may leave the packed patch: `cut_windows` then repeats its border, where the tracker fills
in the frame's mean colour. Sides are not rounded up to whole pixels as the tracker's are: the
patch has no pixels of the frame any more.
"""

import torch
from torch import Tensor

from socl_pipeline.errors import InputError
from socl_pipeline.patches.augment import Windows, boxes_in_windows
from socl_pipeline.settings import TransTModelSettings
from socl_pipeline.trackers.transt import SEARCH_FACTOR, TEMPLATE_FACTOR

SMALLEST_SIDE = 2.0  # patch px of w and h: less shows nothing to regress; our choice


def patch_sides(sizes: Tensor, factor: float) -> Tensor:
    """Return the sides (B,) of the squares around targets of w, h (B, 2), as the tracker's."""
    margin = (factor - 1) * sizes.sum(dim=1, keepdim=True) / 2
    return (sizes + margin).prod(dim=1).sqrt()


def template_windows(boxes: Tensor) -> Windows:
    """Return the template windows of boxes (B, 4): centred, twice the target's size."""
    return Windows(_centers(boxes), patch_sides(boxes[:, 2:], TEMPLATE_FACTOR), _unflipped(boxes))


def search_windows(boxes: Tensor, stretches: Tensor, offsets: Tensor) -> Windows:
    """Return the search windows of boxes (B, 4): of another place and size than the target's.

    They are those of a box of w, h times `stretches` (B, 2), whose centre is `offsets` (B, 2) of
    its mean sides away.
    """
    sizes = boxes[:, 2:] * stretches
    mean = sizes.prod(dim=1, keepdim=True).sqrt()
    centers = _centers(boxes) + offsets * mean
    return Windows(centers, patch_sides(sizes, SEARCH_FACTOR), _unflipped(boxes))


def boxes_in_search(boxes: Tensor, windows: Windows) -> Tensor:
    """Return where boxes (B, 4) of patches are in windows: cx, cy, w, h as shares of the side."""
    inside = boxes_in_windows(boxes[:, None], windows, 1)[:, 0]
    return torch.cat([_centers(inside), inside[:, 2:]], dim=1)


def usable(boxes: Tensor) -> Tensor:
    """Return which boxes (B, 4) in patches can be learnt from: bool (B,).

    TransT learns from all frames in which the target is visible, so only what has no extent is
    left out, such as a box that the patch does not show.
    """
    return boxes[:, 2:].amin(dim=1) >= SMALLEST_SIDE


def require_context(settings: TransTModelSettings, context: float) -> None:
    """Raise InputError if search windows are wider than the patches, `context` target sides.

    A target whose size is not changed must have all of its window in the patch, wherever that is.
    """
    needed = SEARCH_FACTOR + 2 * settings.augment.centre
    if context < needed:
        raise InputError(
            f"patches.context is {context:g}, but a model of kind transt searches "
            f"{SEARCH_FACTOR:g} target sides, up to {settings.augment.centre:g} off the target; "
            f"set patches.context to {needed:g} or more (the variant `wide` of a dataset has 8), "
            "or lower augment.centre"
        )


def _centers(boxes: Tensor) -> Tensor:
    return boxes[:, :2] + boxes[:, 2:] / 2


def _unflipped(boxes: Tensor) -> Tensor:
    return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
