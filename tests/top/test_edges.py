import numpy as np
import pytest

from socl_pipeline.top.edges import colour_gradient, shrink, thin


def step_image(angle=0.0, low=(40, 40, 40), high=(200, 200, 200), side=64):
    """A straight edge through the middle; `angle` is that of its normal, in degrees."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    mask = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle)) > 0
    return np.where(mask[..., None], np.uint8(high), np.uint8(low)).astype(np.uint8)


def test_shrink_fits_the_long_side(textured):
    image = textured(0, 60, 120)
    small, scale = shrink(image, 40)
    assert small.shape == (20, 40, 3) and scale == pytest.approx(1 / 3)
    blocks = image.reshape(20, 3, 40, 3, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(small - blocks).max() <= 1


def test_shrink_never_enlarges(textured):
    image = textured(0, 60, 120)
    same, scale = shrink(image, 120)
    assert same is image and scale == 1
    assert shrink(image, 500)[1] == 1


def test_shrink_of_a_thin_image_keeps_a_pixel():
    assert shrink(np.zeros((2, 400, 3), np.uint8), 20)[0].shape == (1, 20, 3)


@pytest.mark.parametrize("angle", [0, 30, 90, 135, 170])
def test_gradient_points_along_the_normal(angle):
    strength, normal = colour_gradient(step_image(angle))
    assert strength.shape == normal.shape == (64, 64)
    assert strength.max() == pytest.approx(1) and strength.min() >= 0
    assert (normal >= 0).all() and (normal < np.pi + 1e-6).all()
    centre = normal[28:36, 28:36][strength[28:36, 28:36] > 0.5]
    difference = np.abs(np.degrees(centre) - angle) % 180
    assert np.minimum(difference, 180 - difference).max() < 10


def test_an_edge_between_colours_of_equal_grey_is_seen():
    strength, _ = colour_gradient(step_image(low=(200, 60, 100), high=(60, 131, 100)))
    assert strength[32].argmax() in (31, 32)


def test_a_flat_image_has_no_edges():
    strength, normal = colour_gradient(np.full((20, 30, 3), 77, np.uint8))
    assert strength.max() < 0.01 and np.isfinite(normal).all()
    assert thin(strength, normal).max() < 0.01


@pytest.mark.parametrize("angle", [0, 90, 45])
def test_thinned_edges_are_thin_and_in_place(angle):
    strength, normal = colour_gradient(step_image(angle))
    thinned = thin(strength, normal)
    kept = thinned > 0.1
    np.testing.assert_array_equal(thinned[kept], strength[kept])
    y, x = np.nonzero(kept[8:-8, 8:-8])
    distance = (x + 8 - 31.5) * np.cos(np.radians(angle)) + (y + 8 - 31.5) * np.sin(
        np.radians(angle)
    )
    assert np.abs(distance).max() <= 1
    assert kept.sum() < 0.3 * (strength > 0.1).sum()
