"""The boxes of one snippet: tracked or interpolated, with where each comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centered_boxes, centers
from socl_pipeline.pseudo_boxes.follow import Track, follow
from socl_pipeline.pseudo_boxes.fusion import fused
from socl_pipeline.pseudo_boxes.smoothing import smoothed_sizes
from socl_pipeline.pseudo_boxes.snippets import SnippetFrames
from socl_pipeline.settings import InterpolatedBoxSettings, TrackedBoxSettings
from socl_pipeline.trackers.base import Correctable, Image

Float = NDArray[np.floating]
Read = Callable[[int], Image | None]

SPARSE, CLICK, ABSENT, UNREADABLE = "box", "click", "absent", "unreadable"
FORWARD, BACKWARD, FUSED, INTERPOLATED = "forward", "backward", "fused", "interpolated"
UNCLICKED = "_unclicked"  # behind one of these four: the frame has no click


@dataclass(frozen=True)
class SnippetBoxes:
    """The boxes of a snippet's n frames.

    boxes: (n, 4), NaN where there is none. confidence: (n,), NaN where unknown. failed: (n,)
    whether a tracker was corrected. source: n names. seconds: that the tracker took.
    """

    boxes: Float
    confidence: Float
    failed: NDArray[np.bool_]
    source: list[str]
    seconds: float


def tracked_boxes(
    frames: SnippetFrames, read: Read, tracker: Correctable, settings: TrackedBoxSettings
) -> SnippetBoxes:
    """Track from the sparse box up to the next one, and backwards through what precedes it.

    read: returns frame i of the snippet, or frame n, which has the next box; None if it cannot be
    read. It is called once for each frame and direction, and not for frames without the target.
    """
    here, n = frames.box, len(frames)
    after = [i for i in range(here, n) if not frames.absent[i]]
    before = [i for i in range(here, -1, -1) if not frames.absent[i]]
    clicks = np.concatenate([frames.clicks, np.full((1, 2), np.nan)])

    def along(order: Sequence[int], start: Float) -> Track:
        return follow(tracker, map(read, order), start, clicks[order], settings)

    found = _Found(n)
    track = along(after, frames.start)
    found.put(after, track, FORWARD)
    if settings.ends == "both" and frames.end is not None and len(after) > 1:
        back = along([n, *after[:0:-1]], frames.end).frames(slice(None, 0, -1))
        both = fused(track.frames(slice(1, None)), back, np.array(after[1:]) - here, n - here)
        found.put(after[1:], both, FUSED)
        track = both
    seconds = track.seconds
    if len(before) > 1:
        lead = along(before, frames.start)
        found.put(before[1:], lead.frames(slice(1, None)), BACKWARD)
        seconds += lead.seconds
    source = found.source(frames)
    _smooth(found.boxes, frames, settings.smooth_scale)
    return SnippetBoxes(found.boxes, found.confidence, found.failed, source, seconds)


class _Found:
    """The boxes of n frames while they are put together."""

    def __init__(self, n: int) -> None:
        self.boxes, self.confidence = np.full((n, 4), np.nan), np.full(n, np.nan)
        self.failed = np.zeros(n, bool)
        self.names = [ABSENT] * n

    def put(self, order: Sequence[int], track: Track, name: str) -> None:
        """Take over a track of some frames."""
        self.boxes[order], self.confidence[order] = track.boxes, track.confidence
        self.failed[order] = track.failed
        for i in order:
            self.names[i] = name

    def source(self, frames: SnippetFrames) -> list[str]:
        """Return where the box of each frame is from."""
        lost = np.isnan(self.boxes[:, 0])
        return [self._source(i, frames, bool(lost[i])) for i in range(len(self.names))]

    def _source(self, i: int, frames: SnippetFrames, lost: bool) -> str:
        name = self.names[i]
        if lost:
            return ABSENT if name == ABSENT else UNREADABLE
        if i == frames.box:
            return SPARSE
        if np.isnan(frames.clicks[i, 0]):
            return name + UNCLICKED
        # the mean of two tracks is not at the click where one of them has failed
        return CLICK if self.failed[i] and name != FUSED else name


def _smooth(boxes: Float, frames: SnippetFrames, scale: float) -> None:
    """Smooth the sizes of boxes (n, 4) in place, on each side of the sparse box."""
    here = frames.box
    sizes = boxes[:, 2:].copy()
    sizes[here] = frames.start[2:]  # also where its frame cannot be read
    later = sizes[here:] if frames.end is None else np.vstack([sizes[here:], frames.end[2:]])
    after = smoothed_sizes(later, scale, frames.end is not None)[: len(boxes) - here]
    before = smoothed_sizes(sizes[here::-1], scale, False)[::-1]
    smooth = np.concatenate([before[:-1], after])
    changed = np.isfinite(boxes[:, 0]) & (np.arange(len(boxes)) != here)
    boxes[changed] = centered_boxes(centers(boxes[changed]), smooth[changed])


def interpolated_boxes(frames: SnippetFrames, settings: InterpolatedBoxSettings) -> SnippetBoxes:
    """Interpolate w and h, and the centre if the settings ask so, linearly over frames.

    Beyond the first and the last sparse box of a video they are those of that box. A frame
    without a click has an interpolated centre in any case.
    """
    n = len(frames)
    known = [frames.start] if frames.end is None else [frames.start, frames.end]
    places = [frames.box, n][: len(known)]
    values = np.concatenate([centers(known), np.stack(known)[:, 2:]], axis=1)
    middle_x, middle_y, w, h = (np.interp(np.arange(n), places, column) for column in values.T)
    middle = np.stack([middle_x, middle_y], axis=1)
    clicked = np.isfinite(frames.clicks[:, 0])
    if settings.centre == "click":
        middle = np.where(clicked[:, None], frames.clicks, middle)
    boxes = centered_boxes(middle, np.stack([w, h], axis=1))
    boxes[frames.box] = frames.start
    boxes[frames.absent] = np.nan
    source = [INTERPOLATED if c else INTERPOLATED + UNCLICKED for c in clicked]
    source[frames.box] = SPARSE
    source = [ABSENT if a else s for a, s in zip(frames.absent, source, strict=True)]
    return SnippetBoxes(boxes, np.full(n, np.nan), np.zeros(n, bool), source, 0.0)
