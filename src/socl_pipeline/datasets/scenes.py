"""Short procedural videos of one moving target, with exact boxes: arrays out, no files.

Boxes are x, y, w, h in pixels, 0-based, in the edges convention: a silhouette that fills pixel
columns 3..5 has x = 3 and w = 3. They are tight around the target's whole silhouette (also where
something covers it), clipped to the frame; a target entirely outside has the box 0, 0, 0, 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from socl_pipeline.datasets.backdrops import draw_backdrop
from socl_pipeline.datasets.motion import (
    Camera,
    Motion,
    camera_motion,
    object_motion,
    passing_motion,
)
from socl_pipeline.datasets.sprites import Sprite, Style, draw_sprite, random_kind
from socl_pipeline.datasets.textures import Image, Palette, jitter_palette, random_palette
from socl_pipeline.errors import InputError

# Part of the identity of written data: raise it whenever the same seed gives other pixels.
RENDERER_VERSION = 1
# Below this visible share the target counts as absent.
ABSENT_BELOW = 0.05

_CANVAS_MARGIN = 1.5  # background canvas side over frame side: room for panning
_NOISE_MARGIN = 32  # the sensor noise tile is this much larger than the frame, for random shifts

Seed = int | tuple[int, ...]


@dataclass(frozen=True)
class SceneSettings:
    """Size of a video in pixels and frames, and how hard its scenes are.

    `min_size` and `max_size` bound the target: square root of its box area over square root of
    the frame area. Raises InputError for values that cannot be rendered.
    """

    width: int = 320
    height: int = 240
    frames: int = 30
    min_size: float = 0.06
    max_size: float = 0.5
    max_aspect: float = 3.0
    max_distractors: int = 3
    occluder_share: float = 0.4
    low_contrast_share: float = 0.25

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 64:
            raise InputError(
                f"scene size {self.width}x{self.height}: width and height must be at least 64."
            )
        if self.frames < 1:
            raise InputError(f"scene frames {self.frames}: at least one frame is needed.")
        if not 0.02 <= self.min_size <= self.max_size <= 0.7:
            raise InputError(
                f"scene target sizes {self.min_size} to {self.max_size}: "
                "expected 0.02 <= min_size <= max_size <= 0.7."
            )
        if self.max_aspect < 1 or self.max_distractors < 0:
            raise InputError(
                "scene settings: max_aspect must be at least 1 and max_distractors at least 0."
            )


@dataclass(frozen=True)
class RenderedFrame:
    """One frame (h, w, 3) uint8 RGB and what is known about the target in it."""

    image: Image
    box: NDArray[np.float64]
    visible: float
    cut: bool

    @property
    def absent(self) -> bool:
        """Whether less than 5 % of the silhouette is visible."""
        return self.visible < ABSENT_BELOW


@dataclass(frozen=True)
class RenderedVideo:
    """All frames of a video with boxes (n, 4), visible shares (n,) in 0..1 and flags (n,).

    `cut` marks frames in which the frame border cuts the target's silhouette.
    """

    frames: list[Image]
    boxes: NDArray[np.float64]
    visible: NDArray[np.float64]
    absent: NDArray[np.bool_]
    cut: NDArray[np.bool_]


@dataclass(frozen=True)
class _Actor:
    """A sprite and where it is at each time."""

    sprite: Sprite
    motion: Motion


@dataclass(frozen=True)
class Scene:
    """Everything drawn once for a video; `render` may be asked for its frames in any order."""

    settings: SceneSettings
    kind: str
    backdrop: Image
    camera: Camera
    target: _Actor
    distractors: tuple[_Actor, ...]
    occluders: tuple[_Actor, ...]
    noise: Image
    noise_shifts: NDArray[np.int64]

    def render(self, time: int) -> RenderedFrame:
        """Frame number `time`, from 0."""
        size = (self.settings.width, self.settings.height)
        image = _background(self.backdrop, self.camera, size, time)
        for actor in self.distractors:
            _draw(image, actor, time)
        silhouette, origin = _draw(image, self.target, time)
        covered = np.zeros(image.shape[:2], bool)
        for actor in self.occluders:
            mask, corner = _draw(image, actor, time)
            _paste(covered, mask, corner)
        full = np.zeros_like(covered)
        inside = _paste(full, silhouette, origin)
        total = max(1, int(np.count_nonzero(silhouette)))
        return RenderedFrame(
            image=self._expose(image, time),
            box=tight_box(full),
            visible=int(np.count_nonzero(full & ~covered)) / total,
            cut=inside < total,
        )

    def _expose(self, image: Image, time: int) -> Image:
        """Lens blur, brightness and sensor noise."""
        height, width = image.shape[:2]
        blurred = cv2.GaussianBlur(image, (3, 3), self.camera.blur)
        x, y = self.noise_shifts[time]
        noise = self.noise[y : y + height, x : x + width]
        return cv2.addWeighted(blurred, self.camera.gain.at(time), noise, 1.0, -128.0)


def tight_box(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The tight x, y, w, h of the true pixels of a mask (h, w); zeros when there are none."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return np.zeros(4)
    x, y = columns[0], rows[0]
    return np.array([x, y, columns[-1] + 1 - x, rows[-1] + 1 - y], np.float64)


def render_video(settings: SceneSettings, seed: Seed) -> RenderedVideo:
    """Render all frames of the scene of this seed; the same seed gives the same bytes."""
    frames = list(iter_frames(build_scene(settings, seed)))
    return RenderedVideo(
        frames=[frame.image for frame in frames],
        boxes=np.stack([frame.box for frame in frames]),
        visible=np.array([frame.visible for frame in frames]),
        absent=np.array([frame.absent for frame in frames]),
        cut=np.array([frame.cut for frame in frames]),
    )


def iter_frames(scene: Scene) -> Iterator[RenderedFrame]:
    """The frames of a scene in order, one at a time."""
    for time in range(scene.settings.frames):
        yield scene.render(time)


def build_scene(settings: SceneSettings, seed: Seed) -> Scene:
    """Draw the background and the objects of the scene of this seed and plan their motion."""
    rng = np.random.default_rng(seed)
    width, height = settings.width, settings.height
    backdrop = draw_backdrop(rng, round(width * _CANVAS_MARGIN), round(height * _CANVAS_MARGIN))
    size = _random_size(rng, settings)
    palette = random_palette(rng, 4, vivid=bool(rng.random() < 0.3))
    if rng.random() < settings.low_contrast_share:
        palette = jitter_palette(rng, backdrop.palette, 18)
    style = Style(random_kind(rng, size[0] / size[1]), palette)
    target = _make_actor(rng, settings, style, size)
    distractors = tuple(
        _make_distractor(rng, settings, style, size)
        for _ in range(int(rng.integers(settings.max_distractors + 1)))
    )
    occluders: tuple[_Actor, ...] = ()
    if rng.random() < settings.occluder_share:
        occluders = (_make_occluder(rng, settings, target, size, backdrop.palette),)
    return Scene(
        settings=settings,
        kind=style.kind,
        backdrop=backdrop.image,
        camera=camera_motion(rng, (width, height)),
        target=target,
        distractors=distractors,
        occluders=occluders,
        noise=_noise_tile(rng, settings),
        noise_shifts=rng.integers(0, _NOISE_MARGIN, (settings.frames, 2)),
    )


def _random_size(rng: np.random.Generator, settings: SceneSettings) -> tuple[float, float]:
    """Width and height of the target in pixels, of log-uniform size and aspect."""
    low, high = np.log(settings.min_size), np.log(settings.max_size)
    size = np.exp(rng.uniform(low, high)) * (settings.width * settings.height) ** 0.5
    limit = np.log(settings.max_aspect)
    # Large targets cannot be very elongated: they would not fit into the frame.
    widest, tallest = 0.8 * settings.width, 0.8 * settings.height
    low, high = 2 * np.log(size / tallest), 2 * np.log(widest / size)
    aspect = np.exp(rng.uniform(max(-limit, min(low, 0)), min(limit, max(high, 0))))
    return float(size * aspect**0.5), float(size / aspect**0.5)


def _make_actor(
    rng: np.random.Generator, settings: SceneSettings, style: Style, size: tuple[float, float]
) -> _Actor:
    motion = object_motion(rng, (settings.width, settings.height), size)
    return _Actor(draw_sprite(rng, style, *size), motion)


def _make_distractor(
    rng: np.random.Generator, settings: SceneSettings, style: Style, size: tuple[float, float]
) -> _Actor:
    """An object of about the target's size; half of them look like it."""
    scale = rng.uniform(0.5, 1.2)
    if rng.random() < 0.5:
        look = Style(style.kind, jitter_palette(rng, style.palette, 15))
    else:
        look = Style(random_kind(rng, size[0] / size[1]), random_palette(rng, 4))
    return _make_actor(rng, settings, look, (size[0] * scale, size[1] * scale))


