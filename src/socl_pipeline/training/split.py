"""Which videos are trained on and which are held out."""

import numpy as np

from socl_pipeline.patches.loader import LEAST_VIDEOS


def split_videos(videos: list[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Return the videos to train on and those held out: a share, rounded, drawn by seed."""
    count = min(round(share * len(videos)), len(videos) - LEAST_VIDEOS)
    drawn = set(np.random.default_rng(seed).permutation(len(videos))[: max(count, 0)].tolist())
    held_out = [v for i, v in enumerate(videos) if i in drawn]
    return [v for i, v in enumerate(videos) if i not in drawn], held_out
