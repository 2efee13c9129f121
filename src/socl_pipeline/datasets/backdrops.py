"""Procedural backgrounds: a textured setting filled with clutter, drawn once per video."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from socl_pipeline.datasets.sprites import (
    Outline,
    Style,
    blob_outline,
    draw_sprite,
    radial_outline,
    random_kind,
    superellipse,
)
from socl_pipeline.datasets.textures import (
    Image,
    Palette,
    colourise,
    fractal_noise,
    jitter_palette,
    pattern,
    random_palette,
)

_TILE = 192
_SETTINGS = ("ground", "landscape", "city", "forest", "room", "water")


@dataclass(frozen=True)
class Backdrop:
    """A background canvas, larger than the frame, and the palette that dominates it."""

    image: Image
    palette: Palette


class _Canvas:
    """The picture being painted and a few texture tiles from which its shapes are filled."""

    def __init__(self, rng: np.random.Generator, image: Image, palettes: list[Palette]) -> None:
        self.rng = rng
        self.image = image
        self.palettes = palettes
        self.tiles = [pattern(rng, _TILE, _TILE, palette) for palette in palettes]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def fill(self, outline: Outline, strength: float = 1.0) -> None:
        """Fill an outline (n, 2), in pixels, with a piece of a random tile, toned at random."""
        width, height = self.size
        low = np.clip(np.floor(outline.min(axis=0)), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(outline.max(axis=0)) + 1, 0, (width, height)).astype(int)
        columns, rows = high - low
        if columns < 2 or rows < 2:
            return
        mask = np.zeros((rows, columns), np.uint8)
        points = np.round((outline - low) * 16).astype(np.int32)[None]
        cv2.fillPoly(mask, points, 255, cv2.LINE_AA, 4)
        alpha = mask.astype(np.float32) * np.float32(strength / 255)
        region = self.image[low[1] : high[1], low[0] : high[0]]
        region[:] = cv2.blendLinear(self._piece(columns, rows), region, alpha, 1 - alpha)
        # Some clutter gets an edge too: else a dark edge alone would give the objects away.
        if self.rng.random() < 0.4:
            edge = (region[rows // 2, columns // 2] * self.rng.uniform(0.3, 0.8)).tolist()
            thick = int(self.rng.integers(1, 3))
            cv2.polylines(region, points, True, edge, thick, cv2.LINE_AA, 4)

    def _piece(self, columns: int, rows: int) -> Image:
        """A cut of a tile at about its own scale, in a tone of its own."""
        rng = self.rng
        tile = self.tiles[int(rng.integers(len(self.tiles)))]
        cut_w, cut_h = min(columns, _TILE), min(rows, _TILE)
        x, y = rng.integers(_TILE - cut_w + 1), rng.integers(_TILE - cut_h + 1)
        piece = tile[y : y + cut_h, x : x + cut_w]
        if (cut_w, cut_h) != (columns, rows):
            piece = cv2.resize(piece, (int(columns), int(rows)), interpolation=cv2.INTER_LINEAR)
        return cv2.convertScaleAbs(piece, alpha=rng.uniform(0.7, 1.2), beta=rng.uniform(-15, 25))


def draw_backdrop(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """Draw a random setting with clutter on a canvas of `width` x `height` pixels."""
    setting = str(rng.choice(_SETTINGS))
    palette = random_palette(rng, 4)
    stretch = rng.uniform(3, 7) if setting == "water" else rng.uniform(0.7, 1.8)
    noise = fractal_noise(rng, height, width, rng.uniform(0.5, 0.72), stretch)
    base = colourise(noise, palette)
    palettes = [palette, *(random_palette(rng, 3, rng.random() < 0.25) for _ in range(4))]
    canvas = _Canvas(rng, base, palettes)
    painters = {"landscape": _landscape, "city": _city, "forest": _forest, "room": _room}
    if setting in painters:
        painters[setting](canvas)
    _scatter_shapes(canvas, busy=setting not in ("water", "landscape"))
    _scatter_things(canvas)
    return Backdrop(_light(rng, canvas.image), palette)


def _rectangle(left: float, top: float, right: float, bottom: float) -> Outline:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def _landscape(canvas: _Canvas) -> None:
    """Hills one behind the other, the nearest lowest."""
    rng, (width, height) = canvas.rng, canvas.size
    for level in np.sort(rng.uniform(0.25, 0.8, int(rng.integers(2, 5)))):
        x = np.linspace(0, width, 40)
        relief = sum(
            rng.uniform(0.01, 0.06) / order * np.sin(order * x / width * 6 + rng.uniform(0, 6))
            for order in (1, 2, 4, 8)
        )
        ridge = np.stack([x, (level + relief) * height], axis=1)
        canvas.fill(np.concatenate([ridge, [[width, height], [0, height]]]), rng.uniform(0.6, 1))


def _city(canvas: _Canvas) -> None:
    """Fronts with rows of windows above a street with markings."""
    rng, (width, height) = canvas.rng, canvas.size
    street = rng.uniform(0.6, 0.8) * height
    left = 0.0
    while left < width:
        right = left + rng.uniform(0.1, 0.3) * width
        top = rng.uniform(0.0, 0.4) * height
        canvas.fill(_rectangle(left, top, right, street))
        _windows(canvas, left, top, right, street)
        left = right + rng.choice([0.0, rng.uniform(0, 0.06) * width])
    canvas.fill(_rectangle(0, street, width, height), 0.9)
    for x in np.arange(0, width, rng.uniform(0.08, 0.2) * width):
        line = street + 0.5 * (height - street)
        canvas.fill(_rectangle(x, line, x + 0.05 * width, line + 0.015 * height))


def _windows(canvas: _Canvas, left: float, top: float, right: float, bottom: float) -> None:
    rng = canvas.rng
    step_x, step_y = (
        rng.uniform(0.18, 0.4) * (right - left),
        rng.uniform(0.1, 0.25) * (bottom - top),
    )
    colour = (canvas.palettes[int(rng.integers(len(canvas.palettes)))][0] * 0.8).tolist()
    for y in np.arange(top + 0.3 * step_y, bottom - step_y, step_y):
        for x in np.arange(left + 0.3 * step_x, right - 0.6 * step_x, step_x):
            corner = (int(x + 0.5 * step_x), int(y + 0.6 * step_y))
            cv2.rectangle(canvas.image, (int(x), int(y)), corner, colour, -1)


def _forest(canvas: _Canvas) -> None:
    """Trunks and masses of leaves."""
    rng, (width, height) = canvas.rng, canvas.size
    for x in rng.uniform(0, width, int(rng.integers(4, 11))):
        thick = rng.uniform(0.01, 0.05) * width
        lean = rng.uniform(-0.06, 0.06) * width
        trunk = _rectangle(x - thick, 0, x + thick, rng.uniform(0.6, 1.0) * height)
        trunk[:2, 0] += lean
        canvas.fill(trunk, rng.uniform(0.7, 1))
    for _ in range(int(rng.integers(6, 16))):
        centre = rng.uniform((0, 0), (width, 0.6 * height))
        canvas.fill(blob_outline(rng) * rng.uniform(0.03, 0.12) * width + centre, 0.8)


def _room(canvas: _Canvas) -> None:
    """A wall, a floor, and shelves with things of many widths."""
    rng, (width, height) = canvas.rng, canvas.size
    floor = rng.uniform(0.65, 0.9) * height
    canvas.fill(_rectangle(0, 0, width, floor), 0.7)
    canvas.fill(_rectangle(0, floor, width, height), 0.9)
    for shelf in np.arange(rng.uniform(0.15, 0.3), 0.75, rng.uniform(0.2, 0.35)) * height:
        left, right = rng.uniform(0, 0.4) * width, rng.uniform(0.6, 1) * width
        x = left
        while x < right:
            step = rng.uniform(0.02, 0.08) * width
            if rng.random() < 0.75:
                canvas.fill(
                    _rectangle(x, shelf - rng.uniform(0.04, 0.15) * height, x + step, shelf)
                )
            x += step
        canvas.fill(_rectangle(left, shelf, right, shelf + 0.02 * height))


def _scatter_shapes(canvas: _Canvas, busy: bool) -> None:
    """Loose shapes of all kinds and of widely varying size."""
    rng, (width, height) = canvas.rng, canvas.size
    for _ in range(int(rng.integers(8, 30) if busy else rng.integers(2, 12))):
        size = np.exp(rng.uniform(np.log(0.015), np.log(0.16))) * width
        stretch = np.exp(rng.uniform(-0.9, 0.9))
        choice = int(rng.integers(4))
        if choice == 0:
            outline = radial_outline(rng, int(rng.integers(3, 8)), 0.5)
        elif choice == 1:
            outline = blob_outline(rng)
        elif choice == 2:
            outline = superellipse(0, 0, 1, 1, 8, rng.choice([0.0, rng.uniform(-0.4, 0.4)]))
        else:
            outline = superellipse(0, 0, 2.5, 0.15, 6, rng.uniform(0, np.pi))
        centre = rng.uniform((0, 0), (width, height))
        canvas.fill(outline * (size * stretch, size / stretch) + centre, rng.uniform(0.5, 1))


def _scatter_things(canvas: _Canvas) -> None:
    """Static objects of the same make as targets: the rivals of any objectness cue."""
    rng, (width, height) = canvas.rng, canvas.size
    for _ in range(int(rng.integers(0, 7))):
        aspect = float(np.exp(rng.uniform(-1, 1)))
        size = float(np.exp(rng.uniform(np.log(0.04), np.log(0.16)))) * width
        shared = canvas.palettes[int(rng.integers(len(canvas.palettes)))]
        style = Style(random_kind(rng, aspect), jitter_palette(rng, shared, 20))
        sprite = draw_sprite(rng, style, size * aspect**0.5, size / aspect**0.5)
        rows, columns = sprite.shape
        if rows >= height or columns >= width:
            continue
        x, y = int(rng.integers(width - columns)), int(rng.integers(height - rows))
        region = canvas.image[y : y + rows, x : x + columns]
        for layer in sprite.layers:
            region[:] = cv2.blendLinear(layer.rgb, region, layer.alpha, 1 - layer.alpha)


def _light(rng: np.random.Generator, image: Image) -> Image:
    """Uneven illumination over the whole canvas."""
    height, width = image.shape[:2]
    coarse = rng.uniform(0.75, 1.15, (3, 4)).astype(np.float32)
    light = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.multiply(image, cv2.merge([light] * 3), dtype=cv2.CV_8U)
