"""EdgeBoxes through OpenCV, kept near the click (paper 3.1)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centers
from socl_pipeline.settings import EdgeBoxSettings
from socl_pipeline.top.edges import colour_gradient, shrink, thin

Float = NDArray[np.float32]

OPENCV_OFFSET = 1.0  # OpenCV returns x and y one too large, a leftover of the MATLAB original


def edge_boxes_near(
    image: NDArray[np.uint8],
    point: NDArray[np.floating],
    settings: EdgeBoxSettings,
    working_side: int,
) -> tuple[Float, Float]:
    """Return EdgeBoxes (n, 4) centred within the radius of a point (2,), and their scores (n,).

    image: uint8 RGB (H, W, 3). Boxes, point and radius are in pixels of that image; the search
    itself runs at the working side. n may be 0.
    """
    if settings.max_boxes == 0:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    small, scale = shrink(image, working_side)
    strength, angle = colour_gradient(small)
    finder = cv2.ximgproc.createEdgeBoxes(
        alpha=settings.alpha,
        beta=settings.beta,
        minScore=settings.min_score,
        maxBoxes=settings.max_boxes,
        minBoxArea=settings.min_box_area_px * scale**2,
    )
    found, scores = finder.getBoundingBoxes(thin(strength, angle), angle)
    if len(found) == 0:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    boxes = np.asarray(found, np.float64).reshape(-1, 4)
    boxes[:, :2] -= OPENCV_OFFSET
    boxes /= scale
    near = np.linalg.norm(centers(boxes) - point, axis=1) <= settings.radius_px
    return boxes[near].astype(np.float32), np.asarray(scores, np.float32).reshape(-1)[near]
