import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import affine_grid, grid_sample

from socl_pipeline.patches.augment import (
    Windows,
    boxes_in_windows,
    cut_windows,
    draw_colour,
    draw_windows,
    jitter_colour,
    sample_windows,
    shift_colour,
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


def reference(images, windows, window):
    """Return the windows by torch's affine grid: an affine map from window to patch."""
    size = images.shape[1]
    theta = torch.zeros(len(images), 2, 3)
    zoom = windows.sides / size
    theta[:, 0, 0] = torch.where(windows.flips, -zoom, zoom)
    theta[:, 1, 1] = zoom
    theta[:, :, 2] = 2 * windows.centers / size - 1
    grid = affine_grid(theta, [len(images), 3, window, window], align_corners=False)
    pixels = images.permute(0, 3, 1, 2).float()
    return grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def interval(profile):
    """Return where the bright interval of a profile (n,) of 0..1 begins and how long it is."""
    length = profile.sum()
    middle = (profile * (torch.arange(len(profile)) + 0.5)).sum() / length
    return float(middle - length / 2), float(length)


@pytest.mark.parametrize("cut", [cut_windows, sample_windows], ids=["compiled", "torch"])
class TestCutting:
    @given(st.data())
    def test_as_an_affine_map_of_the_pixels(self, cut, data):
        """Of any window, also one that reaches over the patch, of noise."""
        count, size, window = (data.draw(st.integers(*r)) for r in ((1, 5), (2, 40), (1, 50)))
        rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
        images = torch.from_numpy(rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8))
        windows = windows_at(
            rng.uniform(0, size, (count, 2)),
            size * np.exp(rng.uniform(-1, 0.3, count)),
            rng.random(count) < 0.5,
        )
        found = cut(images, windows, window)
        assert found.dtype == torch.float32 and found.shape == (count, 3, window, window)
        assert found.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(found, reference(images, windows, window), atol=0.05, rtol=0)

    def test_whole_pixels_are_a_slice(self, cut, textured):
        image = textured(0, SIZE, SIZE)
        windows = windows_at([[80.5, 70.5]], [WINDOW], [False])
        found = cut(torch.from_numpy(image)[None], windows, WINDOW)
        expected = torch.from_numpy(image[7 : 7 + WINDOW, 17 : 17 + WINDOW]).permute(2, 0, 1)
        torch.testing.assert_close(found[0], expected.float(), atol=0.02, rtol=0)

    def test_a_flip_mirrors_the_window(self, cut, textured):
        images = torch.from_numpy(textured(0, SIZE, SIZE))[None].repeat(2, 1, 1, 1)
        windows = windows_at([[71, 83]] * 2, [100] * 2, [False, True])
        plain, flipped = cut(images, windows, WINDOW)
        torch.testing.assert_close(flipped.flip(-1), plain, atol=0.02, rtol=0)

    @pytest.mark.parametrize("flip", [False, True])
    @pytest.mark.parametrize("side", [95, 127, 150.3])
    @pytest.mark.parametrize("center", [(80, 80), (77.3, 84.6)])
    def test_boxes_land_on_what_was_drawn(self, cut, flip, side, center):
        """A bright rectangle is where its box says, to a tenth of a pixel."""
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        image[70:100, 50:95] = 255
        windows = windows_at([center], [side], [flip])
        bright = cut(torch.from_numpy(image)[None], windows, WINDOW)[0, 0] / 255
        box = torch.tensor([[[50.0, 70, 45, 30]]])
        x, y, w, h = boxes_in_windows(box, windows, WINDOW)[0, 0].tolist()
        row, column = round(y + h / 2), round(x + w / 2)
        assert interval(bright[row]) == pytest.approx((x, w), abs=0.1)
        assert interval(bright[:, column]) == pytest.approx((y, h), abs=0.1)

    def test_as_exact_under_autocast(self, cut, textured):
        images = torch.from_numpy(textured(0, SIZE, SIZE))[None]
        windows = windows_at([[77.3, 84.6]], [120.5], [True])
        with torch.autocast("cpu", torch.bfloat16):
            found = cut(images, windows, WINDOW)
        torch.testing.assert_close(found, reference(images, windows, WINDOW), atol=0.05, rtol=0)


def test_threads_share_the_patches(textured):
    images = torch.from_numpy(np.stack([textured(i, 64, 64) for i in range(7)]))
    windows = windows_at([[30 + i, 32] for i in range(7)], [40] * 7, [False, True] * 3 + [True])
    alone = cut_windows(images, windows, 31)
    torch.set_num_threads(3)
    try:
        shared = cut_windows(images, windows, 31)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(shared, alone)


class TestBoxes:
    def test_each_patch_has_its_own_window(self):
        boxes = torch.tensor([[[80.0, 80, 10, 10]]]).repeat(3, 1, 1)
        windows = windows_at([[80, 80], [90, 80], [80, 80]], [127, 127, 63.5], [False, False, True])
        moved = boxes_in_windows(boxes, windows, WINDOW)[:, 0]
        expected = [[63.5, 63.5, 10, 10], [53.5, 63.5, 10, 10], [43.5, 63.5, 20, 20]]
        torch.testing.assert_close(moved, torch.tensor(expected))


class TestColour:
    def test_compiled_as_by_torch(self):
        images = 255 * torch.rand(12, 3, 9, 13, generator=torch.Generator().manual_seed(1))
        images = images.contiguous(memory_format=torch.channels_last)
        draws = draw_colour(6, AugmentSettings(colour=0.6, grey=0.5), np.random.default_rng(3))
        factors = [draws[name].flatten() for name in ("brightness", "contrast")]
        grey = draws["grey"].repeat_interleave(2)
        assert 0 < grey.sum() < 12
        expected = shift_colour(images.clone(), *factors, grey)
        assert expected.is_contiguous(memory_format=torch.channels_last)
        found = jitter_colour(images, draws)
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
        assert torch.equal(found, images), "in place"

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
