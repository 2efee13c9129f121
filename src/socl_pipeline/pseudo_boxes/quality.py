"""How good pseudo boxes are: measures on frames with a true box, overall and by video."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.benchmarks.ope import center_error
from socl_pipeline.boxes import iou
from socl_pipeline.statistics import Estimate

Float = NDArray[np.floating]

MEASURES = {
    "iou": "mean IoU",
    "above_50": "IoU > 0.5",
    "above_75": "IoU > 0.75",
    "error_px": "centre error, px",
    "failures": "failures per 1,000",
}
"""The measures of a frame whose means are given, and what tables call them."""


@dataclass(frozen=True)
class Measured:
    """An entry's measures of n frames, each (n,), and the video (n,) of each frame.

    seconds: of the tracker, a frame. cost: of annotation and tracker, seconds a frame
    (`annotation.cost.mixed_cost`).
    """

    name: str
    videos: NDArray[np.integer]
    values: Mapping[str, Float]
    seconds: float
    cost: float

    @classmethod
    def of(
        cls,
        name: str,
        videos: NDArray[np.integer],
        boxes: Float,
        truth: Float,
        failed: NDArray[np.bool_],
        seconds: float,
        cost: float,
    ) -> "Measured":
        """Measure boxes (n, 4) against true ones (n, 4)."""
        overlap = np.asarray(iou(boxes, truth))
        values = {
            "iou": overlap,
            "above_50": (overlap > 0.5).astype(np.float64),
            "above_75": (overlap > 0.75).astype(np.float64),
            "error_px": center_error(boxes, truth),
            "failures": 1000.0 * failed,
        }
        return cls(name, videos, values, seconds, cost)

    def estimate(self, measure: str, control: "Measured | None" = None) -> Estimate:
        """Return the mean of a measure, or of its difference from the control's, frame by frame.

        The interval is over videos.
        """
        base = 0.0 if control is None else control.values[measure]
        return Estimate.of(self.values[measure] - base, self.videos)

    def by_video(self, measure: str) -> Float:
        """Return the mean (videos,) of a measure in each video, ordered by the video's number."""
        _, members = np.unique(self.videos, return_inverse=True)
        return np.asarray(np.bincount(members, self.values[measure]) / np.bincount(members))


def extreme_frames(
    values: Float, videos: NDArray[np.integer], count: int
) -> tuple[list[int], list[int]]:
    """Return the frames with the lowest and with the highest values (n,), at most one a video.

    Each list has at most `count` frames and begins with the most extreme one.
    """
    order = np.argsort(values, kind="stable")
    return _first_of_videos(order, videos, count), _first_of_videos(order[::-1], videos, count)


def _first_of_videos(
    order: NDArray[np.integer], videos: NDArray[np.integer], count: int
) -> list[int]:
    _, first = np.unique(videos[order], return_index=True)
    return [int(i) for i in order[np.sort(first)[:count]]]
