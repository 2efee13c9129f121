"""Which cells of the search patch answer for the object."""

import torch
from torch import BoolTensor, Tensor


def positive_cells(boxes: Tensor, cells: int) -> BoolTensor:
    """Return which of the cells (N, cells * cells), row by row, lie in boxes (N, 4).

    boxes: cx, cy, w, h as shares of the patch. Cell i is positive from ceil(low * cells) up to,
    but without, ceil(high * cells), per axis (TransT). Both ends are kept within the patch, so a
    box that leaves it keeps the cells inside; a side without any gets one, the next inside.
    """
    low = boxes[:, :2] - boxes[:, 2:] / 2
    first = (low * cells).ceil().clamp(0, cells - 1)
    last = ((low + boxes[:, 2:]) * cells).ceil().clamp(max=cells).maximum(first + 1)
    index = torch.arange(cells, device=boxes.device)
    inside = (index >= first[..., None]) & (index < last[..., None])  # (N, 2, cells): x, y
    positives = inside[:, 1, :, None] & inside[:, 0, None, :]
    return positives.flatten(1)  # type: ignore[return-value]
