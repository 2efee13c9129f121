import copy
import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from socl_pipeline.errors import InputError
from socl_pipeline.trackers.run import run_sequence
from socl_pipeline.trackers.transt import TransTTracker, patch_side
from socl_pipeline.transt.checkpoint import Trained, build_network
from socl_pipeline.transt.network import TransT, TransTShape

Image = NDArray[np.uint8]
SMALL = TransTShape(width=16, heads=2, layers=1, feedforward=16)
BOX = [100.0, 80.0, 30.0, 20.0]


class BrightHead(nn.Module):
    """Logits of bright tokens."""

    def forward(self, tokens: Tensor) -> Tensor:
        bright = tokens[..., 0] / 32 - 4
        return torch.stack([bright, torch.zeros_like(bright)], dim=-1)


class BoxHead(nn.Module):
    """The boxes that tokens carry, before the sigmoid."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[..., 1:].logit()


class Bright(TransT):
    """Finds the brightest cell, without having learnt anything.

    Its box is centred there and has the first object's size, if the search is of that size, too.
    """

    def __init__(self, size: float = 0.25, centered: bool = True) -> None:
        super().__init__(nn.Conv2d(3, 4, 8, 8), 4, SMALL)
        self.share = size
        self.centered = centered
        self.class_head, self.box_head = BrightHead(), BoxHead()  # type: ignore[assignment]
        self.seen: list[Tensor] = []

    def encode(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        cells = nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 8)
        return cells.flatten(2).transpose(1, 2)

    def remember(self, template: Tensor) -> Tensor:
        return template

    def fuse(self, remembered: Tensor, search: Tensor) -> Tensor:
        n = math.isqrt(search.shape[1])
        index = torch.arange(n * n)
        place = torch.stack([index % n, index // n], dim=1) / n + 0.5 / n
        size = torch.full((n * n, 2), self.share)
        place = place if self.centered else torch.zeros_like(place)
        return torch.cat([search[0], place, size], dim=1)[None]


def spot(x: float, y: float, height: int = 240, width: int = 320) -> Image:
    """A bright disc on black."""
    image = np.zeros((height, width, 3), np.uint8)
    at = round(x * 16 - 8), round(y * 16 - 8)  # of pixel centres, in sixteenths
    cv2.circle(image, at, 3 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return image


def tracker_on(network: TransT, **options: object) -> TransTTracker:
    return TransTTracker(Trained(network), **options)  # type: ignore[arg-type]


def network_of(tracker: TransTTracker) -> Bright:
    assert isinstance(tracker._network, Bright)
    return tracker._network


def test_side_of_the_patch() -> None:
    # w + (w + h)(F - 1) / 2: 30 + 25 and 20 + 25 for F = 2, 30 + 75 and 20 + 75 for F = 4
    assert patch_side((30, 20), 2) == math.ceil(math.sqrt(55 * 45))
    assert patch_side((30, 20), 4) == math.ceil(math.sqrt(105 * 95))
    assert patch_side((10, 10), 4) == 40


def test_patches_and_their_fill() -> None:
    tracker = tracker_on(Bright())
    image = np.zeros((60, 100, 3), np.uint8)
    image[:30] = (200, 100, 50)
    tracker.init(image, [0, 20, 30, 20])
    tracker.update(image)
    template, search = network_of(tracker).seen
    assert template.shape == (1, 3, 128, 128) and search.shape == (1, 3, 256, 256)
    assert template[0, :, 64, 0].tolist() == [100, 50, 25]  # left of the image: its mean
    assert template[0, :, 40, 100].tolist() == [200, 100, 50]
    # The image begins 10 of the template's 50 px from its edge, 35 of the search patch's 100.
    assert template[0, 0, 40, [22, 29]].tolist() == [100, 200]
    assert search[0, 0, 100, [85, 94]].tolist() == [100, 200]
    assert search.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shift", [(13, -9), (-22, 0), (0, 25), (30, 30)])
def test_known_shifts_are_found(shift: tuple[int, int]) -> None:
    tracker = tracker_on(Bright())
    tracker.init(spot(115, 90), BOX)
    box = tracker.update(spot(115 + shift[0], 90 + shift[1]))
    side = patch_side((30, 20), 4)
    assert np.abs(box[:2] + box[2:] / 2 - (115 + shift[0], 90 + shift[1])).max() < 0.75 * side / 32
    assert box[2:] == pytest.approx([side / 4, side / 4])


def test_boxes_by_hand() -> None:
    """The best cell's box is (0.0, 0.0, 0.25, 0.25): in the corner of the search patch."""
    tracker = tracker_on(Bright(centered=False))
    tracker.init(spot(115, 90), BOX)
    box = tracker.update(spot(115, 90))
    side = 100  # ceil of sqrt(105 * 95)
    assert box == pytest.approx([115 - 50 - 12.5, 90 - 50 - 12.5, 25, 25])
    assert tracker._state is not None
    assert patch_side((30, 20), 4) == side


