import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.trackers.eco.hog import hog, sum_images


def by_torch(images, cell=4):
    height, width = (size // cell * cell for size in images.shape[1:3])
    return sum_images(images[:, :height, :width], cell)


both_paths = pytest.mark.parametrize("histograms", [hog, by_torch], ids=["compiled", "torch"])


def gradient(image, x, y):
    """Return dx, dy of the steepest colour, the first one of equals."""
    left, right = image[y, max(x - 1, 0)], image[y, min(x + 1, image.shape[1] - 1)]
    up, down = image[max(y - 1, 0), x], image[min(y + 1, len(image) - 1), x]
    gradients = list(zip((right - left).tolist(), (down - up).tolist(), strict=True))
    return max(gradients, key=lambda g: g[0] ** 2 + g[1] ** 2)


def votes(image, cell):
    """Return the sums (18, h, w) of an image (H, W, 3) of whole cells, pixel by pixel."""
    h, w = image.shape[0] // cell, image.shape[1] // cell
    sums = np.zeros((18, h, w))
    for y, x in np.ndindex(image.shape[:2]):
        dx, dy = gradient(image, x, y)
        turn = math.atan2(dy, dx) / (2 * math.pi)
        orientation = math.floor(18 * turn + 0.5 + 1e-9) % 18
        row, column = (y + 0.5) / cell - 0.5, (x + 0.5) / cell - 0.5
        for i in (math.floor(row), math.floor(row) + 1):
            for j in (math.floor(column), math.floor(column) + 1):
                if 0 <= i < h and 0 <= j < w:
                    share = (1 - abs(row - i)) * (1 - abs(column - j))
                    sums[orientation, i, j] += share * math.hypot(dx, dy)
    return sums


def reference(image, cell):
    """Return the channels (31, h, w) of an image (H, W, 3), cell by cell."""
    h, w = image.shape[0] // cell, image.shape[1] // cell
    signed = votes(image[: h * cell, : w * cell].astype(int), cell)
    unsigned = signed[:9] + signed[9:]
    energy = (unsigned**2).sum(axis=0)
    found = np.zeros((31, h, w))
    for i, j in np.ndindex(h, w):
        for block, (down, across) in enumerate([(-1, -1), (-1, 0), (0, -1), (0, 0)]):
            top, left = min(max(i + down, 0), h - 2), min(max(j + across, 0), w - 2)
            norm = math.sqrt(energy[top : top + 2, left : left + 2].sum() + 1e-6)
            parts = np.minimum(np.concatenate([signed[:, i, j], unsigned[:, i, j]]) / norm, 0.2)
            found[:27, i, j] += 0.5 * parts
            found[27 + block, i, j] = 0.2357 * parts[:18].sum()
    return found


def pictures(*shape, seed=0, levels=256):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, levels, (*shape, 3), dtype=np.uint8))


def without_level_rows(*shape):
    """Return pictures whose gradients all have a dx: columns by turns dark, bright, bright, dark.

    A gradient straight up or down lies between two orientations, whichever way it is mirrored.
    """
    images = pictures(*shape, levels=128)
    images[:, :, 1::4] += 128
    images[:, :, 2::4] += 128
    return images


@given(st.data())
def test_as_pixel_by_pixel(data):
    """Also where colours and borders of orientations are met exactly, as with few levels."""
    cell = data.draw(st.sampled_from([1, 2, 3, 4, 5, 8]))
    height, width = (2 * cell + data.draw(st.integers(0, 13)) for _ in range(2))
    levels = data.draw(st.sampled_from([1, 2, 4, 256]))
    seed = data.draw(st.integers(0, 1000))
    images = pictures(data.draw(st.integers(1, 2)), height, width, seed=seed, levels=levels)
    expected = torch.from_numpy(np.stack([reference(image, cell) for image in images.numpy()]))
    for histograms in (hog, by_torch):
        found = histograms(images, cell)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected.float(), atol=2e-6, rtol=0)


def test_paths_agree_on_a_picture(textured):
    images = torch.from_numpy(np.stack([textured(i, 131, 90) for i in range(3)]))
    found = hog(images)
    assert found.shape == (3, 31, 32, 22)
    torch.testing.assert_close(found, by_torch(images), atol=2e-6, rtol=0)


