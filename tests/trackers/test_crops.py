import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from socl_pipeline.trackers.crops import crop_square, mean_color

FILL = (10.4, 20.6, 30.0)
Array = NDArray[np.float64]


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def slow_crop(image: NDArray[np.uint8], cx: float, cy: float, side: float, out: int) -> Array:
    """Bilinear samples at the output pixels' centres, one by one."""
    result = np.zeros((out, out, 3))
    fill = np.rint(FILL)

    def pixel(row: int, column: int) -> Array:
        inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
        return image[row, column].astype(float) if inside else fill

    for i in range(out):
        for j in range(out):
            y = cy - side / 2 + (i + 0.5) * side / out - 0.5
            x = cx - side / 2 + (j + 0.5) * side / out - 0.5
            r, c = math.floor(y), math.floor(x)
            for dr, wr in ((0, 1 - (y - r)), (1, y - r)):
                for dc, wc in ((0, 1 - (x - c)), (1, x - c)):
                    result[i, j] += wr * wc * pixel(r + dr, c + dc)
    return result


@pytest.mark.parametrize(
    ("center", "size"), [((20.0, 15.0), 10), ((20.5, 15.5), 11), ((5.0, 35.0), 10)]
)
def test_whole_pixels_are_a_slice(center: tuple[float, float], size: int) -> None:
    image = noise(40, 50)
    x, y = int(center[0] - size / 2), int(center[1] - size / 2)
    crop = crop_square(image, center, size, size, FILL)
    assert np.array_equal(crop, image[y : y + size, x : x + size])
    assert crop.dtype == np.uint8


def test_outside_is_the_rounded_fill() -> None:
    image = noise(40, 50)
    crop = crop_square(image, (0.0, 40.0), 20, 20, FILL)
    assert np.array_equal(crop[:10, 10:], image[30:, :10])
    assert (crop[10:] == (10, 21, 30)).all()
    assert (crop[:, :10] == (10, 21, 30)).all()


@pytest.mark.parametrize("side", [8.0, 80.0])
def test_all_outside(side: float) -> None:
    crop = crop_square(noise(40, 50), (1000.0, -1000.0), side, 10, FILL)
    assert (crop == (10, 21, 30)).all()


@pytest.mark.parametrize(
    ("cx", "cy", "side", "out"),
    [(20.3, 17.8, 13.7, 21), (20.3, 17.8, 30.1, 17), (2.2, 38.6, 24.5, 16), (25, 20, 12, 24)],
)
def test_equals_slow_reference(cx: float, cy: float, side: float, out: int) -> None:
    image = noise(40, 50)
    crop = crop_square(image, (cx, cy), side, out, FILL)
    # Within rounding, and the 1/32 pixel to which some OpenCV versions round positions.
    assert np.abs(crop - slow_crop(image, cx, cy, side, out)).max() <= 0.5 + 2 * 255 / 32
    assert np.abs(crop - slow_crop(image, cx, cy, side, out)).mean() < 3


@pytest.mark.parametrize("side", [60.0, 90.0, 150.0, 151.3])
def test_positions_are_exact_at_every_scale(side: float) -> None:
    """On a linear ramp, averages and interpolation give the value at the pixel's centre."""
    x = np.arange(200, dtype=float) + 0.5
    image = np.repeat(np.rint(np.stack(np.meshgrid(x, x), -1))[..., [0, 1, 0]], 1, 0)
    crop = crop_square(image.astype(np.uint8), (101.3, 98.9), side, 20, FILL)
    centers = (np.arange(20) + 0.5) * side / 20 - side / 2
    assert np.abs(crop[:, :, 0] - (101.3 + centers)[None, :]).max() < 1.1
    assert np.abs(crop[:, :, 1] - (98.9 + centers)[:, None]).max() < 1.1
    assert abs(float(np.mean(crop[:, :, 0])) - 101.3) < 0.55  # 0.5: the ramp was rounded


def test_shrinking_averages() -> None:
    image = noise(200, 200)
    crop = crop_square(image, (100, 100), 160, 20, FILL)
    blocks = image[20:180, 20:180].reshape(20, 8, 20, 8, 3).mean(axis=(1, 3))
    # 160 / 20 = 8: whole blocks, once they are aligned with the image's corner.
    assert np.abs(crop - blocks).mean() < 6
    assert crop.std() < image.std() / 4


def test_shrinking_with_aligned_blocks_is_the_block_mean() -> None:
    image = noise(64, 64)
    crop = crop_square(image, (32, 32), 64, 16, FILL)
    blocks = image.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    assert np.abs(crop - blocks).max() <= 0.51


def test_shrinking_over_the_border() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    crop = crop_square(image, (50, 25), 100, 10, (0, 0, 0))
    assert (crop[3:7, :5] == 200).all()
    assert (crop[:, 6:] == 0).all()
    assert (crop[:2] == 0).all()


def test_views_are_cropped_like_copies_and_left_alone() -> None:
    image = noise(40, 50)
    mirrored = image[:, ::-1]
    before = image.copy()
    expected = crop_square(np.ascontiguousarray(mirrored), (20, 20), 15.5, 12, FILL)
    assert np.array_equal(crop_square(mirrored, (20, 20), 15.5, 12, FILL), expected)
    assert np.array_equal(image, before)


def test_mean_color() -> None:
    image = noise(13, 7)
    assert mean_color(image) == pytest.approx(image.reshape(-1, 3).mean(axis=0))
    assert cv2.mean(image)[3] == 0


# squares inside, over one border, over all of them, beside the image and far away from it
BORDER_CASES = [
    (20, 15),
    (3.3, 38.1),
    (25.2, 19.6),
    (49.5, 0.4),
    (-25, 20.7),
    (70.2, 60),
    (24, -900),
]


@pytest.mark.parametrize("center", BORDER_CASES)
@pytest.mark.parametrize(
    ("side", "out"), [(12, 12), (13.7, 21), (61.3, 40), (30, 10), (75.5, 17), (130, 20), (9.5, 1)]
)
def test_without_a_fill_the_border_goes_on(
    center: tuple[float, float], side: float, out: int
) -> None:
    image, margin = noise(40, 50), 200
    widths = ((margin, margin), (margin, margin), (0, 0))
    padded = np.pad(image, widths, mode="edge")
    clipped = np.clip(center, -100, 140)  # as far away as that, only the border pixels count
    expected = crop_square(padded, clipped + margin, side, out, FILL)
    found = crop_square(image, center, side, out, None)
    assert np.abs(found.astype(int) - expected).max() <= 1
