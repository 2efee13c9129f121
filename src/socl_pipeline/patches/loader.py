"""Batches of patches: pairs of frames, decoded ahead.

Everything random in step s of epoch e is drawn from (seed, e, s), so a resumed run sees exactly
the batches of an undisturbed one.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.patches.patch_set import PatchSet

DECODED_AHEAD = 2  # batches


@dataclass(frozen=True)
class PatchBatch:
    """B patches: images (B, S, S, 3) uint8, boxes (B, K, 4), scores (B, K), extents (B,)."""

    images: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    extents: NDArray[np.float32]


def epoch_batches(
    videos: Sequence[str], videos_per_batch: int, rng: np.random.Generator
) -> list[list[str]]:
    """Return the videos of one epoch in random order, in full batches; the rest waits its turn."""
    order = rng.permutation(len(videos))
    size = min(videos_per_batch, len(videos))
    count = len(videos) // size
    return [[videos[i] for i in order[b * size : (b + 1) * size]] for b in range(count)]


def draw_pair(
    frames: NDArray[np.int64], rows: Sequence[int], max_gap: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Return two rows of a video whose frames (n,) are at most max_gap apart, in random order.

    A video of one frame is paired with itself.
    """
    first = int(rng.integers(len(rows)))
    near = np.flatnonzero(np.abs(frames - frames[first]) <= max_gap)
    near = near[near != first]
    second = int(rng.choice(near)) if len(near) else first
    return rows[first], rows[second]


def load_batch(patches: PatchSet, rows: Sequence[int]) -> PatchBatch:
    """Decode the patches of some rows."""
    loaded = [patches[row] for row in rows]
    return PatchBatch(
        np.stack([p.image for p in loaded]),
        np.stack([p.boxes for p in loaded]),
        np.stack([p.scores for p in loaded]),
        np.array([p.extent for p in loaded], np.float32),
    )


def decoded_ahead(patches: PatchSet, batches: Sequence[Sequence[int]]) -> Iterator[PatchBatch]:
    """Yield decoded batches while a thread decodes the next ones."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(load_batch, patches, rows) for rows in batches[:DECODED_AHEAD]]
        for following in (*batches[DECODED_AHEAD:], *[None] * DECODED_AHEAD):
            if not waiting:
                return
            yield waiting.pop(0).result()
            if following is not None:
                waiting.append(pool.submit(load_batch, patches, following))
