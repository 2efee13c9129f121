"""Where windows lie, and where the target is in them: measured in the windows' own pixels."""

import numpy as np
import pytest
import torch

from socl_pipeline.errors import InputError
from socl_pipeline.patches.augment import cut_windows
from socl_pipeline.settings import TransTModelSettings
from socl_pipeline.trackers.transt import SEARCH_FACTOR, TEMPLATE_FACTOR, patch_side
from socl_pipeline.transt.geometry import (
    boxes_in_search,
    patch_sides,
    require_context,
    search_windows,
    template_windows,
    usable,
)

SIZE, SEARCH = 256, 512  # finely sampled: edges are ramps of one patch pixel


@pytest.fixture
def boxes():
    """Boxes on whole pixels, wide, tall and off the patch's middle."""
    return torch.tensor([[100.0, 120, 40, 24], [110, 90, 20, 44], [140, 130, 30, 30]])


def painted(boxes):
    """Black patches with their box in white."""
    images = torch.zeros(len(boxes), SIZE, SIZE, 3, dtype=torch.uint8)
    for image, (x, y, w, h) in zip(images, boxes.int().tolist(), strict=True):
        image[y : y + h, x : x + w] = 255
    return images


def measured(window):
    """Return cx, cy, w, h of what is white in a window (3, S, S), as shares of its side."""
    share = window[0].double() / 255
    side = len(share)
    across, down = share.max(dim=0).values, share.max(dim=1).values
    centers = torch.arange(side, dtype=torch.float64) + 0.5
    values = [(v * centers).sum() / v.sum() for v in (across, down)]
    return torch.stack([*values, across.sum(), down.sum()]) / side


def test_sides_are_the_trackers(boxes):
    for factor in (TEMPLATE_FACTOR, SEARCH_FACTOR):
        expected = [patch_side(size, factor) for size in boxes[:, 2:].numpy()]
        found = patch_sides(boxes[:, 2:], factor).numpy()
        np.testing.assert_array_equal(np.ceil(found - 1e-4), expected)


def test_the_template_has_the_target_in_its_middle(boxes):
    windows = template_windows(boxes)
    cut = cut_windows(painted(boxes), windows, SEARCH)
    for image, (_, _, w, h), side in zip(cut, boxes, windows.sides, strict=True):
        expected = torch.tensor([0.5, 0.5, w / side, h / side])
        torch.testing.assert_close(measured(image).float(), expected, atol=0.003, rtol=0)
    assert windows.sides[2] == 60, "twice a square target"


def test_the_label_is_where_the_target_is_in_the_search_window(boxes):
    """To a quarter of a pixel of these large windows, a sixteenth of TransT's."""
    rng = torch.Generator().manual_seed(0)
    for _ in range(5):
        stretches = (0.25 * torch.randn(3, 2, generator=rng)).exp()
        offsets = (torch.rand(3, 2, generator=rng) - 0.5) * 2
        windows = search_windows(boxes, stretches, offsets)
        labels = boxes_in_search(boxes, windows)
        cut = cut_windows(painted(boxes), windows, SEARCH)
        for image, label in zip(cut, labels, strict=True):
            found = measured(image).float()
            torch.testing.assert_close(found, label, atol=0.25 / SEARCH, rtol=0)


def test_the_search_window_is_that_of_a_stretched_and_moved_box():
    box = torch.tensor([[90.0, 110, 20, 20]])
    windows = search_windows(box, torch.tensor([[2.0, 0.5]]), torch.tensor([[1.5, -1.0]]))
    assert windows.sides.item() == pytest.approx(patch_side([40, 10], 4), abs=1)
    # mean side of 40 x 10 is 20 px
    torch.testing.assert_close(windows.centers, torch.tensor([[130.0, 100.0]]))
    label = boxes_in_search(box, windows)[0]
    torch.testing.assert_close(label[2:] * windows.sides, torch.tensor([20.0, 20.0]))
    torch.testing.assert_close(
        (label[:2] - 0.5) * windows.sides, torch.tensor([-30.0, 20.0]), atol=1e-4, rtol=0
    )


def test_an_unchanged_window_shows_a_square_target_at_a_quarter():
    box = torch.tensor([[96.0, 96, 64, 64]])
    windows = search_windows(box, torch.ones(1, 2), torch.zeros(1, 2))
    torch.testing.assert_close(
        boxes_in_search(box, windows), torch.tensor([[0.5, 0.5, 0.25, 0.25]])
    )


def test_boxes_without_extent_are_no_use():
    boxes = torch.tensor([[0.0, 0, 0, 0], [5, 5, 30, 1], [5, 5, 2, 2], [-9, 0, 300, 300]])
    assert usable(boxes).tolist() == [False, False, True, True]


def test_patches_that_are_too_narrow_are_one_sentence():
    settings = TransTModelSettings(kind="transt")
    require_context(settings, 7)
    with pytest.raises(InputError, match=r"patches\.context is 5, .* set .* to 7 or more") as e:
        require_context(settings, 5)
    assert "\n" not in str(e.value)
    require_context(TransTModelSettings(kind="transt", augment={"centre": 0.5}), 5)