def _make_occluder(
    rng: np.random.Generator,
    settings: SceneSettings,
    target: _Actor,
    size: tuple[float, float],
    palette: Palette,
) -> _Actor:
    """A pillar or a thing of about the target's size that passes over it once."""
    width = size[0] * rng.uniform(0.4, 1.5)
    if rng.random() < 0.5:
        shape = (min(width, 0.35 * settings.width), 2.2 * settings.height)
        kind = "plain"
    else:
        shape = (width, size[1] * rng.uniform(0.5, 1.4))
        kind = random_kind(rng, shape[0] / shape[1])
    colours = random_palette(rng, 4) if rng.random() < 0.5 else jitter_palette(rng, palette, 25)
    motion = passing_motion(rng, target.motion, settings.frames, size[0] + shape[0])
    return _Actor(draw_sprite(rng, Style(kind, colours), *shape), motion)


def _noise_tile(rng: np.random.Generator, settings: SceneSettings) -> Image:
    """Sensor noise around grey level 128; one tile, shifted from frame to frame."""
    shape = (settings.height + _NOISE_MARGIN, settings.width + _NOISE_MARGIN, 3)
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(rng.uniform(1, 5))
    return np.clip(np.round(noise + 128), 0, 255).astype(np.uint8)


def _background(backdrop: Image, camera: Camera, frame: tuple[int, int], time: int) -> Image:
    """The camera's view of the backdrop; `frame` is width and height."""
    rows, columns = backdrop.shape[:2]
    return cv2.warpAffine(
        backdrop,
        camera.matrix((columns, rows), frame, time),
        frame,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )


