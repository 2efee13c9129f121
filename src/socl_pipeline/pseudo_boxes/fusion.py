"""The mean of a track from one sparse box forwards and one from the next backwards."""

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centered_boxes, centers
from socl_pipeline.pseudo_boxes.follow import Track

Float = NDArray[np.floating]

LEAST_CONFIDENCE = 1e-3  # a cosine may be 0 or less; a weight may not


def fused(forward: Track, backward: Track, times: NDArray[np.integer], length: int) -> Track:
    """Return the weighted mean of two tracks of the same n frames, both in the order of time.

    times: (n,) frames since the sparse box that the first track starts on, 0 < times < length;
    the second starts on the box at `length`. A track's weight is how far the other one's box is
    away, in frames, times its confidence in frames where both are known.
    Centres have an arithmetic, sizes a geometric mean: scales multiply. A frame has failed if
    either track has. A frame that one of them does not have is the other's.
    """
    weights = _weights(forward, backward, times, length)
    share = weights[0] / weights.sum(axis=0)
    middle = _mean(centers(forward.boxes), centers(backward.boxes), share[:, None])
    size = np.exp(_mean(_log_sizes(forward), _log_sizes(backward), share[:, None]))
    return Track(
        boxes=centered_boxes(middle, size),
        confidence=_mean(forward.confidence, backward.confidence, share),
        failed=forward.failed | backward.failed,
        seconds=forward.seconds + backward.seconds,
    )


def _weights(forward: Track, backward: Track, times: NDArray[np.integer], length: int) -> Float:
    near = np.stack([length - times, times]).astype(np.float64)
    sure = np.stack([forward.confidence, backward.confidence])
    known = np.isfinite(sure).all(axis=0)
    weights = near * np.where(known, np.maximum(sure, LEAST_CONFIDENCE), 1.0)
    there = np.stack([np.isfinite(t.boxes[:, 0]) for t in (forward, backward)])
    return np.where(there | ~there.any(axis=0), weights, 0.0)


def _log_sizes(track: Track) -> Float:
    return np.asarray(np.log(track.boxes[:, 2:]))


def _mean(a: Float, b: Float, share: Float) -> Float:
    """Return share a + (1 - share) b; a side without a share may be NaN."""
    return np.where(share > 0, share * a, 0) + np.where(share < 1, (1 - share) * b, 0)
