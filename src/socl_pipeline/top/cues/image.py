"""Objectness cues of Alexe et al. (PAMI 2012) that SoCL uses: MS, CC and ED.

Multi-scale saliency, colour contrast and edge density of many windows of one image. Constants are
the published ones of the objectness release 2.2; the superpixel cue is left out, as in SoCL 3.1.
Each cue turns the image into integral maps once and then reads every window from their corners.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.top.cues.contrast import ColourHistograms
from socl_pipeline.top.cues.density import EdgeDensity
from socl_pipeline.top.cues.saliency import SaliencyMaps

Float = NDArray[np.floating]

CUES = ("ms", "cc", "ed")


@dataclass(frozen=True)
class CueSettings:
    """Constants of the cues.

    ms_scales, ms_thresholds: sides of the saliency maps and their thresholds (release 2.2).
    cc_theta: how much larger the surrounding window is, in percent (release 2.2).
    ed_theta: how much of the window is its inner ring, in percent (release 2.2).
    """

    ms_scales: tuple[int, ...] = (16, 24, 32, 48, 64)
    ms_thresholds: tuple[float, ...] = (0.43, 0.32, 0.34, 0.35, 0.26)
    cc_theta: float = 100.0
    ed_theta: float = 17.0


class ImageCues:
    """The integral maps of one RGB image (H, W, 3), from which cues of windows are read."""

    def __init__(self, image: NDArray[np.uint8], settings: CueSettings | None = None) -> None:
        settings = settings or CueSettings()
        self._height, self._width = image.shape[:2]
        self._saliency = SaliencyMaps(image, settings.ms_scales, settings.ms_thresholds)
        self._contrast = ColourHistograms(image, settings.cc_theta)
        self._density = EdgeDensity(image, settings.ed_theta)

    def of(self, windows: Float) -> NDArray[np.float64]:
        """Return the cues (n, 3), in the order of CUES, of windows (n, 4) in image pixels."""
        corners = pixel_corners(windows, self._width, self._height)
        cues = [self._saliency.of(corners), self._contrast.of(corners), self._density.of(corners)]
        return np.stack(cues, axis=1)


def window_cues(
    image: NDArray[np.uint8], windows: Float, settings: CueSettings | None = None
) -> NDArray[np.float64]:
    """Return the cues (n, 3), in the order of CUES, of windows (n, 4) of an RGB image (H, W, 3)."""
    return ImageCues(image, settings).of(windows)


def pixel_corners(windows: Float, width: int, height: int) -> NDArray[np.int64]:
    """Return windows (n, 4) as whole pixels x0, y0, x1, y1 (end exclusive), never empty."""
    return _pixel_corners(np.asarray(windows, np.float64), width, height)


@njit(cache=True)
def _pixel_corners(windows: NDArray[np.float64], width: int, height: int) -> NDArray[np.int64]:
    corners = np.empty((len(windows), 4), np.int64)
    for n in range(len(windows)):
        for axis, limit in ((0, width), (1, height)):
            start = windows[n, axis]
            low = min(max(np.rint(start), 0.0), limit - 1.0)
            high = min(max(np.rint(start + windows[n, axis + 2]), low + 1), float(limit))
            corners[n, axis], corners[n, axis + 2] = int(low), int(high)
    return corners
