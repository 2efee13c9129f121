"""Procedural objects: textured sprites with non-rectangular, jointed silhouettes.

Outlines live in a unit square, x to the right and y down, both in -1..1; sprites are pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from socl_pipeline.datasets.textures import Field, Image, Palette, pattern

Outline = NDArray[np.float64]

# Objects are drawn once on a square canvas of this side and then shrunk: that is the antialiasing.
_CANVAS = 256
# Transparent rim in pixels around a finished sprite, so that warping never cuts its soft edge.
RIM = 2


@dataclass(frozen=True)
class Part:
    """One outline (n, 2) of an object; swinging parts move about their joint."""

    outline: Outline
    swings: bool = False


@dataclass(frozen=True)
class Layer:
    """Pixels of an object: colour (h, w, 3), coverage (h, w) in 0..1, joint (x, y) in pixels."""

    rgb: Image
    alpha: Field
    joint: tuple[float, float]
    swings: bool


@dataclass(frozen=True)
class Sprite:
    """An object ready to be warped into frames; its layers share one pixel grid, back to front."""

    layers: tuple[Layer, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the pixel grid, the transparent rim included."""
        height, width = self.layers[0].alpha.shape
        return height, width


@dataclass(frozen=True)
class Style:
    """What similar-looking objects share: the kind of outline and the palette."""

    kind: str
    palette: Palette


def superellipse(
    x: float, y: float, rx: float, ry: float, power: float = 2.0, angle: float = 0.0
) -> Outline:
    """Outline between a diamond (power 1), an ellipse (2) and a rounded rectangle (above 3)."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    cosine, sine = np.cos(turn), np.sin(turn)
    px = rx * np.sign(cosine) * np.abs(cosine) ** (2 / power)
    py = ry * np.sign(sine) * np.abs(sine) ** (2 / power)
    across, down = np.cos(angle), np.sin(angle)
    return np.stack([x + across * px - down * py, y + down * px + across * py], axis=1)


def radial_outline(rng: np.random.Generator, corners: int, uneven: float) -> Outline:
    """A star-shaped polygon around the origin with irregular corners."""
    turn = np.sort((np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners)
    radius = rng.uniform(1 - uneven, 1.0, corners)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)


def blob_outline(rng: np.random.Generator) -> Outline:
    """A smooth closed curve of a few random harmonics."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radius = np.ones_like(turn)
    for order in range(2, 6):
        radius += rng.uniform(0.05, 0.5) / order * np.cos(order * turn + rng.uniform(0, 6.28))
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)


def _box(left: float, top: float, right: float, bottom: float) -> Outline:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def _plain(rng: np.random.Generator) -> list[Part]:
    power = float(rng.choice([1.2, 1.6, 2.0, 2.6, 4.0]))
    return [Part(superellipse(0, 0, 1, 1, power, rng.uniform(-0.3, 0.3)))]


def _polygon(rng: np.random.Generator) -> list[Part]:
    return [Part(radial_outline(rng, int(rng.integers(5, 10)), rng.uniform(0.2, 0.6)))]


def _blob(rng: np.random.Generator) -> list[Part]:
    return [Part(blob_outline(rng))]


def _cluster(rng: np.random.Generator) -> list[Part]:
    """A core with two to five overlapping lumps, the first of which swings."""
    parts = [Part(superellipse(0, 0, 0.55, 0.55, rng.uniform(1.5, 4)))]
    count = int(rng.integers(2, 6))
    for index, turn in enumerate(rng.uniform(0, 1) + np.arange(count) * 2 * np.pi / count):
        rx, ry = rng.uniform(0.2, 0.45, 2)
        x, y = 0.6 * np.cos(turn), 0.6 * np.sin(turn)
        lump = superellipse(x, y, rx, ry, rng.uniform(1.2, 4), turn)
        parts.append(Part(lump, swings=index == 0))
    return parts


def _vehicle(rng: np.random.Generator) -> list[Part]:
    roof, nose = rng.uniform(-0.9, -0.5), rng.uniform(0.5, 0.95)
    front, back = rng.uniform(0.2, 0.6), rng.uniform(-0.95, -0.4)
    cabin = np.array([[back, -0.05], [back + 0.12, roof], [front - 0.2, roof], [front, -0.05]])
    wheel = rng.uniform(0.18, 0.26)
    axles = (-rng.uniform(0.5, 0.7), rng.uniform(0.45, 0.7))
    body = _box(-1, -0.1, 1, 0.6)
    body[1:3, 0] = nose, 1
    wheels = [Part(superellipse(x, 0.65, wheel, wheel * 1.5)) for x in axles]
    return [Part(cabin), Part(body), *wheels]


