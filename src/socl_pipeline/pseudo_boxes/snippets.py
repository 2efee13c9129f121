"""Snippets: what lies between one sparse box and the next (paper 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]


@dataclass(frozen=True)
class Snippet:
    """The rows start to stop - 1 of a points table, of one video.

    box: the row of its sparse box, which is the first but for what precedes a video's first box.
    opens: it also has the video's frames before its rows; closes: it has all frames to the
    video's end. Otherwise row `stop` is the next sparse box.
    """

    start: int
    box: int
    stop: int
    opens: bool
    closes: bool

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class SnippetFrames:
    """The n frames of a snippet.

    box: index of the frame with the sparse box `start` (4,). end: the next sparse box (4,), that
    of frame n; None if there is none. clicks: (n, 2), NaN where there is none. absent: (n,)
    whether the target is not there. Boxes are x, y, w, h and clicks x, y in px, edge coordinates.
    """

    box: int
    start: Float
    end: Float | None
    clicks: Float
    absent: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.clicks)


def snippets_of(videos: NDArray[np.integer], boxed: NDArray[np.bool_]) -> list[Snippet]:
    """Return the snippets of all videos that have a sparse box, in order.

    videos: (n,) a number for the video of each row of a points table, whose videos each stand
    together. boxed: (n,) which rows have a sparse box.
    """
    bounds = [0, *(np.flatnonzero(np.diff(videos)) + 1).tolist(), len(videos)]
    snippets = []
    for first, end in pairwise(bounds):
        boxes = (first + np.flatnonzero(boxed[first:end])).tolist()
        for box, stop in pairwise([*boxes, end]):
            opens = box == boxes[0]
            start = first if opens else box
            snippets.append(Snippet(start, box, stop, opens, stop == end))
    return snippets


def bundles_of(snippets: Sequence[Snippet], most: int) -> list[tuple[Snippet, ...]]:
    """Return snippets in at most `most` bundles of as many each, the last of what is left.

    How they are cut depends on the snippets alone, so that a run that is started again finds the
    same bundles.
    """
    size = -(-len(snippets) // most)
    return [tuple(snippets[i : i + size]) for i in range(0, len(snippets), max(size, 1))]
