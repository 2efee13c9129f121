"""Procedural textures: palettes, multi-octave noise and patterns.

Images are uint8 RGB (height, width, 3), fields are float32 (height, width) in 0..1, palettes are
float32 (colours, 3) RGB in 0..255. Every function draws from the generator it is given only.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Field = NDArray[np.float32]
Palette = NDArray[np.float32]

# Centre hue, hue spread, saturation range, value range: rough families of photographed colours.
_FAMILIES = (
    (0.08, 0.05, (0.15, 0.55), (0.20, 0.85)),  # earth, wood, skin
    (0.28, 0.09, (0.20, 0.65), (0.15, 0.75)),  # foliage
    (0.57, 0.07, (0.10, 0.60), (0.30, 0.95)),  # sky, water
    (0.60, 0.50, (0.00, 0.12), (0.10, 0.95)),  # grey, concrete
    (0.12, 0.06, (0.10, 0.40), (0.55, 0.97)),  # sand, snow
)


def random_palette(rng: np.random.Generator, colours: int, vivid: bool = False) -> Palette:
    """Colours of one family, in random order; `vivid` asks for paint and cloth of any hue."""
    hue, spread, saturation, value = _FAMILIES[int(rng.integers(len(_FAMILIES)))]
    if vivid:
        hue, spread, saturation, value = rng.random(), 0.06, (0.4, 0.9), (0.25, 0.95)
    # Even steps in brightness keep the colours of a palette apart even when the hues are close.
    steps = (rng.permutation(colours) + rng.uniform(0, 1, colours)) / colours
    rows = [
        colorsys.hsv_to_rgb(
            (hue + spread * rng.uniform(-1, 1)) % 1.0,
            rng.uniform(*saturation),
            value[0] + (value[1] - value[0]) * step,
        )
        for step in steps
    ]
    return (np.array(rows) * 255).astype(np.float32)


def jitter_palette(rng: np.random.Generator, palette: Palette, amount: float) -> Palette:
    """The same colours, each moved by a normal step of `amount` grey levels."""
    moved = palette + rng.normal(0, amount, palette.shape)
    return np.clip(moved, 0, 255).astype(np.float32)


def fractal_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    roughness: float = 0.6,
    stretch: float = 1.0,
) -> Field:
    """Noise with a power-law spectrum.

    `roughness` is the amplitude ratio from one octave to the next finer one; `stretch` above 1
    draws the structure out along the rows.
    """
    columns = max(4, round(width / stretch))
    levels = max(1, int(np.ceil(np.log2(max(height, columns) / 3))))
    field = rng.standard_normal(_at_level(height, columns, levels), dtype=np.float32)
    amplitude = 1.0
    for level in range(levels - 1, -1, -1):
        amplitude *= roughness
        rows, cols = _at_level(height, columns, level)
        field = cv2.resize(field, (cols, rows), interpolation=cv2.INTER_LINEAR)
        field += np.float32(amplitude) * rng.standard_normal((rows, cols), dtype=np.float32)
    if columns != width:
        field = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    return _stretch_contrast(field)


def _at_level(height: int, width: int, level: int) -> tuple[int, int]:
    """Rows and columns after `level` halvings."""
    return max(2, -(-height >> level)), max(2, -(-width >> level))


def _stretch_contrast(field: Field) -> Field:
    """Map mean -/+ two standard deviations to 0..1 and clip the rest."""
    mean, deviation = cv2.meanStdDev(field)
    scale = 1.0 / (4.0 * float(deviation[0, 0]) + 1e-6)
    scaled = field * np.float32(scale) + np.float32(0.5 - float(mean[0, 0]) * scale)
    return np.clip(scaled, 0, 1, out=scaled)


def colourise(field: Field, palette: Palette) -> Image:
    """Paint a 0..1 field with the palette, linearly between neighbouring colours."""
    positions = np.linspace(0, 255, len(palette))
    table = np.stack(
        [np.interp(np.arange(256), positions, palette[:, channel]) for channel in range(3)], axis=1
    )
    levels = cv2.convertScaleAbs(field, alpha=255.0)
    return cv2.LUT(cv2.merge([levels, levels, levels]), table.astype(np.uint8)[None])


def _rotated_axis(rng: np.random.Generator, height: int, width: int, angle: float) -> Field:
    """Coordinate along `angle` in pixels, bent a little: no pattern is straight."""
    rows = np.arange(height, dtype=np.float32)[:, None]
    cols = np.arange(width, dtype=np.float32)[None, :]
    bend = rng.uniform(0, 0.03) * width
    wave = np.sin(cols * np.float32(rng.uniform(3, 9) / width)) * np.float32(bend)
    axis: Field = np.float32(np.cos(angle)) * cols + np.float32(np.sin(angle)) * rows + wave
    return axis


def _square_wave(axis: Field, period: float, duty: float) -> Field:
    """Stripes across `axis` with soft edges; `duty` is the share of the bright stripe."""
    phase = np.mod(axis / np.float32(period), 1.0).astype(np.float32)
    return np.clip((np.abs(phase - 0.5) - (1 - duty) / 2) * period * 0.7 + 0.5, 0, 1)


def stripes(rng: np.random.Generator, height: int, width: int) -> Field:
    """Parallel stripes in a random direction."""
    period = max(4.0, min(height, width) * rng.uniform(0.06, 0.3))
    axis = _rotated_axis(rng, height, width, rng.uniform(0, np.pi))
    return _square_wave(axis, period, rng.uniform(0.25, 0.75))


def checks(rng: np.random.Generator, height: int, width: int) -> Field:
    """Two crossed sets of stripes: tiles, tartan, window grids."""
    angle = rng.choice([0.0, rng.uniform(0, np.pi)])
    period = max(6.0, min(height, width) * rng.uniform(0.1, 0.35))
    duty = rng.uniform(0.4, 0.8)
    first = _square_wave(_rotated_axis(rng, height, width, angle), period, duty)
    across = _rotated_axis(rng, height, width, angle + np.pi / 2)
    second = _square_wave(across, period * rng.uniform(0.6, 1.6), duty)
    mixed = first * second if rng.random() < 0.5 else (first + second) / 2
    return mixed.astype(first.dtype)


def spots(rng: np.random.Generator, height: int, width: int) -> Field:
    """Round spots of similar size at random places."""
    field = np.zeros((height, width), np.float32)
    size = min(height, width) * rng.uniform(0.03, 0.11)
    count = int(min(150, 0.25 * height * width / (np.pi * size * size)))
    for x, y, scale in rng.uniform((0, 0, 0.5), (width, height, 1.3), (count, 3)):
        cv2.circle(field, (int(x), int(y)), max(1, round(size * scale)), 1.0, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(field, (3, 3), 0)


def gradient(rng: np.random.Generator, height: int, width: int) -> Field:
    """A smooth ramp in a random direction."""
    axis = _rotated_axis(rng, height, width, rng.uniform(0, 2 * np.pi))
    low, high = float(axis.min()), float(axis.max())
    return ((axis - low) / (high - low + 1e-6)).astype(np.float32)


def patches(rng: np.random.Generator, height: int, width: int) -> Field:
    """Noise cut into a few flat levels: camouflage, lichen, torn edges."""
    noise = fractal_noise(rng, height, width, rng.uniform(0.35, 0.55))
    levels = int(rng.integers(2, 5))
    return (np.floor(noise * (levels - 1e-3)) / (levels - 1)).astype(np.float32)


def _noise(rng: np.random.Generator, height: int, width: int) -> Field:
    return fractal_noise(rng, height, width, rng.uniform(0.45, 0.75), rng.uniform(1, 4))


_PATTERNS: tuple[Callable[[np.random.Generator, int, int], Field], ...] = (
    stripes,
    checks,
    spots,
    gradient,
    patches,
    _noise,
)


def pattern(rng: np.random.Generator, height: int, width: int, palette: Palette) -> Image:
    """A random pattern in the palette with some grain mixed in, as an image."""
    draw = _PATTERNS[int(rng.integers(len(_PATTERNS)))]
    share = np.float32(rng.uniform(0.08, 0.4))
    contrast = np.float32(rng.uniform(0.4, 1.0))
    field = draw(rng, height, width) * contrast + rng.uniform(0, 1 - contrast)
    grain = fractal_noise(rng, height, width, rng.uniform(0.5, 0.8))
    return colourise((field * (1 - share) + grain * share).astype(np.float32), palette)
