"""Batches: every video once an epoch, pairs, and decoding ahead in order."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.errors import InputError
from socl_pipeline.patches.loader import (
    PatchBatch,
    batches_ahead,
    draw_pair,
    epoch_batches,
    load_batch,
    steps_per_epoch,
)


class TestEpochs:
    @given(st.integers(2, 60), st.integers(2, 12), st.integers(0, 1000))
    def test_every_video_once_in_batches_of_nearly_one_size(self, videos, size, seed):
        names = [f"v{i}" for i in range(videos)]
        batches = epoch_batches(names, size, np.random.default_rng(seed))
        assert sorted(itertools.chain.from_iterable(batches)) == sorted(names)
        sizes = {len(b) for b in batches}
        assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 2
        assert max(sizes) <= size + (size == 2 and videos % 2)
        assert len(batches) == steps_per_epoch(videos, size)

    @pytest.mark.parametrize(
        ("videos", "size", "steps"), [(9335, 96, 98), (6, 3, 2), (7, 3, 3), (3, 8, 1), (5, 2, 2)]
    )
    def test_as_few_steps_as_the_batch_size_needs(self, videos, size, steps):
        assert steps_per_epoch(videos, size) == steps

    def test_the_order_is_that_of_the_generator(self):
        first, same, other = (
            epoch_batches([*"abcdefgh"], 3, np.random.default_rng(seed)) for seed in (0, 0, 1)
        )
        assert first == same != other


class TestPairs:
    @given(
        st.lists(st.integers(0, 300), min_size=2, max_size=20, unique=True),
        st.integers(1, 100),
        st.integers(0, 1000),
    )
    def test_two_rows_within_the_gap(self, frames, gap, seed):
        frames = np.array(sorted(frames))
        rows = [100 + i for i in range(len(frames))]
        a, b = draw_pair(frames, rows, gap, np.random.default_rng(seed))
        assert a in rows and b in rows
        distance = abs(frames[a - 100] - frames[b - 100])
        assert distance <= gap
        others = np.abs(frames - frames[a - 100]) <= gap
        assert (a == b) == (others.sum() == 1), "itself only where nothing else is near"

    def test_a_video_of_one_frame(self):
        assert draw_pair(np.array([7]), [3], 100, np.random.default_rng(0)) == (3, 3)

    def test_every_pair_in_both_orders(self):
        rng = np.random.default_rng(0)
        drawn = {draw_pair(np.array([0, 5, 9]), [0, 1, 2], 5, rng) for _ in range(200)}
        assert drawn == {(0, 1), (1, 0), (1, 2), (2, 1)}


class TestDecoding:
    @pytest.fixture
    def patches(self, make_patches):
        flat = {"a": [np.full((32, 32, 3), 12 * i, np.uint8) for i in range(20)]}
        return make_patches(flat, target=8)

    @pytest.mark.parametrize("workers", [1, 3])
    @pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
    def test_every_batch_in_order(self, patches, count, workers):
        batches = [[2 * i, 2 * i + 1, i] for i in range(count)]
        decoded = list(batches_ahead(patches, batches, workers))
        assert len(decoded) == count
        for rows, batch in zip(batches, decoded, strict=True):
            brightness = batch.images.float().mean(dim=(1, 2, 3))
            np.testing.assert_allclose(brightness, [12 * r for r in rows], atol=2)

    def test_a_batch_larger_than_a_task(self, patches):
        rows = np.random.default_rng(0).integers(0, 20, 75)
        (batch,) = batches_ahead(patches, [rows], workers=2)
        brightness = batch.images.float().mean(dim=(1, 2, 3))
        np.testing.assert_allclose(brightness, 12 * rows, atol=2)

    def test_an_error_in_a_thread_surfaces(self, make_patches):
        patches = make_patches({"a": [np.zeros((32, 32, 3), np.uint8)] * 3}, target=8)
        patches.size = 40
        with pytest.raises(InputError, match="patch 0 cannot be decoded; rebuild the patches"):
            list(batches_ahead(patches, [[0, 1], [2, 0]]))

    def test_rows_that_are_not_there(self, patches):
        with pytest.raises(IndexError, match="rows 3 to 20 of 20 patches"):
            list(batches_ahead(patches, [[0], [3, 20]]))

    def test_stopping_early_ends_the_threads(self, patches):
        batches = batches_ahead(patches, [[0, 1]] * 50, workers=2)
        next(batches)
        batches.close()

    def test_what_a_batch_holds(self, patches):
        batch = load_batch(patches, [3, 1, 3])
        assert batch.images.shape == (3, 32, 32, 3) and batch.images.dtype == torch.uint8
        assert batch.boxes.tolist() == [[[12, 12, 8, 8]]] * 3
        assert batch.scores.tolist() == [[1]] * 3
        assert batch.extents.tolist() == [8] * 3
        assert torch.equal(batch.images[0], batch.images[2])

    def test_videos_of_a_batch(self, patches):
        batch = load_batch(patches, range(10))
        part = batch.of_videos(slice(1, 3))
        assert torch.equal(part.images, batch.images[2:6]) and len(part.scores) == 4
        assert len(batch.of_videos(slice(4, 9)).boxes) == 2
        joined = [batch.of_videos(slice(i, i + 2)).extents for i in range(0, 5, 2)]
        assert torch.equal(torch.cat(joined), batch.extents)
        moved = batch.to(torch.device("meta"))
        assert isinstance(moved, PatchBatch) and moved.scores.device.type == "meta"
