"""Non-maximum suppression of windows."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


def non_maximum_suppression(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], overlap: float, top_k: int
) -> NDArray[np.int64]:
    """Return the indices of at most top_k boxes (n, 4), best first.

    A box is dropped if its IoU with a better kept one exceeds `overlap`. Equal scores keep the
    order of the input, so the result is the same on every machine.
    """
    order = np.argsort(-scores, kind="stable")
    return _suppress(np.asarray(boxes, np.float64), order, float(overlap), top_k)


@njit(cache=True, error_model="numpy")
def _suppress(
    boxes: NDArray[np.float64], order: NDArray[np.int64], overlap: float, top_k: int
) -> NDArray[np.int64]:
    """Go through boxes (n, 4) in an order (n,) and keep those that no kept one suppresses.

    Boxes look at the kept ones only, and the search ends with the last one that is kept.
    """
    limit = max(min(top_k, len(order)), 0)
    kept = np.empty(limit, np.int64)
    rivals = np.empty((limit, 5))  # of the kept boxes: x0, y0, x1, y1 and area
    count = 0
    for index in order:
        if count == limit:
            break
        x, y, w, h = boxes[index]
        area = max(w, 0.0) * max(h, 0.0)
        free = True
        for k in range(count):
            width = min(rivals[k, 2], x + w) - max(rivals[k, 0], x)
            height = min(rivals[k, 3], y + h) - max(rivals[k, 1], y)
            if width <= 0 or height <= 0:
                continue
            common = width * height
            if min(common / (rivals[k, 4] + area - common), 1.0) > overlap:
                free = False
                break
        if free:
            kept[count] = index
            rivals[count] = x, y, x + w, y + h, area
            count += 1
    return kept[:count]
