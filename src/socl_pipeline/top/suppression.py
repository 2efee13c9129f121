"""Non-maximum suppression of windows."""

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import iou


def non_maximum_suppression(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], overlap: float, top_k: int
) -> NDArray[np.int64]:
    """Return the indices of at most top_k boxes (n, 4), best first.

    A box is dropped if its IoU with a better kept one exceeds `overlap`. Equal scores keep the
    order of the input, so the result is the same on every machine.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order) and len(kept) < top_k:
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[iou(boxes[best], boxes[order]) <= overlap]
    return np.array(kept, dtype=np.int64)
