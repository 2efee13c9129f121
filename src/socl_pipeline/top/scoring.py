"""The kept boxes of one frame: windows, cues, naive Bayes, non-maximum suppression."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centered_boxes
from socl_pipeline.settings import TopMapSettings
from socl_pipeline.top.cues.image import CUES, CueSettings, window_cues
from socl_pipeline.top.objectness.model import SIZE, ObjectnessModel, relative_log_side
from socl_pipeline.top.suppression import non_maximum_suppression
from socl_pipeline.top.views import ViewedFrame
from socl_pipeline.top.windows import window_sizes, within_frame

Float = NDArray[np.floating]


def frame_cues(frame: ViewedFrame, windows: Float, thetas: CueSettings) -> Float:
    """Return the cues (n, 3) of a frame's windows (n, 4), each computed in the window's view."""
    cues = np.empty((len(windows), len(CUES)))
    chosen = frame.view_of(windows)
    for i, view in enumerate(frame.views):
        own = np.flatnonzero(chosen == i)
        if len(own):
            in_view = view.to_view(windows.take(own, axis=0) * frame.scale)
            cues[own] = window_cues(frame.pictures[i], in_view, thetas)
    return cues


@dataclass(frozen=True)
class FrameScorer:
    """Scores the proposals of frames: templates (n, 2) of random windows, plus EdgeBoxes."""

    templates: Float
    model: ObjectnessModel
    settings: TopMapSettings

    @cached_property
    def _sizes(self) -> Callable[[int, int, float], Float]:
        """The sizes (n, 2) of the random windows in frames of a size, which a video's share."""
        return lru_cache(maxsize=4)(partial(window_sizes, self.templates))

    def kept_boxes(self, frame: ViewedFrame, edge_boxes: Float) -> tuple[Float, Float]:
        """Return at most top_k boxes (k, 4) in frame pixels and their scores (k,), best first.

        edge_boxes: (m, 4) in frame pixels.
        """
        width, height = frame.size
        sizes = self._sizes(width, height, frame.settings.min_side_px)
        windows = np.concatenate([centered_boxes(frame.point, sizes), edge_boxes])
        windows = within_frame(windows, width, height, self.settings.border_loss)
        cues = frame_cues(frame, windows, self.model.thetas)
        log_side = relative_log_side(windows, width, height) if SIZE in self.model.cues else None
        scores = self.model.posterior(cues, log_side)
        kept = non_maximum_suppression(windows, scores, self.settings.nms, self.settings.top_k)
        return windows[kept], scores[kept]


def top_extent(boxes: Float, scores: Float) -> float:
    """Return the side in pixels that kept boxes (k, 4) imply: their score-weighted mean side.

    Geometric, because sides are drawn log-uniformly; score-weighted, because suppression keeps
    windows of every size. Our choice: the paper does not say how patches are sized.
    """
    log_side = np.log(np.maximum(boxes[:, 2] * boxes[:, 3], 1)) / 2
    return float(np.exp(np.average(log_side, weights=scores)))


def map_region(point: Float, extent: float, context: float) -> Float:
    """Return the square (4,: x, y, w, h) around a click that shows its surroundings."""
    side = extent * context
    return np.array([point[0] - side / 2, point[1] - side / 2, side, side])
