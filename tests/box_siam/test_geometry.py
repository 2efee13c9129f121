import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from socl_pipeline.box_siam.geometry import (
    context_sides,
    exemplar_windows,
    search_grid,
    search_windows,
    usable,
)
from socl_pipeline.errors import InputError
from socl_pipeline.patches.augment import boxes_in_windows, cut_windows
from socl_pipeline.settings import BceModelSettings
from socl_pipeline.trackers.siamfc import context_side

SIZE = 320
NO_FLIP = torch.tensor([False])


def drawn(box):
    """A patch with a white box (x, y, w, h, whole pixels) on black, (1, S, S, 3) uint8."""
    x, y, w, h = box
    image = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    image[:, y : y + h, x : x + w] = 255
    return torch.from_numpy(image), torch.tensor([box], dtype=torch.float32)


def seen_center(window):
    """The centre x, y of the white region in a window (1, 3, W, W)."""
    weight = window[0, 0]
    places = torch.arange(len(weight)) + 0.5
    return torch.stack([weight.sum(0) @ places, weight.sum(1) @ places]) / weight.sum()


class TestExemplar:
    @pytest.mark.parametrize("flip", [False, True])
    def test_the_target_is_in_the_middle(self, flip):
        image, box = drawn((100, 130, 40, 30))
        cut = cut_windows(image, exemplar_windows(box, torch.tensor([flip])), 127)
        torch.testing.assert_close(seen_center(cut), torch.full((2,), 63.5), atol=0.1, rtol=0)

    def test_the_tracker_s_context(self):
        sizes = [(40.0, 30.0), (12.5, 50.0)]
        boxes = torch.tensor([(0.0, 0.0, *size) for size in sizes])
        expected = [context_side(size, 0.5) for size in sizes]
        np.testing.assert_allclose(context_sides(boxes), expected, rtol=1e-6)

    def test_how_large_the_target_is(self):
        box = torch.tensor([[100.0, 130, 40, 40]])
        inside = boxes_in_windows(box[:, None], exemplar_windows(box, NO_FLIP), 127)
        torch.testing.assert_close(inside, torch.tensor([[[31.75, 31.75, 63.5, 63.5]]]))


class TestSearch:
    @pytest.mark.parametrize("flip", [False, True])
    @pytest.mark.parametrize("stretch", [1.0, 1.1, 0.9])
    def test_the_target_is_at_the_drawn_shift(self, flip, stretch):
        image, box = drawn((100, 130, 40, 30))
        windows = search_windows(
            box, torch.tensor([flip]), torch.tensor([[24.0, -17.0]]), torch.tensor([stretch]), 239
        )
        found = seen_center(cut_windows(image, windows, 239)) - 239 / 2
        torch.testing.assert_close(found, torch.tensor([24.0, -17.0]), atol=0.1, rtol=0)

    def test_on_the_scale_of_the_exemplar(self):
        box = torch.tensor([[100.0, 130, 40, 30]])
        windows = search_windows(box, NO_FLIP, torch.zeros(1, 2), torch.ones(1), 255)
        torch.testing.assert_close(windows.sides, context_sides(box) * 255 / 127)

    def test_a_window_beyond_the_patch_repeats_its_border(self):
        image, box = drawn((0, 0, 60, 60))
        windows = search_windows(box, NO_FLIP, torch.zeros(1, 2), torch.ones(1), 239)
        cut = cut_windows(image, windows, 239)
        assert (cut[..., :60, :60] == 255).all() and (cut[..., -60:, -60:] == 0).all()


class TestSearchGrid:
    @pytest.mark.parametrize(
        ("window", "stride", "pixels"),
        [
            (239, 8, 239),
            (255, 8, 255),
            (254, 8, 239),
            (239, 16, 223),
            (255, 16, 255),
            (159, 8, 159),
        ],
    )
    def test_the_largest_that_suits_the_stride(self, window, stride, pixels):
        grid = search_grid(window, stride)
        assert (grid.pixels, grid.stride) == (pixels, stride)
        assert grid.reach == (pixels - 127) / 2

    @pytest.mark.parametrize("stride", [8, 16])
    def test_settings_refuse_what_would_not_fit(self, stride):
        least = BceModelSettings(kind="bce", window=159).window
        assert search_grid(least, stride).pixels == least
        with pytest.raises(ValidationError, match="159"):
            BceModelSettings(kind="bce", window=least - 1)

    @given(st.integers(1, 600), st.sampled_from([4, 8, 16, 32]))
    def test_any_window_fits_or_is_refused_with_advice(self, window, stride):
        try:
            grid = search_grid(window, stride)
        except InputError as error:
            advised = int(str(error).split("set window to ")[1].split()[0])
            assert advised > window and search_grid(advised, stride).pixels == advised
        else:
            assert grid.pixels <= window < grid.pixels + 2 * stride
            assert (grid.pixels - 127) % (2 * stride) == 0


@pytest.mark.parametrize(
    ("size", "good"),
    [
        ((40, 40), True),
        ((80, 20), True),
        ((81, 20), False),
        ((20, 81), False),
        ((4.4, 4.5), False),  # 19.8 px^2
        ((4.5, 4.5), True),
        ((160, 160), True),  # its exemplar is as wide as the patch
        ((170, 170), False),
        ((0, 0), False),
        ((0, 30), False),
    ],
)
def test_usable(size, good):
    assert usable(torch.tensor([(100.0, 100.0, *size)]), SIZE).tolist() == [good]