@both_paths
class TestHistograms:
    def test_a_ramp(self, histograms):
        """One orientation; a cell is half the norm of a block of four, and is cut at 0.2."""
        images = torch.arange(0, 240, 10, dtype=torch.uint8)[None, None, :, None]
        found = histograms(images.expand(1, 20, 24, 3))[0, :, 1:-1, 1:-1]
        assert found[[0, 18]] == pytest.approx(np.full((2, 3, 4), 0.4), abs=1e-6)
        assert found[27:] == pytest.approx(np.full((4, 3, 4), 0.2 / math.sqrt(18)), abs=1e-5)
        others = [k for k in range(27) if k not in (0, 18)]
        assert (found[others] == 0).all()

    @pytest.mark.parametrize("orientation", range(18))
    def test_a_slope_of_each_orientation(self, histograms, orientation):
        angle = math.radians(20 * orientation)
        y, x = np.mgrid[-10:10, -10:10]
        plane = np.round(128 + 8 * (x * math.cos(angle) + y * math.sin(angle)))
        images = torch.from_numpy(plane.astype(np.uint8))[None, ..., None].expand(-1, -1, -1, 3)
        inside = histograms(images)[0, :, 1:-1, 1:-1].sum(dim=(1, 2))
        assert inside[:27].nonzero().flatten().tolist() == [orientation, 18 + orientation % 9]

    @pytest.mark.parametrize("block, mirrored", [(0, ()), (1, (2,)), (2, (1,)), (3, (1, 2))])
    def test_texture_is_that_of_its_block(self, histograms, block, mirrored):
        """The corner of a bright square, one cell off, lies in one of the blocks only."""
        images = pictures(1, 40, 40, levels=3)
        images[:, :20, :20] += 200
        row, column = (3 if dimension in mirrored else 6 for dimension in (1, 2))
        texture = histograms(images.flip(mirrored))[0, 27:, row, column].tolist()
        with_edge = texture.pop(block)
        assert 3 * with_edge < min(texture)

    @pytest.mark.parametrize("value", [0, 97, 255])
    def test_an_even_image_gives_zeros(self, histograms, value):
        found = histograms(torch.full((1, 16, 12, 3), value, dtype=torch.uint8))
        assert torch.equal(found, torch.zeros(1, 31, 4, 3))

    @pytest.mark.parametrize("axis", ["x", "y"])
    def test_mirrored(self, histograms, axis):
        """The cells are mirrored, their orientations and blocks with them."""
        images = without_level_rows(2, 32, 24)
        dimension, half_turn, blocks = (2, 9, (1, 0, 3, 2)) if axis == "x" else (1, 0, (2, 3, 0, 1))
        order = [(half_turn - k) % 18 for k in range(18)]
        order += [18 + (-k) % 9 for k in range(9)] + [27 + block for block in blocks]
        expected = histograms(images)[:, order].flip(dimension + 1)
        found = histograms(images.flip(dimension))
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)

    def test_brightness_does_not_matter(self, histograms):
        images = pictures(2, 24, 24, levels=100)
        assert torch.equal(histograms(images + 155), histograms(images))

    @pytest.mark.parametrize("levels", [2, 6, 25])
    def test_contrast_hardly_matters(self, histograms, levels):
        images = pictures(2, 24, 24, levels=levels)
        torch.testing.assert_close(histograms(10 * images), histograms(images), atol=1e-5, rtol=0)

    def test_what_is_left_beyond_whole_cells_does_not_matter(self, histograms):
        images = pictures(2, 27, 30)
        assert torch.equal(histograms(images), histograms(images[:, :24, :28].clone()))

    def test_images_do_not_matter_to_each_other(self, histograms):
        images = pictures(3, 20, 24)
        alone = torch.cat([histograms(image[None]) for image in images])
        torch.testing.assert_close(histograms(images), alone, atol=1e-6, rtol=0)

    def test_as_exact_under_autocast(self, histograms):
        images = pictures(1, 24, 24)
        with torch.autocast("cpu", torch.bfloat16):
            found = histograms(images)
        assert torch.equal(found, histograms(images))


def test_it_stays_on_its_device():
    """The device of no data: what is made on another one raises."""
    found = hog(pictures(2, 24, 31).to("meta"))
    assert found.device.type == "meta" and found.shape == (2, 31, 6, 7)


def test_fewer_cells_than_a_block():
    with pytest.raises(ValueError, match="fewer than 2 x 2 cells of 4"):
        hog(pictures(1, 7, 40))
