"""Simulated annotators: click noise, and which videos and frames a budget pays for."""

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def video_seed(name: str) -> int:
    """Return a number that identifies a video whatever its place in a list."""
    return zlib.crc32(name.encode())


def noisy_points(
    points: NDArray[np.float64], noise_px: float, seed: int, video: str
) -> NDArray[np.float64]:
    """Shift clicks (n, 2) by `noise_px` pixels, each in its own random direction (paper 4.7).

    The shift of frame i depends on seed, video and i only, so a subset of frames keeps its clicks.
    """
    angle = np.random.default_rng([seed, video_seed(video)]).uniform(0, 2 * np.pi, len(points))
    return points + noise_px * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def sample_frames(indices: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Return an evenly spaced share of frame indices (n,), at least one, the first included."""
    count = max(1, round(len(indices) * fraction)) if len(indices) else 0
    return indices[(np.arange(count) * len(indices)) // max(count, 1)]


def sample_videos(
    names: Sequence[str],
    frames: Sequence[int],
    *,
    count: int | None,
    hours: float | None,
    seconds_per_frame: float,
    seed: int,
) -> list[str]:
    """Return the videos that are annotated, in their original order.

    frames: annotated frames of each video. count: how many videos (None: all). hours: stop
    before the video that would exceed the budget (None: no budget). Videos are drawn in one
    random order, so a larger budget contains a smaller one's videos.
    """
    order = np.random.default_rng(seed).permutation(len(names))
    if count is not None:
        order = order[:count]
    if hours is not None:
        budget = math.floor(hours * 3600 / seconds_per_frame + 1e-6)  # 12.999999 pays for 13
        spent = np.cumsum(np.asarray(frames, dtype=np.int64)[order])
        order = order[spent <= budget]
    return [names[i] for i in sorted(order)]
