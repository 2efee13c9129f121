"""Batches of patches: pairs of frames, decoded ahead.

Everything random in step s of epoch e is drawn from (seed, e, s), so a resumed run sees exactly
the batches of an undisturbed one.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from socl_pipeline.patches.patch_set import PatchSet, Rows

BATCHES_AHEAD = 2
PATCHES_PER_TASK = 16  # few enough to share a batch among threads, enough to hide their hand-over
LEAST_VIDEOS = 2  # in a batch: the templates of others are the loss's negatives


@dataclass(frozen=True)
class PatchBatch:
    """B patches; rows 2i and 2i + 1 are the pair of video i.

    images: (B, S, S, 3) uint8 RGB. boxes: (B, K, 4) float32 in patch pixels, with zero scores
    (B, K) where there are fewer than K. extents: (B,) float32, side of the target in patch pixels.
    """

    images: Tensor
    boxes: Tensor
    scores: Tensor
    extents: Tensor

    def to(self, device: torch.device, non_blocking: bool = False) -> "PatchBatch":
        """Return the batch on a device; non_blocking copies from pinned memory run beside."""
        return PatchBatch(
            *(getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self))
        )

    def of_videos(self, part: slice) -> "PatchBatch":
        """Return the patches of some of the videos, as views."""
        start, stop, step = part.indices(len(self.images) // 2)
        if step != 1:
            raise ValueError("videos of a batch are taken in runs")
        rows = slice(2 * start, 2 * stop)
        return PatchBatch(*(getattr(self, f.name)[rows] for f in fields(self)))


def steps_per_epoch(videos: int, videos_per_batch: int) -> int:
    """Return the number of batches that show each of `videos` videos once.

    As few as batches of `videos_per_batch` need, but each has at least two videos: with
    videos_per_batch = 2 and an odd number of videos one batch has three.
    """
    return max(1, min(-(-videos // videos_per_batch), videos // LEAST_VIDEOS))


def epoch_batches(
    videos: Sequence[str], videos_per_batch: int, rng: np.random.Generator
) -> list[list[str]]:
    """Return every video once in random order, in `steps_per_epoch` batches.

    Their sizes differ by one at most: a small last batch would have few negatives.
    """
    order = rng.permutation(len(videos))
    parts = np.array_split(order, steps_per_epoch(len(videos), videos_per_batch))
    return [[videos[i] for i in part] for part in parts]


def draw_pair(
    frames: NDArray[np.integer], rows: Rows, max_gap: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Return two rows of a video whose frames (n,) are at most max_gap apart, in random order.

    A video of one frame is paired with itself.
    """
    first = int(rng.integers(len(rows)))
    near = np.flatnonzero(np.abs(frames - frames[first]) <= max_gap)
    near = near[near != first]
    second = int(rng.choice(near)) if len(near) else first
    return int(rows[first]), int(rows[second])


def load_batch(patches: PatchSet, rows: Rows) -> PatchBatch:
    """Return the patches of some rows, decoded."""
    batch = _empty_batch(patches, rows, pin=False)
    patches.decode(rows, batch.images.numpy())
    return batch


def batches_ahead(
    patches: PatchSet, batches: Iterable[Rows], workers: int = 1, pin: bool = False
) -> Iterator[PatchBatch]:
    """Yield the decoded batches of some rows in order, while threads decode the next ones.

    workers: threads, which share the patches of each batch. pin: put batches in page-locked
    memory, from which they are copied to a GPU beside its work.
    """
    waiting: deque[tuple[PatchBatch, list[Future[None]]]] = deque()
    with ThreadPoolExecutor(workers, "patches") as pool:
        try:
            for rows in batches:
                batch = _empty_batch(patches, rows, pin)
                waiting.append((batch, _decode_in(pool, patches, rows, batch)))
                if len(waiting) > BATCHES_AHEAD:
                    yield _decoded(*waiting.popleft())
            while waiting:
                yield _decoded(*waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _empty_batch(patches: PatchSet, rows: Rows, pin: bool) -> PatchBatch:
    """Return a batch of some rows whose images are still to be decoded."""
    shape = (len(rows), patches.size, patches.size, 3)
    boxes, scores = patches.boxes(rows)
    others = [torch.from_numpy(a) for a in (boxes, scores, patches.extents[np.asarray(rows)])]
    return PatchBatch(
        torch.empty(shape, dtype=torch.uint8, pin_memory=pin),
        *(tensor.pin_memory() if pin else tensor for tensor in others),
    )


def _decode_in(
    pool: ThreadPoolExecutor, patches: PatchSet, rows: Rows, batch: PatchBatch
) -> list[Future[None]]:
    images = batch.images.numpy()
    parts = [slice(i, i + PATCHES_PER_TASK) for i in range(0, len(rows), PATCHES_PER_TASK)]
    return [pool.submit(patches.decode, rows[part], images[part]) for part in parts]


def _decoded(batch: PatchBatch, tasks: list[Future[None]]) -> PatchBatch:
    for task in tasks:
        task.result()
    return batch
