"""What the tests of the cues share: a picture, and windows of it."""

import cv2
import numpy as np
import pytest

HEIGHT, WIDTH = 72, 96


@pytest.fixture(scope="session")
def image():
    """Smooth colours with a sharp textured rectangle and some noise."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(int)
    picture[20:50, 30:70] += rng.integers(-90, 90, (30, 40, 3))
    return np.clip(picture + rng.integers(-8, 9, picture.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def corners():
    """Windows of all sizes: one pixel, border to border, and random ones."""
    rng = np.random.default_rng(4)
    low = rng.integers(0, [WIDTH - 4, HEIGHT - 4], (40, 2))
    high = low + 1 + rng.integers(0, [60, 50], (40, 2))
    fixed = [[0, 0, WIDTH, HEIGHT], [5, 7, 6, 8], [0, 0, 3, HEIGHT], [30, 20, 70, 50]]
    return np.concatenate([fixed, np.concatenate([low, np.minimum(high, [WIDTH, HEIGHT])], 1)])
