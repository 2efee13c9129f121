"""Where SiamFC looks: exemplar and search windows around a box, and which boxes serve.

Positions in windows are pixels of the cut window. Windows may leave the patch: `cut_windows`
then repeats the patch's border, where the tracker fills in the frame's mean colour.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from socl_pipeline.errors import InputError
from socl_pipeline.patches.augment import Windows
from socl_pipeline.trackers.siamfc import SiamFCSettings

EXEMPLAR_PX: int = SiamFCSettings.model_fields["exemplar_size"].default
CONTEXT: float = SiamFCSettings.model_fields["context"].default
RADIUS_PX = 16.0  # a response cell so near to the target is positive (SiamFC paper)

SMALLEST_AREA = 20.0  # px^2 (siamfc-pytorch); there of the frame, here of what the crop can show
LARGEST_ASPECT = 4.0  # siamfc-pytorch


@dataclass(frozen=True)
class SearchGrid:
    """Search window of `pixels` a side; the response moves `stride` pixels from cell to cell."""

    pixels: int
    stride: int

    @property
    def reach(self) -> float:
        """How far off the window's centre a target still has its peak in the response, pixels."""
        return (self.pixels - EXEMPLAR_PX) / 2


def search_grid(window: int, stride: int) -> SearchGrid:
    """Return the largest search window of at most `window` pixels that suits a stride.

    Exemplar and search window must differ by a multiple of twice the stride, so that one response
    cell is the centre: 239 px stay with a stride of 8 (15 x 15 cells without padding) and become
    223 with one of 16. Raises InputError if no negative would be left around the positives.
    """
    steps = (window - EXEMPLAR_PX) // (2 * stride)
    grid = SearchGrid(EXEMPLAR_PX + 2 * stride * steps, stride)
    if grid.reach < RADIUS_PX:
        least = EXEMPLAR_PX + 2 * stride * -int(-RADIUS_PX // stride)
        raise InputError(
            f"window {window} is too small for a model of kind bce with a backbone of stride "
            f"{stride}: SiamFC's exemplar has {EXEMPLAR_PX} px; set window to {least} or more."
        )
    return grid


def context_sides(boxes: Tensor) -> Tensor:
    """Return the sides (B,) of the exemplar squares of boxes (B, 4), as `siamfc.context_side`."""
    w, h = boxes[:, 2], boxes[:, 3]
    margin = CONTEXT * (w + h)
    return ((w + margin) * (h + margin)).sqrt()


def usable(boxes: Tensor, size: float) -> Tensor:
    """Return which boxes (B, 4) in patches of `size` pixels can be learnt from: bool (B,).

    Of SiamFC's filters those that patches can tell: area and aspect. Its limits on w and h count
    pixels of the frame, and a patch no longer knows them; its share of the frame is what the
    patch was cut by. Ours: an exemplar wider than the patch would be padding for the most part.
    """
    w, h = boxes[:, 2], boxes[:, 3]
    aspect = torch.maximum(w, h) <= LARGEST_ASPECT * torch.minimum(w, h)
    return (w * h >= SMALLEST_AREA) & aspect & (context_sides(boxes) <= size)


def exemplar_windows(boxes: Tensor, flips: Tensor) -> Windows:
    """Return the exemplar windows of boxes (B, 4): centred, with SiamFC's context."""
    return Windows(_centers(boxes), context_sides(boxes), flips)


def search_windows(
    boxes: Tensor, flips: Tensor, shifts: Tensor, stretches: Tensor, pixels: int
) -> Windows:
    """Return search windows of boxes (B, 4), on the exemplar's scale times `stretches` (B,).

    shifts: (B, 2), where the target then is from the centre of the window, after the flip, in
    pixels of the window.
    """
    scales = context_sides(boxes) / EXEMPLAR_PX * stretches
    across = torch.where(flips, -shifts[:, 0], shifts[:, 0])
    moved = torch.stack([across, shifts[:, 1]], dim=-1) * scales[:, None]
    return Windows(_centers(boxes) - moved, scales * pixels, flips)


def _centers(boxes: Tensor) -> Tensor:
    return boxes[:, :2] + boxes[:, 2:] / 2
