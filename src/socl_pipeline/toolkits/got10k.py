"""Our trackers under the interface of the GOT-10k toolkit.

An experiment of that toolkit takes any object with `name`, `is_deterministic` and `track`
(got10k.trackers.Tracker), so the toolkit need not be there to make one.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.datasets.images import read_image
from socl_pipeline.toolkits.boxes import in_their_pixels
from socl_pipeline.trackers.base import Box, Image, Tracker


class ToolkitTracker:
    """A tracker of ours as the GOT-10k toolkit runs it.

    name: of its folder of results. base: what the benchmark counts pixels from, 0 or 1; the
    toolkit hands boxes on as its files have them. is_deterministic: False runs it three times.
    """

    def __init__(
        self, tracker: Tracker, name: str, base: int = 0, is_deterministic: bool = True
    ) -> None:
        self.name, self.is_deterministic = name, is_deterministic
        self._tracker = tracker
        self._shift = np.array([base, base, 0, 0], np.float64)

    def init(self, image: PIL.Image.Image, box: ArrayLike) -> None:
        """Start on the object in `box` (4,), in the benchmark's own pixels."""
        self._start(np.asarray(image.convert("RGB")), box)

    def update(self, image: PIL.Image.Image) -> Box:
        """Return the object's box (4,) in the next frame, in the benchmark's own pixels."""
        return self._next(np.asarray(image.convert("RGB")))

    def track(
        self, img_files: Sequence[str], box: ArrayLike, visualize: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the boxes (n, 4) in n image files and the seconds (n,) for each.

        Frames are read as our own pipeline reads them, so that results are its results: PIL
        decodes JPEGs to slightly other pixels. Reading is not timed, as in the toolkit.
        """
        boxes, seconds = np.zeros((len(img_files), 4)), np.zeros(len(img_files))
        boxes[0] = box
        for i, path in enumerate(img_files):
            image = read_image(Path(path))
            start = time.perf_counter()
            if i:
                boxes[i] = self._next(image)
            else:
                self._start(image, box)
            seconds[i] = time.perf_counter() - start
            if visualize:
                _show(image, boxes[i])
        return boxes, seconds

    def _start(self, image: Image, box: ArrayLike) -> None:
        self._tracker.init(image, np.asarray(box, np.float64) - self._shift)

    def _next(self, image: Image) -> Box:
        return in_their_pixels(self._tracker.update(image), self._shift)


def as_tracker(
    tracker: Tracker | Path | str,
    name: str,
    *,
    base: int = 0,
    is_deterministic: bool = True,
    **where: Any,
) -> ToolkitTracker:
    """Return a tracker for the experiments of the GOT-10k toolkit.

    tracker: any of ours, or the config file that names it; `where` is then the `dataset` that its
    model was trained on and the folder of `results`, as `configured_tracker` takes them. base: 1
    for benchmarks whose files count pixels from 1: OTB, UAV123, LaSOT.
    Raises InputError if the config has no such tracker, or its model is not built.
    """
    if isinstance(tracker, str | Path):
        from socl_pipeline.toolkits.configured import configured_tracker

        tracker = configured_tracker(Path(tracker), name, **where)
    return ToolkitTracker(tracker, name, base, is_deterministic)


def _show(image: Image, box: Box) -> None:
    """Draw a frame as the toolkit does; only now is it needed."""
    from got10k.utils.viz import show_frame

    show_frame(PIL.Image.fromarray(image), box)
