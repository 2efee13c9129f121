"""Procedural scenes: determinism, exact boxes, and the variety that was promised."""

from dataclasses import replace

import numpy as np
import pytest

from socl_pipeline.datasets.scenes import (
    ABSENT_BELOW,
    Scene,
    SceneSettings,
    _random_size,
    build_scene,
    render_video,
    tight_box,
)
from socl_pipeline.datasets.sprites import RIM, Layer, Sprite
from socl_pipeline.errors import InputError

SMALL = SceneSettings(width=128, height=96, frames=4)
FLAT = replace(SMALL, frames=20, max_distractors=0, occluder_share=0.0)


def _with_target(scene: Scene, rgb: tuple[int, int, int]) -> Scene:
    """The same scene without noise on a black ground, with its target painted in one colour."""
    sprite = scene.target.sprite
    layers = tuple(
        replace(layer, rgb=np.full_like(layer.rgb, np.array(rgb, np.uint8)))
        for layer in sprite.layers
    )
    return replace(
        scene,
        backdrop=np.zeros_like(scene.backdrop),
        target=replace(scene.target, sprite=Sprite(layers)),
        noise=np.full_like(scene.noise, 128),
    )


@pytest.mark.parametrize("seed", [3, (3, 1, 7)])
def test_same_seed_same_bytes(seed):
    first, again = render_video(SMALL, seed), render_video(SMALL, seed)
    assert all(np.array_equal(a, b) for a, b in zip(first.frames, again.frames, strict=True))
    assert np.array_equal(first.boxes, again.boxes)
    assert np.array_equal(first.visible, again.visible)


def test_other_seed_other_bytes():
    images = {render_video(replace(SMALL, frames=1), seed).frames[0].tobytes() for seed in range(5)}
    assert len(images) == 5


def test_frames_may_be_rendered_in_any_order():
    scene = build_scene(SMALL, 5)
    last = scene.render(3)
    assert np.array_equal(last.image, render_video(SMALL, 5).frames[3])


def test_shapes_and_types():
    video = render_video(SMALL, 0)
    assert len(video.frames) == 4
    assert all(f.shape == (96, 128, 3) and f.dtype == np.uint8 for f in video.frames)
    assert video.boxes.shape == (4, 4) and video.boxes.dtype == np.float64
    assert video.visible.shape == video.absent.shape == video.cut.shape == (4,)
    assert video.absent.dtype == video.cut.dtype == bool


def test_tight_box_is_in_edges_convention():
    mask = np.zeros((10, 12), bool)
    mask[2:4, 3:6] = True
    assert tight_box(mask).tolist() == [3, 2, 3, 2]
    mask[9, 11] = True
    assert tight_box(mask).tolist() == [3, 2, 9, 8]
    assert tight_box(np.zeros((4, 4), bool)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_box_is_tight_around_the_pixels_of_the_target(seed):
    scene = _with_target(build_scene(FLAT, seed), (255, 255, 255))
    for time in (0, 10, 19):
        frame = scene.render(time)
        seen = tight_box(frame.image[..., 0] > 0.5 * 255 * scene.camera.gain.at(time))
        # The lens blur may eat a thin tip.
        assert np.abs(seen - frame.box).max() <= 3
        assert np.abs(seen - frame.box).mean() <= 1.5


def test_rectangular_sprite_gives_its_exact_box():
    alpha = np.pad(np.ones((10, 20), np.float32), RIM)
    layer = Layer(np.zeros((*alpha.shape, 3), np.uint8), alpha, (0.0, 0.0), swings=False)
    scene = build_scene(FLAT, 1)
    still = replace(scene.target.motion.x, terms=())
    zero = replace(still, offset=0.0)
    motion = replace(
        scene.target.motion,
        x=replace(still, offset=49.5),
        y=replace(still, offset=30.5),
        log_scale=zero,
        angle=zero,
        stretch=zero,
        shear=zero,
    )
    target = replace(scene.target, sprite=Sprite((layer,)), motion=motion)
    frame = replace(scene, target=target).render(0)
    assert frame.box.tolist() == [40, 26, 20, 10]
    assert frame.visible == 1 and not frame.cut

    outside = replace(target, motion=replace(motion, x=replace(still, offset=-0.5)))
    frame = replace(scene, target=outside).render(0)
    assert frame.box.tolist() == [0, 26, 10, 10]
    assert frame.visible == 0.5 and frame.cut

    gone = replace(target, motion=replace(motion, x=replace(still, offset=-400.0)))
    frame = replace(scene, target=gone).render(0)
    assert frame.box.tolist() == [0, 0, 0, 0]
    assert frame.visible == 0 and frame.absent


def test_boxes_stay_inside_and_absent_means_invisible():
    settings = replace(SMALL, frames=12, occluder_share=1.0)
    seen = []
    for seed in range(16):
        video = render_video(settings, seed)
        x, y, w, h = video.boxes.T
        assert (video.boxes >= 0).all()
        assert (x + w <= 128).all() and (y + h <= 96).all()
        assert ((video.visible >= 0) & (video.visible <= 1)).all()
        assert np.array_equal(video.absent, video.visible < ABSENT_BELOW)
        assert (w[~video.absent] > 0).all()
        assert video.visible[0] > 0.9
        seen.append(video.visible)
    visible = np.array(seen)
    assert (visible < ABSENT_BELOW).any(), "some occluder hides its target"
    assert (visible > 0.9).mean() > 0.6, "targets are mostly visible"


def test_sizes_and_aspects_vary_as_promised():
    rng = np.random.default_rng(0)
    shapes = np.array([_random_size(rng, SMALL)[::-1] for _ in range(500)])
    sizes = np.sqrt(shapes.prod(axis=1) / (128 * 96))
    assert 0.06 <= sizes.min() < 0.065
    assert 0.45 < sizes.max() <= 0.5
    assert 0.15 < np.median(sizes) < 0.2, "log-uniform: the median is near the geometric mean"
    aspects = shapes[:, 1] / shapes[:, 0]
    assert 0.333 < aspects.min() < 0.4 and 2.5 < aspects.max() < 3.001


@pytest.mark.parametrize("seed", range(6))
def test_rendered_box_has_about_the_planned_size(seed):
    scene = build_scene(FLAT, seed)
    rows, columns = scene.target.sprite.shape
    planned = np.sqrt((rows - 2 * RIM) * (columns - 2 * RIM))
    boxes = np.array([scene.render(time).box for time in (0, 10, 19)])
    assert (np.abs(np.log(np.sqrt(boxes[:, 2] * boxes[:, 3]) / planned)) < 0.5).all()


def test_motion_is_smooth():
    settings = replace(FLAT, width=320, height=240, min_size=0.15)
    for seed in range(5):
        scene = build_scene(settings, seed)
        motion = scene.target.motion
        rows, columns = scene.target.sprite.shape
        centres = np.array([[motion.x.at(t), motion.y.at(t)] for t in range(200)])
        steps = np.hypot(*np.diff(centres, axis=0).T)
        assert steps.max() <= 0.1 * np.sqrt(rows * columns)


@pytest.mark.parametrize(
    "values",
    [{"width": 20}, {"frames": 0}, {"min_size": 0.5, "max_size": 0.2}, {"max_aspect": 0.5}],
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(InputError, match="scene"):
        SceneSettings(**values)