class CoarseHead(nn.Module):
    """A box 0.0025 sides right of and below the middle, as logits of eight bits."""

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.tensor([0.01, 0.01, -1.0, -1.0], dtype=torch.bfloat16).expand(len(tokens), 4)


def test_bf16_does_not_round_boxes_to_pixels() -> None:
    network = Bright()
    network.box_head = CoarseHead()  # type: ignore[assignment]
    tracker = tracker_on(network, precision="bf16")
    tracker.init(spot(115, 90), BOX)
    box = tracker.update(spot(115, 90))
    assert box[:2] + box[2:] / 2 == pytest.approx([115.25, 90.25], abs=0.01)  # of 100 px


def test_the_window_prefers_what_is_near() -> None:
    """Of two spots the nearer one; without a window the brighter one."""
    near, far = spot(115 + 8, 90 + 8), spot(115 - 30, 90 - 30)
    image = np.maximum(near // 4 * 3, far)
    centers = []
    for window in (0.49, 0.0):
        tracker = tracker_on(Bright(), window=window)
        tracker.init(image, BOX)
        box = tracker.update(image)
        centers.append(box[:2] + box[2:] / 2)
    assert np.abs(centers[0] - (123, 98)).max() < 6
    assert np.abs(centers[1] - (85, 60)).max() < 6


def test_confidence_is_the_class_score_without_window() -> None:
    tracker = tracker_on(Bright())
    assert math.isnan(tracker.confidence)
    tracker.init(spot(115, 90), BOX)
    assert math.isnan(tracker.confidence)
    tracker.update(np.zeros((240, 320, 3), np.uint8))
    assert tracker.confidence == pytest.approx(1 / (1 + math.exp(4)))  # logits -4 and 0
    tracker.move_to([115, 90])
    tracker.update(spot(115, 90))
    assert 0.9 < tracker.confidence < 1


def test_limits_of_centre_and_size() -> None:
    tracker = tracker_on(Bright(size=1.0))
    tracker.init(spot(5, 5), [0, 0, 12, 12])
    for _ in range(6):  # each box is as large as its search patch
        box = tracker.update(spot(5, 5))
    assert box[2:] == pytest.approx([320, 240])
    assert ((box[:2] + box[2:] / 2) >= 0).all()
    small = tracker_on(Bright(size=0.001))
    small.init(spot(115, 90), BOX)
    assert small.update(spot(115, 90))[2:].tolist() == [10, 10]


def test_the_centre_stays_in_the_image() -> None:
    tracker = tracker_on(Bright(centered=False))
    tracker.init(spot(10, 10), [0, 0, 20, 20])
    box = tracker.update(spot(10, 10))
    assert (box[:2] + box[2:] / 2).tolist() == [0, 0]


@pytest.fixture(scope="module")
def network() -> TransT:
    return build_network("squeezenet1_1", SMALL, 0).eval()


def test_told_where_to_look(network: TransT) -> None:
    tracker = tracker_on(Bright())
    with pytest.raises(RuntimeError, match="before TransTTracker"):
        tracker.move_to([1, 2])
    with pytest.raises(RuntimeError, match="before TransTTracker"):
        tracker.update(spot(115, 90))
    tracker.init(spot(115, 90), BOX)
    far = spot(265, 190)
    for told in (tracker.move_to, tracker.correct):
        tracker.init(spot(115, 90), BOX)
        told([260, 188])
        box = tracker.update(far)
        assert np.abs(box[:2] + box[2:] / 2 - (265, 190)).max() < 4
    with pytest.raises(InputError, match="A centre is"):
        tracker.move_to([1, math.nan])


def test_bad_input(network: TransT) -> None:
    tracker = tracker_on(network)
    with pytest.raises(InputError, match="The first box"):
        tracker.init(spot(115, 90), [1, 2, 0, 4])
    with pytest.raises(InputError, match="A frame has type"):
        tracker.init(spot(115, 90)[..., 0], BOX)
    tracker.init(spot(115, 90), BOX)
    with pytest.raises(InputError, match="A frame has type"):
        tracker.update(spot(115, 90).astype(float))  # type: ignore[arg-type]


def test_the_real_network_equals_its_forward(network: TransT) -> None:
    """The tracker's score and box are those of the whole network on its two patches."""
    tracker = TransTTracker(Trained(network, 64, 128), window=0.0)
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8), (0, 0), 3
    )
    patches = []
    inner = tracker._patch
    tracker._patch = lambda *given: patches.append(inner(*given)) or patches[-1]  # type: ignore
    tracker.init(image, BOX)
    box = tracker.update(image)
    with torch.inference_mode():
        logits, boxes = network(*patches)
    best = int(logits[0].softmax(dim=1)[:, 0].argmax())
    side, wanted = patch_side(BOX[2:], 4), boxes[0, best].numpy()
    assert patches[1].shape[-1] == 128
    assert tracker.confidence == pytest.approx(float(logits[0, best].softmax(dim=0)[0]), abs=1e-6)
    assert box[2:] == pytest.approx(np.maximum(wanted[2:] * side, 10), rel=1e-4)
    center = np.array([115, 90]) + (wanted[:2] - 0.5) * side
    assert box[:2] + box[2:] / 2 == pytest.approx(np.clip(center, 0, (320, 240)), rel=1e-4)