def _animal(rng: np.random.Generator) -> list[Part]:
    leg = rng.uniform(0.07, 0.13)
    legs = [
        Part(superellipse(x, 0.55, leg, 0.45, 3, rng.uniform(-0.2, 0.2)), swings=index % 2 == 0)
        for index, x in enumerate((-0.6, -0.4, 0.3, 0.5))
    ]
    tail = superellipse(-0.85, rng.uniform(-0.3, 0.2), 0.25, 0.06, 2, rng.uniform(-0.8, 0.8))
    head = superellipse(0.75, rng.uniform(-0.6, -0.1), 0.25, 0.28, 2, rng.uniform(-0.5, 0.5))
    neck = superellipse(0.58, -0.25, 0.2, 0.3, 2, 0.5)
    body = superellipse(-0.05, 0, 0.72, rng.uniform(0.28, 0.45), 2.5)
    return [*legs, Part(tail, swings=True), Part(neck), Part(body), Part(head)]


def _person(rng: np.random.Generator) -> list[Part]:
    lean = rng.uniform(0.1, 0.35)
    arm = rng.uniform(0.1, 0.6)
    return [
        Part(superellipse(-0.25, 0.6, 0.2, 0.42, 3, lean)),
        Part(superellipse(0.25, 0.6, 0.2, 0.42, 3, -lean), swings=True),
        Part(superellipse(-0.6, -0.15, 0.17, 0.4, 3, arm), swings=True),
        Part(superellipse(0.6, -0.15, 0.17, 0.4, 3, -arm)),
        Part(superellipse(0, -0.1, rng.uniform(0.4, 0.6), 0.42, 3.5)),
        Part(superellipse(0, -0.75, 0.3, 0.23)),
    ]


def _bird(rng: np.random.Generator) -> list[Part]:
    drop = rng.uniform(-0.7, 0.3)
    right = np.array([[0.1, -0.1], [0.5, drop - 0.25], [1.0, drop], [0.55, 0.05], [0.15, 0.25]])
    left = right * (-1, 1)
    tail = np.array([[-0.1, 0.2], [0.1, 0.2], [0.25, 0.8], [-0.25, 0.8]])
    body = superellipse(0, 0.05, 0.18, 0.45)
    head = superellipse(0, -0.45, 0.13, 0.15)
    return [Part(right), Part(left, swings=True), Part(tail), Part(body), Part(head)]


def _fish(rng: np.random.Generator) -> list[Part]:
    spread = rng.uniform(0.3, 0.7)
    tail = np.array([[-0.45, 0], [-1, -spread], [-0.8, 0], [-1, spread]])
    fin = np.array([[-0.2, -0.2], [0.1, -rng.uniform(0.5, 0.8)], [0.35, -0.25]])
    body = superellipse(0.2, 0, 0.8, rng.uniform(0.35, 0.5), rng.uniform(1.6, 2.2))
    return [Part(tail, swings=True), Part(fin), Part(body)]


_BUILDERS: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "plain": _plain,
    "polygon": _polygon,
    "blob": _blob,
    "cluster": _cluster,
    "vehicle": _vehicle,
    "animal": _animal,
    "fish": _fish,
    "bird": _bird,
    "person": _person,
}
_ANY_ASPECT = ("plain", "polygon", "blob", "cluster")
_WIDE = (*_ANY_ASPECT, "vehicle", "animal", "fish", "bird")
_TALL = (*_ANY_ASPECT, "person", "person", "person")


def random_kind(rng: np.random.Generator, aspect: float) -> str:
    """A kind of object that is plausible at this width to height ratio."""
    kinds = _WIDE if aspect > 1.2 else _TALL if aspect < 0.8 else tuple(_BUILDERS)
    return str(rng.choice(kinds))


def draw_sprite(rng: np.random.Generator, style: Style, width: float, height: float) -> Sprite:
    """Draw an object whose silhouette at rest is about `width` x `height` pixels."""
    parts = _normalised(_BUILDERS[style.kind](rng))
    # Swinging parts go behind: a joint that opens would otherwise show as a gap.
    groups = [[part for part in parts if part.swings], [part for part in parts if not part.swings]]
    size = (max(4, round(width)), max(4, round(height)))
    return Sprite(tuple(_draw_layer(rng, group, style, size) for group in groups if group))


def _normalised(parts: list[Part]) -> list[Part]:
    """Scale the parts so that together they fill the unit square."""
    points = np.concatenate([part.outline for part in parts])
    low, high = points.min(axis=0), points.max(axis=0)
    return [Part((part.outline - low) / (high - low) * 2 - 1, part.swings) for part in parts]


