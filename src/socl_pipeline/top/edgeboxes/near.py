"""EdgeBoxes near a click (paper 3.1): a search around it, or OpenCV's of the whole view."""

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centers
from socl_pipeline.settings import EdgeBoxSettings
from socl_pipeline.top.edgeboxes.edges import EdgeMap, gradient_edges
from socl_pipeline.top.edgeboxes.forest import forest_edges
from socl_pipeline.top.edgeboxes.groups import EdgeGroups, group_edges
from socl_pipeline.top.edgeboxes.scores import score_windows
from socl_pipeline.top.edgeboxes.search import search_near
from socl_pipeline.top.views import ViewedFrame

Float = NDArray[np.float32]

PIXEL_MIDDLE = 0.5  # a window's sides run through the middles of its first and last pixels
OPENCV_OFFSET = 1.0  # OpenCV numbers pixels from 1, a leftover of the MATLAB original


def edge_boxes_near(frame: ViewedFrame, settings: EdgeBoxSettings) -> tuple[Float, Float]:
    """Return EdgeBoxes (n, 4) centred within the radius of a frame's click, and scores (n,).

    Boxes, radius and smallest area are in pixels of the frame. Each view is searched for the boxes
    that are judged in it. At most max_boxes, best first; n may be 0. Raises InputError if the
    settings name a model that cannot be used.
    """
    if settings.max_boxes == 0:
        return _no_boxes()
    found = [_boxes_in_view(frame, i, settings) for i in range(len(frame.views))]
    boxes = np.concatenate([boxes for boxes, _ in found])
    scores = np.concatenate([scores for _, scores in found])
    best = np.argsort(-scores, kind="stable")[: settings.max_boxes]
    return boxes[best], scores[best]


def _boxes_in_view(
    frame: ViewedFrame, index: int, settings: EdgeBoxSettings
) -> tuple[Float, Float]:
    """Return the frame's boxes (n, 4) near the click that are judged in one view, scores (n,)."""
    view = frame.views[index]
    edges = image_edges(frame.pictures[index], settings)
    zoom = view.zoom
    least = math.sqrt(settings.min_box_area_px) * frame.scale
    if settings.search == "opencv":
        found, scores = _opencv_boxes(edges, settings, (least * zoom) ** 2)
    else:
        following = frame.views[index + 1 :]
        smallest = max(following[0].largest if following else frame.smallest, least)
        point = view.to_view(np.array([[*frame.point * frame.scale, 0, 0]]))[0, :2]
        found, scores = EdgeScorer(edges, settings).boxes_near(
            point,
            settings.radius_px * frame.scale * zoom,
            (smallest * zoom, view.largest * zoom),
        )
    boxes = view.to_image(found) / frame.scale
    away = np.linalg.norm(centers(boxes) - frame.point, axis=1)
    own = np.flatnonzero((away <= settings.radius_px) & (frame.view_of(boxes) == index))
    return boxes[own].astype(np.float32), scores[own]


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
        self, point: NDArray[np.floating], radius: float, sides: tuple[float, float]
    ) -> tuple[Float, Float]:
        """Return boxes (n, 4) centred within the radius of a point (2,), best first; scores (n,).

        sides: smallest and largest root of the area of the windows that the search starts from.
        """
        windows, scores = search_near(self.groups, point, radius, sides, self.settings)
        first, last = windows[:, :2], windows[:, 2:]
        return np.hstack([first + PIXEL_MIDDLE, last - first]).astype(np.float32), scores


def _opencv_boxes(
    edges: EdgeMap, settings: EdgeBoxSettings, min_area: float
) -> tuple[Float, Float]:
    """Return the best boxes (n, 4) of a whole image, in its pixels, and their scores (n,)."""
    finder = cv2.ximgproc.createEdgeBoxes(  # a fresh one each time: it remembers the last image
        alpha=settings.alpha,
        beta=settings.beta,
        minScore=settings.min_score,
        maxBoxes=settings.max_boxes,
        minBoxArea=min_area,
    )
    found, scores = finder.getBoundingBoxes(*edges)
    if len(found) == 0:
        return _no_boxes()
    boxes = np.asarray(found, np.float32).reshape(-1, 4)
    boxes[:, :2] += PIXEL_MIDDLE - OPENCV_OFFSET
    return boxes, np.asarray(scores, np.float32).reshape(-1)


def _no_boxes() -> tuple[Float, Float]:
    return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
