"""EdgeBoxes near a click (paper 3.1): the search around it, or OpenCV's of the whole frame."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centers
from socl_pipeline.settings import EdgeBoxSettings
from socl_pipeline.top.edge_forest import forest_edges
from socl_pipeline.top.edge_groups import EdgeGroups, group_edges
from socl_pipeline.top.edge_scores import score_windows
from socl_pipeline.top.edge_search import search_near
from socl_pipeline.top.edges import EdgeMap, gradient_edges, shrink

Float = NDArray[np.float32]

PIXEL_MIDDLE = 0.5  # a window's sides run through the middles of its first and last pixels
OPENCV_OFFSET = 1.0  # OpenCV numbers pixels from 1, a leftover of the MATLAB original


def edge_boxes_near(
    image: NDArray[np.uint8],
    point: NDArray[np.floating],
    settings: EdgeBoxSettings,
    working_side: int,
) -> tuple[Float, Float]:
    """Return EdgeBoxes (n, 4) centred within the radius of a point (2,), and their scores (n,).

    image: uint8 RGB (H, W, 3). Boxes, point and radius are in pixels of that image; the search
    itself runs at the working side. n may be 0; best first. Raises InputError if the settings
    name a model that cannot be used.
    """
    if settings.max_boxes == 0:
        return _no_boxes()
    small, scale = shrink(image, working_side)
    edges = image_edges(small, settings)
    point = np.asarray(point, np.float64)
    if settings.search == "opencv":
        return _opencv_boxes(edges, point, settings, scale)
    boxes, scores = EdgeScorer(edges, settings).boxes_near(
        point * scale, settings.radius_px * scale, settings.min_box_area_px * scale**2
    )
    return boxes / np.float32(scale), scores


def image_edges(image: NDArray[np.uint8], settings: EdgeBoxSettings) -> EdgeMap:
    """Return the thinned edges of an RGB image (H, W, 3), from the source that is set.

    Raises InputError if that is a model which cannot be used.
    """
    if settings.model is None:
        return gradient_edges(image)
    return forest_edges(image, settings.model)


@dataclass(frozen=True)
class EdgeScorer:
    """EdgeBoxes of one image: scores of any boxes, and the boxes found near a point.

    All in pixels of the image that the edges are of.
    """

    edges: EdgeMap
    settings: EdgeBoxSettings

    @cached_property
    def groups(self) -> EdgeGroups:
        """The groups of the edges."""
        return group_edges(self.edges)

    def score(self, boxes: NDArray[np.floating]) -> Float:
        """Return the scores (n,) of boxes (n, 4), cut at the image; 0 for boxes without area."""
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        return score_windows(self.groups, np.floor(corners).astype(np.int64))

    def boxes_near(
        self, point: NDArray[np.floating], radius: float, min_area: float
    ) -> tuple[Float, Float]:
        """Return boxes (n, 4) centred within the radius of a point (2,), best first; scores (n,).

        min_area: smallest area of the windows that the search starts from.
        """
        windows, scores = search_near(self.groups, point, radius, min_area, self.settings)
        first, last = windows[:, :2], windows[:, 2:]
        return np.hstack([first + PIXEL_MIDDLE, last - first]).astype(np.float32), scores


def _opencv_boxes(
    edges: EdgeMap, point: NDArray[np.floating], settings: EdgeBoxSettings, scale: float
) -> tuple[Float, Float]:
    """Return the boxes (n, 4) near the point among the best of the whole image, scores (n,)."""
    finder = cv2.ximgproc.createEdgeBoxes(  # a fresh one each time: it remembers the last image
        alpha=settings.alpha,
        beta=settings.beta,
        minScore=settings.min_score,
        maxBoxes=settings.max_boxes,
        minBoxArea=settings.min_box_area_px * scale**2,
    )
    found, scores = finder.getBoundingBoxes(*edges)
    if len(found) == 0:
        return _no_boxes()
    boxes = np.asarray(found, np.float64).reshape(-1, 4)
    boxes[:, :2] += PIXEL_MIDDLE - OPENCV_OFFSET
    boxes /= scale
    near = np.linalg.norm(centers(boxes) - point, axis=1) <= settings.radius_px
    return boxes[near].astype(np.float32), np.asarray(scores, np.float32).reshape(-1)[near]


def _no_boxes() -> tuple[Float, Float]:
    return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
