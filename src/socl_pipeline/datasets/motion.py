"""Smooth motion of objects and camera: sums of slow waves, bounded in speed by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.datasets.sprites import Layer, Sprite


@dataclass(frozen=True)
class Wave:
    """A value over time (frames): offset plus sine terms of (amplitude, period, phase)."""

    offset: float
    terms: tuple[tuple[float, float, float], ...]

    def at(self, time: float) -> float:
        """The value at a time."""
        return self.offset + sum(
            amplitude * float(np.sin(2 * np.pi * time / period + phase))
            for amplitude, period, phase in self.terms
        )


@dataclass(frozen=True)
class Ramp:
    """A value that passes `level` at time `middle` with constant `speed` per frame."""

    level: float
    middle: float
    speed: float

    def at(self, time: float) -> float:
        """The value at a time."""
        return self.level + self.speed * (time - self.middle)


@dataclass(frozen=True)
class Motion:
    """Pose over time: centre in pixels, scale as a logarithm, angles in radians, deformation."""

    x: Wave | Ramp
    y: Wave | Ramp
    log_scale: Wave
    angle: Wave
    stretch: Wave
    shear: Wave
    swing: Wave

    def matrix(self, sprite: Sprite, layer: Layer, time: float) -> NDArray[np.float64]:
        """The 2x3 affine map from the pixels of a sprite's layer to frame pixels."""
        scale = np.exp(self.log_scale.at(time))
        stretch = np.exp(self.stretch.at(time))
        deform = scale * np.array([[stretch, self.shear.at(time)], [0.0, 1 / stretch]])
        linear = _rotation(self.angle.at(time)) @ deform
        rows, columns = sprite.shape
        centre = np.array([(columns - 1) / 2, (rows - 1) / 2])
        shift = np.array([self.x.at(time), self.y.at(time)]) - linear @ centre
        if layer.swings:
            turn = _rotation(self.swing.at(time))
            joint = np.array(layer.joint)
            shift = shift + linear @ (joint - turn @ joint)
            linear = linear @ turn
        return np.column_stack([linear, shift])


@dataclass(frozen=True)
class Camera:
    """Pan in pixels, zoom as a logarithm, roll in radians; brightness as a factor; lens blur."""

    pan_x: Wave
    pan_y: Wave
    zoom: Wave
    roll: Wave
    gain: Wave
    blur: float

    def matrix(
        self, canvas: tuple[int, int], frame: tuple[int, int], time: float
    ) -> NDArray[np.float64]:
        """The 2x3 affine map from pixels of a `frame` (w, h) to those of a `canvas` (w, h)."""
        linear = np.exp(self.zoom.at(time)) * _rotation(self.roll.at(time))
        centre = (np.array(canvas) - 1) / 2 + (self.pan_x.at(time), self.pan_y.at(time))
        return np.column_stack([linear, centre - linear @ ((np.array(frame) - 1) / 2)])


def _rotation(angle: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def calm_wave(
    rng: np.random.Generator, amplitude: float, fastest: float, slowest: float, offset: float = 0.0
) -> Wave:
    """One sine term with a random phase and a period between the two given, in frames."""
    period, phase = rng.uniform(fastest, slowest), rng.uniform(0, 2 * np.pi)
    return Wave(offset, ((amplitude, float(period), float(phase)),))


def object_motion(
    rng: np.random.Generator, frame: tuple[int, int], size: tuple[float, float]
) -> Motion:
    """Motion of an object of `size` (w, h) that stays mostly inside a `frame` (w, h).

    Its centre moves by at most a tenth of its size (square root of its area) per frame.
    """
    extent = (size[0] * size[1]) ** 0.5
    room = min(frame[0] / size[0], frame[1] / size[1])
    growth = min(rng.uniform(0, 0.3), max(0.0, float(np.log(room / 1.1))))
    fastest = rng.uniform(0.02, 0.1) * extent * np.exp(-growth) / 2**0.5
    # One object in four may leave the frame by up to a third of itself.
    margin = 0.7 if rng.random() < 0.25 else 1.1
    x = _path(rng, frame[0], margin * size[0] * np.exp(growth) / 2, fastest)
    y = _path(rng, frame[1], margin * size[1] * np.exp(growth) / 2, fastest)
    return Motion(
        x=x,
        y=y,
        log_scale=calm_wave(rng, growth, 40, 120),
        angle=calm_wave(rng, rng.uniform(0, 0.2), 40, 120),
        stretch=calm_wave(rng, rng.uniform(0, 0.08), 25, 60),
        shear=calm_wave(rng, rng.uniform(0, 0.1), 30, 80),
        swing=calm_wave(rng, rng.uniform(0, 0.35), 15, 50),
    )


def _path(rng: np.random.Generator, side: int, half: float, fastest: float) -> Wave:
    """A coordinate that keeps `half` away from both ends of `side` and below `fastest` a frame."""
    reach = max(0.0, side / 2 - half)
    wide, narrow = reach * rng.uniform(0.1, 0.6), reach * rng.uniform(0.0, 0.15)
    slack = reach - wide - narrow
    # Long periods for wide swings: the two terms get 70 % and 30 % of the allowed speed.
    slow = max(rng.uniform(40, 160), 2 * np.pi * wide / (0.7 * fastest))
    quick = max(rng.uniform(15, 40), 2 * np.pi * narrow / (0.3 * fastest))
    first, second = rng.uniform(0, 2 * np.pi, 2)
    return Wave(
        (side - 1) / 2 + rng.uniform(-slack, slack),
        ((wide, float(slow), float(first)), (narrow, float(quick), float(second))),
    )


def passing_motion(rng: np.random.Generator, target: Motion, frames: int, contact: float) -> Motion:
    """Motion of an occluder that crosses the target once, sideways, and not in the first frame.

    `contact` is the sum of both widths: the way that the crossing takes, in pixels.
    """
    middle = rng.uniform(0.4, 0.8) * frames
    lasts = min(rng.uniform(6, 16), frames / 3)
    ahead = target.x.at(middle) - target.x.at(0)
    speed = contact / lasts
    # Coming from ahead of the target, it starts at least 1.2 times `contact` away from it.
    direction = -1.0 if ahead > 0 else 1.0
    still = Wave(0.0, ())
    return Motion(
        x=Ramp(target.x.at(middle), middle, direction * speed),
        y=Wave(target.y.at(middle), ()),
        log_scale=still,
        angle=calm_wave(rng, rng.uniform(0, 0.08), 40, 120),
        stretch=still,
        shear=still,
        swing=calm_wave(rng, rng.uniform(0, 0.2), 15, 50),
    )


def camera_motion(rng: np.random.Generator, frame: tuple[int, int]) -> Camera:
    """A camera for a `frame` (w, h) that pans by less than a fifth of it; one in four is still."""
    moving = 0.0 if rng.random() < 0.25 else 1.0
    reach = moving * rng.uniform(0.02, 0.18)
    return Camera(
        pan_x=calm_wave(rng, reach * frame[0], 60, 200),
        pan_y=calm_wave(rng, 0.6 * reach * frame[1], 60, 200),
        zoom=calm_wave(rng, moving * rng.uniform(0, 0.07), 60, 200),
        roll=calm_wave(rng, moving * rng.uniform(0, 0.03), 50, 150),
        gain=calm_wave(rng, rng.uniform(0, 0.15), 40, 200, offset=rng.uniform(0.85, 1.1)),
        blur=float(rng.uniform(0.4, 0.9)),
    )