def test_equal_runs_are_equal_and_bf16_is_near(network: TransT) -> None:
    images = [spot(115 + 2 * i, 90) for i in range(3)]
    runs = [
        run_sequence(TransTTracker(Trained(network), precision=p), images, np.array(BOX))[0]
        for p in ("float32", "float32", "bf16")
    ]
    assert np.array_equal(runs[0], runs[1])
    # Random weights make flat scores: another cell may win, its box is about as large.
    assert np.abs(runs[0][:, 2:] / runs[2][:, 2:] - 1).max() < 0.2


def test_batch_norms_are_folded_in_the_copy_alone(network: TransT) -> None:
    def norms(net: nn.Module) -> int:
        return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())

    with_norms = copy.deepcopy(network)
    with_norms.trunk = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.BatchNorm2d(8)).eval()
    with_norms.reduce = nn.Conv2d(8, network.shape.width, 1)
    tracker = TransTTracker(Trained(with_norms, 64, 128))
    assert norms(tracker._network) == 0 and norms(with_norms) == 1


def test_compiled_code_sees_one_shape(network: TransT, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise torch.compile makes the second time code for any shape, which is slower."""
    seen: dict[str, set[tuple[int, ...]]] = {}

    def compile_(function: Callable[..., Tensor], options: object) -> Callable[..., Tensor]:
        def run(*given: Tensor) -> Tensor:
            seen.setdefault(function.__name__, set()).update(tuple(x.shape) for x in given[-1:])
            return function(*given)

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    tracker = TransTTracker(Trained(network, 64, 128), compiled=True)
    run_sequence(tracker, [spot(115, 90)] * 3, np.array(BOX))
    run_sequence(tracker, [spot(115, 90)] * 3, np.array(BOX))
    assert seen == {"encode": {(1, 3, 128, 128)}, "fuse": {(1, 256, SMALL.width)}}


@pytest.mark.slow
def test_compiled_code_gives_the_same_boxes(network: TransT) -> None:
    frames = [
        np.roll(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8), i, 1)
        for i in range(4)
    ]
    found = []
    for compiled in (False, True):
        tracker = TransTTracker(Trained(network, 64, 128), compiled=compiled)
        tracker.init(frames[0], [40, 30, 40, 40])
        found.append(np.stack([tracker.update(frame) for frame in frames[1:]]))
    np.testing.assert_allclose(*found, atol=1e-3)


def test_the_network_is_copied(network: TransT) -> None:
    tracker = tracker_on(network.train())
    assert not tracker._network.training and network.training
    network.eval()
    assert tracker._network.reduce.weight.data_ptr() != network.reduce.weight.data_ptr()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_cuda(network: TransT, precision: str) -> None:
    images, box = [spot(115, 90)] * 2, np.array(BOX)
    options = {"precision": precision, "window": 1.0}  # the middle cell, whatever its score
    on_gpu = tracker_on(network, device="cuda", **options)
    on_cpu = tracker_on(network, **options)
    boxes = [run_sequence(tracker, images, box)[0] for tracker in (on_gpu, on_cpu)]
    assert np.abs(boxes[0] - boxes[1]).max() < (0.05 if precision == "float32" else 2)
    assert on_gpu.confidence == pytest.approx(on_cpu.confidence, abs=0.02)
