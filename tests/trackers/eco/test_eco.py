import math

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from socl_pipeline.boxes import iou
from socl_pipeline.errors import InputError
from socl_pipeline.models import build_backbone
from socl_pipeline.settings.eco import EcoSettings
from socl_pipeline.trackers.eco.eco import Eco
from socl_pipeline.trackers.eco.model import AppearanceModel

SMALL = {
    "hog_channels": 0,
    "layers": {"conv1": 8, "fire5": 6},
    "least_area": 96**2,
    "most_area": 128**2,
    "scales": 3,
    "samples": 6,
    "first_outer": 6,
    "first_inner": 12,
    "train_every": 3,
    "train_first": 3,
    "iterations": 3,
}


@pytest.fixture(scope="module")
def backbone():
    return build_backbone("squeezenet1_1", seed=0)


@pytest.fixture
def tracker(backbone):
    return Eco(EcoSettings(**SMALL), backbone)


def texture(seed, height, width, blur):
    values = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = cv2.GaussianBlur(values, (0, 0), blur)
    return np.clip(128 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def scene(frames, growth=1.0, speed=(4.3, 2.6)):
    """A textured patch that moves and grows over a background that moves the other way."""
    background, patch = texture(1, 300, 400, 4), texture(2, 44, 36, 2.5)
    images, boxes = [], []
    for t in range(frames):
        image = background[t : t + 240, 2 * t : 2 * t + 320].copy()
        scale = growth**t
        x, y = 70.0 + speed[0] * t, 80.0 + speed[1] * t
        # pixel centres: the patch's edges come to x, y and to x + 36 scale, y + 44 scale
        matrix = np.array(
            [[scale, 0, x + scale / 2 - 0.5], [0, scale, y + scale / 2 - 0.5]], np.float64
        )
        cv2.warpAffine(patch, matrix, (320, 240), dst=image, borderMode=cv2.BORDER_TRANSPARENT)
        images.append(image)
        boxes.append((x, y, 36 * scale, 44 * scale))
    return images, np.array(boxes)


def follow(tracker, images, box):
    tracker.init(images[0], box)
    return np.array([tracker.update(image) for image in images[1:]])


@pytest.mark.parametrize("growth", [1.0, 1.015, 0.985])
def test_follows_a_patch_that_moves_and_changes_its_size(tracker, growth) -> None:
    images, boxes = scene(16, growth)
    found = follow(tracker, images, boxes[0])
    assert found.shape == (15, 4)
    overlaps = [iou(f, b) for f, b in zip(found, boxes[1:], strict=True)]
    assert min(overlaps) > 0.6
    np.testing.assert_allclose(found[:, 2] / found[:, 3], 36 / 44)
    if growth != 1:
        assert (found[-1, 2] / 36 - 1) / (growth**15 - 1) > 0.3


def test_rests_where_nothing_moves(tracker) -> None:
    images, boxes = scene(1)
    tracker.init(images[0], boxes[0])
    assert math.isnan(tracker.confidence)
    found = [tracker.update(images[0]) for _ in range(3)]
    assert np.abs(found - boxes[0]).max() < 0.5
    assert 0.4 < tracker.confidence <= 1


def test_confidence_falls_where_the_object_is_gone(tracker) -> None:
    images, boxes = scene(2)
    tracker.init(images[0], boxes[0])
    tracker.update(images[1])
    seen = tracker.confidence
    tracker.update(texture(1, 300, 400, 4)[:240, :320])
    assert tracker.confidence < seen


def test_confidence_is_at_most_one(tracker) -> None:
    """On a plain background the object has all of the patch's energy, and scores above 1."""
    images, boxes = scene(1)
    tracker.init(images[0], boxes[0])
    x, y, w, h = boxes[0].astype(int)
    plain = np.full_like(images[0], 128)
    plain[y : y + h, x : x + w] = images[0][y : y + h, x : x + w]
    tracker.update(plain)
    assert tracker.confidence == 1


@pytest.mark.parametrize("shift", [(17, -12), (-9.0, 21)])
def test_moved_to_where_the_object_is(tracker, shift) -> None:
    """The next search is around the place told, and the size stays."""
    images, boxes = scene(1)
    tracker.init(images[0], boxes[0])
    matrix = np.array([[1, 0, 110 + shift[0]], [0, 1, 60 + shift[1]]], np.float64)
    far = cv2.warpAffine(images[0], matrix, (500, 400), borderMode=cv2.BORDER_REPLICATE)
    center = boxes[0, :2] + boxes[0, 2:] / 2 + matrix[:, 2]
    told = center - (2.5, 1.5)
    tracker.move_to(told)
    assert np.array_equal(told, center - (2.5, 1.5))
    found = tracker.update(far)
    assert np.abs(found[:2] + found[2:] / 2 - center).max() < 1.5
    assert found[2:] == pytest.approx(boxes[0, 2:], rel=0.021)


@pytest.mark.parametrize("box", [(70.0, 80.0, 36.0, 44.0), (100.0, 60.0, 18.0, 16.0)])
def test_a_known_shift_is_found_in_pixels_of_the_image(tracker, box) -> None:
    """Of patches shrunk, and of enlarged ones."""
    background = texture(1, 300, 400, 4)
    shift = np.array([0.22 * box[2], -0.2 * box[3]])
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    tracker.init(background, box)
    found = tracker.update(cv2.warpAffine(background, matrix, (400, 300)))
    moved = found[:2] + found[2:] / 2 - np.array(box[:2]) - np.array(box[2:]) / 2
    assert moved == pytest.approx(shift, abs=0.04 * box[3])


def test_trains_often_at_first_and_then_seldom(backbone, monkeypatch) -> None:
    images, boxes = scene(1)
    tracker = Eco(EcoSettings(**SMALL | {"train_first": 2, "train_every": 3}), backbone)
    tracker.init(images[0], boxes[0])
    calls, counts = [], []
    monkeypatch.setattr(AppearanceModel, "train", lambda model: calls.append(model))
    for _ in range(9):
        tracker.update(images[0])
        counts.append(len(calls))
    # a frame is learnt when the next one comes
    assert counts == [0, 1, 2, 3, 3, 3, 4, 4, 4]


def seen_at(tracker, image, center):
    """The samples of the square around a centre, at the first scale."""
    state = tracker._state
    patches = tracker._patches(image, center, [state.geometry.scale], state.geometry.side)
    return state.model.samples(tracker._extractor(patches))


def test_a_corrected_frame_is_learnt_where_the_object_was(tracker, monkeypatch) -> None:
    images, boxes = scene(1)
    center = boxes[0, :2] + boxes[0, 2:] / 2
    learnt = []
    monkeypatch.setattr(AppearanceModel, "learn", lambda model, *seen: learnt.append(seen))
    monkeypatch.setattr(AppearanceModel, "train", lambda model: None)
    tracker.init(images[0], boxes[0])
    tracker.correct(center)  # nothing has been seen after the first frame
    tracker.move_to(center + np.array((4, 3)))
    tracker.update(images[0])
    tracker.update(images[0])
    there = center - np.array((5, 0))
    tracker.correct(there)
    scale = tracker._state.scale
    tracker.update(images[0])
    (_, _, found), (samples, index, told) = learnt
    assert found != (0, 0) and (index, told) == (0, (0, 0))
    if scale == tracker._state.geometry.scale:
        for seen, expected in zip(samples, seen_at(tracker, images[0], there), strict=True):
            torch.testing.assert_close(seen, expected)


def test_correcting_keeps_the_filter_from_learning_something_else(backbone) -> None:
    """An object that has jumped is known better afterwards than by one that only was moved."""
    images, boxes = scene(1)
    matrix = np.array([[1, 0, 150.0], [0, 1, 90.0]])
    jumped = cv2.warpAffine(images[0], matrix, (500, 400), borderMode=cv2.BORDER_REPLICATE)
    there = boxes[0, :2] + boxes[0, 2:] / 2 + matrix[:, 2]
    score = {}
    for way in ("move_to", "correct"):
        tracker = Eco(EcoSettings(**SMALL | {"learning_rate": 0.3}), backbone)
        tracker.init(images[0], boxes[0])
        tracker.update(jumped)  # finds something near the old place
        getattr(tracker, way)(there)
        tracker.update(jumped)
        highest, _ = tracker._state.model.locate(seen_at(tracker, jumped, there))
        score[way] = highest.item()
    assert score["correct"] > score["move_to"]


@pytest.mark.parametrize("colour", [0, 128])
def test_frames_of_one_colour_change_nothing(tracker, colour) -> None:
    images, boxes = scene(6)
    plain = np.full_like(images[0], colour)
    tracker.init(images[0], boxes[0])
    before = [tracker.update(image) for image in images[1:3]][-1]
    for _ in range(4):
        assert np.array_equal(tracker.update(plain), before)
        assert tracker.confidence == 0
    tracker.correct(before[:2] + before[2:] / 2)
    assert iou(tracker.update(images[3])[None], boxes[3][None])[0] > 0.6
    assert tracker.confidence > 0


def test_a_first_frame_of_one_colour_is_not_learnt(tracker) -> None:
    """The object is learnt, where it was said to be, in the first frame that shows something."""
    images, boxes = scene(3)
    plain = np.zeros_like(images[0])
    tracker.init(plain, boxes[0])
    assert np.allclose(tracker.update(plain), boxes[0])
    tracker.correct(boxes[0, :2] + boxes[0, 2:] / 2)
    assert np.allclose(tracker.update(images[0]), boxes[0])
    assert iou(tracker.update(images[1])[None], boxes[1][None])[0] > 0.6


@pytest.mark.parametrize("place", [(1, float("nan")), (1, 2, 3)])
def test_a_place_that_is_no_point_is_refused(tracker, place) -> None:
    images, boxes = scene(1)
    tracker.init(images[0], boxes[0])
    with pytest.raises(InputError, match="expected x, y"):
        tracker.move_to(place)


def test_the_told_place_is_a_copy(tracker) -> None:
    images, boxes = scene(1)
    tracker.init(images[0], boxes[0])
    told = boxes[0, :2] + boxes[0, 2:] / 2
    tracker.move_to(told)
    told[:] = 0
    assert np.abs(tracker.update(images[0]) - boxes[0]).max() < 0.5


def test_results_repeat_and_init_forgets(tracker, backbone) -> None:
    images, boxes = scene(6)
    first = follow(tracker, images, boxes[0])
    tracker.init(texture(5, 90, 120, 2), (30, 20, 25, 40))
    tracker.update(texture(6, 90, 120, 2))
    assert np.array_equal(follow(tracker, images, boxes[0]), first)
    other = Eco(EcoSettings(**SMALL), backbone)
    assert np.array_equal(follow(other, images, boxes[0]), first)


def test_the_frame_given_is_left_alone(tracker) -> None:
    images, boxes = scene(2)
    before, box = [i.copy() for i in images], boxes[0].copy()
    follow(tracker, images, box)
    assert all(np.array_equal(a, b) for a, b in zip(images, before, strict=True))
    assert np.array_equal(box, boxes[0])


def test_an_object_that_comes_in_over_the_border(tracker) -> None:
    images, boxes = scene(8, speed=(-3.0, 1.0))
    images = [image[:, 68:] for image in images][::-1]
    boxes = (boxes - (68, 0, 0, 0))[::-1]
    assert boxes[0, 0] < -18  # the half of it is outside at first
    found = follow(tracker, images, boxes[0])
    assert min(iou(f, b) for f, b in zip(found, boxes[1:], strict=True)) > 0.6


@pytest.mark.parametrize(
    "box",
    [
        (-40.0, -30.0, 200.0, 150.0),  # larger than the image
        (-300.0, 20.0, 700.0, 20.0),
        (50.0, 30.0, 1.0, 1.0),
        (50.0, 10.0, 1.0, 60.0),
        (10.3, 30.2, 80.0, 0.5),
        (-60.0, -80.0, 20.0, 30.0),  # outside
        (118.0, 88.0, 20.0, 30.0),  # hardly inside
    ],
)
def test_odd_boxes_give_finite_boxes_near_the_image(tracker, box) -> None:
    images = [texture(s, 90, 120, 2) for s in (1, 1, 2, 3)]
    found = follow(tracker, images, box)
    assert np.isfinite(found).all()
    assert (found[:, 2:] > 0).all()
    centers = found[:, :2] + found[:, 2:] / 2
    assert (centers >= -1e-9).all()
    assert (centers <= np.array([120, 90]) + 1e-9).all()


@pytest.mark.parametrize(
    "box", [(-40.0, -30.0, 200.0, 150.0), (-10, -10, 140, 110), (50, 30, 1, 1)]
)
def test_a_first_size_beyond_the_limits_of_the_scale_stays(tracker, box) -> None:
    image = texture(1, 90, 120, 2)
    found = follow(tracker, [image] * 3, box)
    assert found[:, 2:] / box[2:] == pytest.approx(1, abs=0.05)


def test_blank_images_are_no_error(tracker) -> None:
    blank = np.full((60, 80, 3), 128, np.uint8)
    found = follow(tracker, [blank] * 4, (30, 20, 20, 15))
    assert np.isfinite(found).all()


def test_the_scale_stays_within_its_limits(backbone) -> None:
    """A box that fills the image grows no further."""
    settings = EcoSettings(**SMALL | {"scale_step": 1.2, "train_first": 0})
    images = [texture(1, 90, 120, 3)[i : 90 - i, i : 120 - i] for i in range(0, 40, 8)]
    grown = [cv2.resize(image, (120, 90), interpolation=cv2.INTER_LINEAR) for image in images]
    found = follow(Eco(settings, backbone), grown, (24, 15, 72, 60))
    assert (found[:, 2] <= 120).all()
    assert (found[:, 3] <= 90).all()


def test_update_and_move_before_init(tracker) -> None:
    with pytest.raises(RuntimeError, match="update was called before"):
        tracker.update(texture(0, 50, 50, 2))
    with pytest.raises(RuntimeError, match="move_to was called before"):
        tracker.move_to((1, 2))
    with pytest.raises(RuntimeError, match="move_to was called before"):
        tracker.correct((1, 2))
    assert math.isnan(tracker.confidence)


def test_bad_input(tracker, backbone) -> None:
    image = texture(0, 50, 50, 2)
    with pytest.raises(InputError, match="expected x, y, w, h"):
        tracker.init(image, (1, 2, 0, 4))
    with pytest.raises(InputError, match="8-bit RGB"):
        tracker.init(image[:, :, 0], (1, 2, 3, 4))
    tracker.init(image, (10, 12, 20, 15))
    with pytest.raises(InputError, match="8-bit RGB"):
        tracker.update(image.astype(float))
    with pytest.raises(InputError, match="no 'conv7'"):
        Eco(EcoSettings(**SMALL | {"layers": {"conv7": 3}}), backbone)
    with pytest.raises(InputError, match="need a backbone"):
        Eco(EcoSettings(**SMALL))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scales": 4}, "odd"),
        ({"least_area": 300**2, "most_area": 200**2}, "least_area"),
        ({"layers": {}}, "no features"),
        ({"layers": {"conv1": 0}}, "greater than or equal to 1"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_that_make_no_sense(change, message) -> None:
    with pytest.raises(ValidationError, match=message):
        EcoSettings(**SMALL | change)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_finds_the_same_boxes(backbone) -> None:
    images, boxes = scene(12)
    on_cpu = follow(Eco(EcoSettings(**SMALL), backbone), images, boxes[0])
    on_gpu = follow(Eco(EcoSettings(**SMALL), backbone, "cuda"), images, boxes[0])
    assert iou(on_cpu, on_gpu).min() > 0.97
