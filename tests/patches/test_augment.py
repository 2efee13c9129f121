import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.patches.augment import (
    Windows,
    boxes_in_windows,
    cut_windows,
    draw_colour,
    draw_windows,
    jitter_colour,
    windows_of,
)
from socl_pipeline.settings import AugmentSettings

SIZE, WINDOW = 160, 127
NO_CHANGE = AugmentSettings(shift_px=0, scale=0, flip=False, colour=0, grey=0)


def windows_at(centers, sides, flips):
    centers, sides = (torch.tensor(v, dtype=torch.float32) for v in (centers, sides))
    return Windows(centers, sides, torch.tensor(flips))


def drawn_windows(videos, size, window, augment, seed=0):
    return windows_of(draw_windows(videos, size, window, augment, np.random.default_rng(seed)))


def jittered(images, augment, seed=0):
    draws = draw_colour(len(images) // 2, augment, np.random.default_rng(seed))
    return jitter_colour(images.clone(), draws)


class TestDrawnWindows:
    @given(st.integers(0, 1000), st.floats(0, 60), st.floats(0, 0.5))
    def test_windows_stay_in_the_patch(self, seed, shift, scale):
        augment = AugmentSettings(shift_px=shift, scale=scale)
        drawn = drawn_windows(6, SIZE, WINDOW, augment, seed)
        low = drawn.corners
        assert (low >= -1e-3).all() and (low + drawn.sides[:, None] <= SIZE + 1e-3).all()
        assert ((drawn.centers - SIZE / 2).abs() <= shift + 1e-3).all()
        assert ((drawn.sides / WINDOW).log().abs() <= scale + 1e-5).all()
        assert (drawn.flips[::2] == drawn.flips[1::2]).all(), "a pair is flipped together"

    def test_without_augmentation(self):
        drawn = drawn_windows(3, SIZE, WINDOW, NO_CHANGE)
        assert (drawn.centers == SIZE / 2).all() and (drawn.sides == WINDOW).all()
        assert not drawn.flips.any() and len(drawn.flips) == 6

    def test_shifts_and_scales_vary_within_pairs(self):
        drawn = drawn_windows(200, SIZE, 100, AugmentSettings())
        assert 0.4 < drawn.flips.float().mean() < 0.6
        assert (drawn.sides[::2] != drawn.sides[1::2]).all()
        shifts = (drawn.centers - SIZE / 2) / ((SIZE - drawn.sides[:, None]) / 2).clip(max=32)
        counts, _ = np.histogram(shifts.numpy(), 4, (-1, 1))
        assert counts.sum() == 800 and abs(counts - 200).max() < 60

    def test_a_window_as_large_as_the_patch(self):
        drawn = drawn_windows(4, SIZE, SIZE, AugmentSettings())
        assert (drawn.sides <= SIZE).all()
        assert ((drawn.centers - SIZE / 2).abs() <= (SIZE - drawn.sides[:, None]) / 2 + 1e-4).all()


class TestCutting:
    def test_whole_pixels_are_a_slice(self, textured):
        image = textured(0, SIZE, SIZE)
        windows = windows_at([[80.5, 70.5]], [WINDOW], [False])
        cut = cut_windows(torch.from_numpy(image)[None], windows, WINDOW)
        expected = torch.from_numpy(image[7 : 7 + WINDOW, 17 : 17 + WINDOW]).permute(2, 0, 1)
        torch.testing.assert_close(cut[0], expected.float(), atol=0.02, rtol=0)

    def test_a_flip_mirrors_the_window(self, textured):
        images = torch.from_numpy(textured(0, SIZE, SIZE))[None].repeat(2, 1, 1, 1)
        windows = windows_at([[71, 83]] * 2, [100] * 2, [False, True])
        plain, flipped = cut_windows(images, windows, WINDOW)
        torch.testing.assert_close(flipped.flip(-1), plain, atol=0.02, rtol=0)

    @pytest.mark.parametrize("flip", [False, True])
    @pytest.mark.parametrize("side", [95, 127, 150])
    @pytest.mark.parametrize("center", [(80, 80), (77.3, 84.6)])
    def test_boxes_land_on_what_was_drawn(self, flip, side, center):
        """A bright rectangle is where its box says, to within a pixel on each side."""
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        image[70:100, 50:95] = 255
        box = torch.tensor([[[50.0, 70, 45, 30]]])
        windows = windows_at([center], [side], [flip])
        bright = cut_windows(torch.from_numpy(image)[None], windows, WINDOW)[0, 0] > 127
        rows, columns = bright.any(dim=1).nonzero(), bright.any(dim=0).nonzero()
        x, y, w, h = boxes_in_windows(box, windows, WINDOW)[0, 0].tolist()
        assert float(columns[0]) == pytest.approx(x, abs=1)
        assert float(columns[-1] + 1) == pytest.approx(x + w, abs=1)
        assert float(rows[0]) == pytest.approx(y, abs=1)
        assert float(rows[-1] + 1) == pytest.approx(y + h, abs=1)
        assert float(bright.sum()) == pytest.approx(w * h, rel=0.08)

    def test_each_patch_has_its_own_window(self):
        boxes = torch.tensor([[[80.0, 80, 10, 10]]]).repeat(3, 1, 1)
        windows = windows_at([[80, 80], [90, 80], [80, 80]], [127, 127, 63.5], [False, False, True])
        moved = boxes_in_windows(boxes, windows, WINDOW)[:, 0]
        expected = [[63.5, 63.5, 10, 10], [53.5, 63.5, 10, 10], [43.5, 63.5, 20, 20]]
        torch.testing.assert_close(moved, torch.tensor(expected))


class TestColour:
    def images(self):
        return 255 * torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def test_no_change(self):
        images = self.images()
        changed = jittered(images, NO_CHANGE)
        torch.testing.assert_close(changed, images, atol=1e-3, rtol=0)

    def test_grey_pairs(self):
        augment = NO_CHANGE.model_copy(update={"grey": 1.0})
        images = self.images()
        grey = jittered(images, augment)
        luma = 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]
        for channel in range(3):
            torch.testing.assert_close(grey[:, channel], luma, atol=1e-3, rtol=0)

    def test_a_pair_is_grey_together(self):
        augment = NO_CHANGE.model_copy(update={"grey": 0.5})
        images = self.images()[:1].repeat(40, 1, 1, 1)
        changed = jittered(images, augment)
        grey = (changed[:, 0] - changed[:, 1]).abs().amax(dim=(1, 2)) < 1e-3
        assert (grey[::2] == grey[1::2]).all() and 0 < grey.sum() < 40

    def test_brightness_and_contrast_stay_in_their_range(self):
        augment = NO_CHANGE.model_copy(update={"colour": 0.2})
        images = 100 + 20 * torch.randn(200, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        changed = jittered(images, augment)
        brightness = changed.mean(dim=(1, 2, 3)) / images.mean(dim=(1, 2, 3))
        assert 0.79 < brightness.min() < 0.85 and 1.15 < brightness.max() < 1.21
        contrast = changed.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3)) / brightness
        assert 0.79 < contrast.min() < 0.85 and 1.15 < contrast.max() < 1.21
        strong = AugmentSettings(colour=0.9)
        changed = jittered(self.images(), strong)
        assert changed.min() >= 0 and changed.max() <= 255