def _draw(image: Image, actor: _Actor, time: int) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Blend an actor into the image, in place.

    Returns its whole silhouette, which may reach beyond the frame, and the frame position (x, y)
    of the silhouette's first pixel.
    """
    rows, columns = actor.sprite.shape
    matrices = [actor.motion.matrix(actor.sprite, layer, time) for layer in actor.sprite.layers]
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]], float)
    points = np.concatenate([corners @ matrix.T for matrix in matrices])
    x, y = (int(value) for value in np.floor(points.min(axis=0)) - 1)
    right, bottom = (int(value) for value in np.ceil(points.max(axis=0)) + 2)
    size = (right - x, bottom - y)
    silhouette = np.zeros(size[::-1], bool)
    height, width = image.shape[:2]
    region = image[max(y, 0) : max(bottom, 0), max(x, 0) : max(right, 0)]
    for layer, matrix in zip(actor.sprite.layers, matrices, strict=True):
        local = matrix - np.array([[0, 0, x], [0, 0, y]])
        alpha = cv2.warpAffine(layer.alpha, local, size, flags=cv2.INTER_LINEAR)
        silhouette |= alpha > 0.5
        if not region.size:
            continue
        rgb = cv2.warpAffine(
            layer.rgb, local, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        part = (
            slice(max(-y, 0), min(bottom, height) - y),
            slice(max(-x, 0), min(right, width) - x),
        )
        weight = np.ascontiguousarray(alpha[part])
        region[:] = cv2.blendLinear(np.ascontiguousarray(rgb[part]), region, weight, 1 - weight)
    return silhouette, (x, y)


def _paste(frame: NDArray[np.bool_], mask: NDArray[np.bool_], corner: tuple[int, int]) -> int:
    """Set the frame's pixels under a mask placed at `corner`; returns how many lie inside."""
    x, y = corner
    height, width = frame.shape
    inside = mask[max(-y, 0) : max(height - y, 0), max(-x, 0) : max(width - x, 0)]
    if not inside.size:
        return 0
    top, left = max(y, 0), max(x, 0)
    frame[top : top + inside.shape[0], left : left + inside.shape[1]] |= inside
    return int(np.count_nonzero(inside))
