import numpy as np
import pytest
import torch

from socl_pipeline.models import build_backbone
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.report.top_examples import choose_rows
from socl_pipeline.report.weight_maps import (
    shown_videos,
    spread_pair,
    weight_maps,
    weight_strip,
)
from socl_pipeline.settings import SoclModelSettings

VIDEOS = np.repeat(np.arange(8), 5)


def test_examples_are_of_different_videos_over_the_whole_dataset():
    every = np.ones(40, bool)
    rows = choose_rows(VIDEOS, every, every, 4)
    np.testing.assert_array_equal(VIDEOS[rows], [1, 3, 5, 7])


def test_examples_prefer_frames_and_videos_with_a_box():
    boxed = np.zeros(40, bool)
    boxed[[0, 14, 39]] = True
    assert choose_rows(VIDEOS, np.ones(40, bool), boxed, 3) == [0, 14, 39]
    assert choose_rows(VIDEOS, np.ones(40, bool), boxed, 8)[:2] == [0, 7]


def test_frames_that_were_left_out_are_no_examples():
    usable = VIDEOS != 2
    assert 2 not in VIDEOS[choose_rows(VIDEOS, usable, np.ones(40, bool), 8)]
    assert choose_rows(VIDEOS, np.zeros(40, bool), np.ones(40, bool), 8) == []


def test_weights_are_shown_of_the_examples_or_else_of_any_video_with_patches():
    assert shown_videos(["c", "a", "x"], {"a", "b", "c"}, 2) == ["c", "a"]
    assert shown_videos(["x"], {"b", "c", "a"}, 2) == ["a", "b"]
    assert shown_videos([], {"a"}, 2) == ["a"]


def test_pair_is_as_far_apart_as_training_allows():
    frames, rows = np.arange(0, 80, 10), list(range(20, 28))
    assert spread_pair(frames, rows, 100) == (22, 27)
    assert spread_pair(frames, rows, 30) == (22, 25)
    assert spread_pair(np.array([4]), [9], 30) == (9, 9)


@pytest.fixture(scope="module")
def maps():
    """Weight maps of two pairs of noise patches, their one box at the centre."""
    rng = np.random.default_rng(0)
    size, extent = 160, 32.0
    center = (size - extent) / 2
    batch = PatchBatch(
        torch.from_numpy(rng.integers(0, 256, (4, size, size, 3), dtype=np.uint8)),
        torch.tensor([center, center, extent, extent]).repeat(4, 1, 1),
        torch.ones(4, 1),
        torch.full((4,), extent),
    )
    settings = SoclModelSettings(window=143)
    threads = torch.get_num_threads()
    found = weight_maps(build_backbone("alexnet_v1", 0).eval(), batch, settings, 0.2)
    assert torch.get_num_threads() == threads
    return found


def test_weights_are_probabilities_on_the_feature_grid(maps):
    side = maps.grid.cells
    assert maps.gst.shape == (2, 2, side, side)
    assert maps.sns.shape == maps.background.shape == (2, side, side)
    assert maps.windows.shape == (2, 2, 143, 143, 3)
    np.testing.assert_allclose(maps.gst.sum(axis=(2, 3)), 1, atol=1e-5)
    np.testing.assert_allclose(maps.sns.sum(axis=(1, 2)), 1, atol=1e-5)


def test_templates_look_at_the_target_and_negatives_beside_it(maps):
    middle = maps.grid.cells // 2
    assert (maps.gst[:, :, middle, middle] == maps.gst.max(axis=(2, 3))).all()
    assert not maps.background[:, middle, middle].any()
    assert (maps.sns[~maps.background] == 0).all()


def test_windows_are_the_middle_of_the_patches(maps):
    assert maps.windows.dtype == np.uint8
    assert maps.windows.std() > 20


def test_strip_of_weights_has_four_square_panels(maps):
    picture = weight_strip(maps, 1)
    height, width = picture.shape[:2]
    assert 4 * height < width < 4.1 * height