def _to_canvas(outline: Outline) -> NDArray[np.int32]:
    """Canvas pixels in the fixed point (4 bits) that cv2.fillPoly takes."""
    return np.round(((outline + 1) / 2 * _CANVAS - 0.5) * 16).astype(np.int32)[None]


def _draw_layer(
    rng: np.random.Generator, parts: list[Part], style: Style, size: tuple[int, int]
) -> Layer:
    texture = pattern(rng, _CANVAS, _CANVAS, style.palette)
    rgb = texture.copy()
    union = np.zeros((_CANVAS, _CANVAS), np.uint8)
    for index, part in enumerate(parts):
        mask = np.zeros_like(union)
        cv2.fillPoly(mask, _to_canvas(part.outline), 255, cv2.LINE_8, 4)
        _paint_part(rng, rgb, mask, texture, style.palette, repaint=index > 0)
        union |= mask
    _add_details(rng, rgb, union, style.palette)
    rgb = _shade(rng, rgb, union)
    joint = parts[0].outline.mean(axis=0) * 0.5  # between the part and the object's centre
    width, height = size
    return Layer(
        rgb=_shrink(rgb, size, cv2.BORDER_REPLICATE),
        alpha=_shrink(union.astype(np.float32) / 255, size, cv2.BORDER_CONSTANT),
        joint=((joint[0] + 1) / 2 * width + RIM, (joint[1] + 1) / 2 * height + RIM),
        swings=parts[0].swings,
    )


def _paint_part(
    rng: np.random.Generator,
    rgb: Image,
    mask: Image,
    texture: Image,
    palette: Palette,
    repaint: bool,
) -> None:
    """Give a part a tone of its own and perhaps a dark seam, in place."""
    if repaint:
        tone = palette[int(rng.integers(len(palette)))]
        share = rng.uniform(0.2, 0.9)
        toned = cv2.addWeighted(texture, 1 - share, np.full_like(texture, tone), share, 0)
        cv2.copyTo(toned, mask, rgb)
    if rng.random() < 0.5:
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        seam = (palette.min(axis=0) * rng.uniform(0.6, 1.0)).tolist()
        cv2.drawContours(rgb, contours, -1, seam, int(rng.integers(1, 4)), cv2.LINE_AA)


def _add_details(rng: np.random.Generator, rgb: Image, union: Image, palette: Palette) -> None:
    """Windows, eyes, badges: small marks in palette or contrast colours, in place."""
    inside = np.argwhere(cv2.erode(union, np.ones((9, 9), np.uint8)))
    if not len(inside):
        return
    marks = np.zeros_like(union)
    for _ in range(int(rng.integers(0, 7))):
        y, x = inside[int(rng.integers(len(inside)))] / _CANVAS * 2 - 1
        rx, ry = rng.uniform(0.03, 0.16, 2)
        outline = superellipse(x, y, rx, ry, float(rng.choice([2.0, 6.0])))
        marks[:] = 0
        cv2.fillPoly(marks, _to_canvas(outline), 255, cv2.LINE_8, 4)
        colour = palette[int(rng.integers(len(palette)))]
        if rng.random() < 0.4:
            colour = 255 - colour
        rgb[(marks & union) > 0] = colour


def _shade(rng: np.random.Generator, rgb: Image, union: Image) -> Image:
    """Darken towards the rim and away from a light, which makes flat outlines look solid."""
    depth = cv2.distanceTransform(cv2.copyMakeBorder(union, 1, 1, 1, 1, 0), cv2.DIST_L2, 3)
    depth = np.minimum(depth[1:-1, 1:-1] / np.float32(rng.uniform(12, 50)), 1)
    ramp = np.linspace(-1, 1, _CANVAS, dtype=np.float32)
    light = rng.uniform(-0.18, 0.18) * ramp[None, :] - rng.uniform(0.0, 0.22) * ramp[:, None]
    rim = np.float32(rng.uniform(0.6, 1.0))
    factor = ((rim + (1 - rim) * np.sqrt(depth)) * (1 + light)).astype(np.float32)
    return cv2.multiply(rgb, cv2.merge([factor] * 3), dtype=cv2.CV_8U)


def _shrink(canvas: NDArray, size: tuple[int, int], border: int) -> NDArray:
    """Resample a canvas to the sprite's size and add the transparent rim."""
    method = cv2.INTER_AREA if max(size) <= _CANVAS else cv2.INTER_LINEAR
    small = cv2.resize(canvas, size, interpolation=method)
    return cv2.copyMakeBorder(small, RIM, RIM, RIM, RIM, border)
