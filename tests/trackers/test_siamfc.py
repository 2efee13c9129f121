import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from socl_pipeline.errors import InputError
from socl_pipeline.models import Backbone, build_backbone
from socl_pipeline.trackers.run import run_sequence
from socl_pipeline.trackers.siamfc import (
    SiamFC,
    SiamFCSettings,
    best_scale,
    context_side,
    correlate,
    subpixel_peak,
    upsample,
)

Image = NDArray[np.uint8]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def alexnet() -> Backbone:
    return build_backbone("alexnet_v1", seed=0)


def texture(seed: int, height: int, width: int, blur: float = 2.5) -> Image:
    values = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = cv2.GaussianBlur(values, (0, 0), blur)
    return np.clip(128 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def moving_target(frames: int) -> tuple[list[Image], NDArray[np.float64]]:
    """A textured patch that moves over a background which moves the other way."""
    background, patch = texture(1, 300, 400, 5), texture(2, 44, 36)
    images, boxes = [], []
    for t in range(frames):
        image = background[t : t + 240, 2 * t : 2 * t + 320].copy()
        x, y = 60 + 5 * t, 70 + 3 * t
        image[y : y + 44, x : x + 36] = patch
        images.append(image)
        boxes.append((x, y, 36, 44))
    return images, np.array(boxes, dtype=float)


def middle(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return box[..., :2] + box[..., 2:] / 2


def test_correlation_equals_a_slow_loop() -> None:
    rng = torch.Generator().manual_seed(0)
    template = torch.rand(1, 5, 3, 3, generator=rng)
    search = torch.rand(2, 5, 7, 7, generator=rng)
    found = correlate(template, search)
    for n in range(2):
        for y in range(5):
            for x in range(5):
                window = search[n, :, y : y + 3, x : x + 3]
                assert found[n, y, x] == pytest.approx(float((window * template[0]).sum()))


def test_context_side() -> None:
    assert context_side((30, 50), 0.5) == pytest.approx(np.sqrt((30 + 40) * (50 + 40)))


def test_upsampling_keeps_the_centre() -> None:
    response = np.zeros((2, 17, 17), np.float32)
    response[0, 8, 8] = response[1, 8, 5] = 1
    up = upsample(response, 16)
    assert up.shape == (2, 272, 272)
    assert subpixel_peak(up[0]) == pytest.approx([135.5, 135.5], abs=1e-3)
    assert subpixel_peak(up[1]) == pytest.approx([135.5 - 3 * 16, 135.5], abs=1e-3)


@pytest.mark.parametrize(("x", "y"), [(3.3, 4.8), (5.0, 2.5), (0.0, 7.0)])
def test_subpixel_peak_of_a_parabola(x: float, y: float) -> None:
    rows, columns = np.mgrid[:8, :9]
    score = -((columns - x) ** 2) - (rows - y) ** 2
    assert subpixel_peak(score) == pytest.approx([x, y])


@pytest.mark.parametrize(
    ("peaks", "best"),
    [
        ((0.99, 1.0, 0.98), 1),
        ((0.99, 1.0, 1.02), 1),  # less than the penalty
        ((0.5, 0.5, 0.6), 2),
        ((-1.0, -1.0, -1.0), 1),  # multiplied, the outer ones would win
        ((-1.0, -1.0, -0.9), 2),
        ((0.0, 0.0, 0.0), 1),
    ],
)
def test_scale_penalty(peaks: tuple[float, ...], best: int) -> None:
    response = np.full((3, 4, 4), -2, np.float32)
    response[:, 1, 2] = peaks
    assert best_scale(response, (0.97, 1, 0.97)) == best


def test_resting_object_stays_and_keeps_its_size(alexnet: Backbone) -> None:
    images, truth = moving_target(1)
    boxes, _ = run_sequence(SiamFC(alexnet), images * 4, truth[0])
    assert np.abs(boxes - truth[0]).max() < 0.5


@pytest.mark.parametrize("shift", [(9, -6), (-12, 15), (24, 0)])
def test_known_shift_is_followed(alexnet: Backbone, shift: tuple[int, int]) -> None:
    scene = texture(3, 320, 400, 4)
    first, second = scene[40:280, 40:360], scene[40 - shift[1] :, 40 - shift[0] :][:240, :320]
    box = np.array([130.0, 90, 50, 40])
    tracker = SiamFC(alexnet)
    tracker.init(first, box)
    boxes = [tracker.update(second) for _ in range(2)]
    assert np.abs(middle(boxes[-1]) - middle(box) - shift).max() < 2


def test_follows_a_translation(alexnet: Backbone) -> None:
    images, truth = moving_target(12)
    boxes, seconds = run_sequence(SiamFC(alexnet), images, truth[0])
    assert boxes.shape == truth.shape
    assert boxes.dtype == np.float64
    assert (seconds > 0).all()
    assert np.abs(middle(boxes) - middle(truth)).max() < 8
    assert np.abs(boxes[:, 2:] / truth[:, 2:] - 1).max() < 0.15


def test_resnet_with_padding_rests_and_follows() -> None:
    scene = texture(3, 320, 400, 4)
    box = np.array([130.0, 90, 50, 40])
    tracker = SiamFC(build_backbone("resnet18", seed=0))
    tracker.init(scene[40:280, 40:360], box)
    # Padding reaches into template and search patch differently: the peak is not quite at rest,
    # and with the template's border cells kept it runs into a corner.
    assert np.abs(middle(tracker.update(scene[40:280, 40:360])) - middle(box)).max() < 2
    boxes = [tracker.update(scene[28:268, 24:344]) for _ in range(3)]
    assert np.abs(middle(boxes[-1]) - middle(box) - (16, 12)).max() < 5


@pytest.fixture
def responses(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float32]]:
    """The responses (scales, R, R) before up-sampling, as trackers compute them."""
    seen: list[NDArray[np.float32]] = []

    def record(response: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
        seen.append(response)
        return upsample(response, factor)

    monkeypatch.setattr("socl_pipeline.trackers.siamfc.upsample", record)
    return seen


def test_cosine_response_peaks_at_one(
    alexnet: Backbone, responses: list[NDArray[np.float32]]
) -> None:
    images, truth = moving_target(1)
    run_sequence(SiamFC(alexnet), images * 2, truth[0])
    assert responses[0].shape == (3, 17, 17)
    assert responses[0][1, 8, 8] == pytest.approx(1, abs=1e-4)
    assert np.abs(responses[0]).max() <= 1 + 1e-4


@torch.inference_mode()
def test_plain_response_is_the_scaled_correlation(
    alexnet: Backbone, responses: list[NDArray[np.float32]]
) -> None:
    image = texture(3, 300, 300, 4)
    box = (117.75, 117.75, 63.5, 63.5)  # side 127: the patches are slices of the image
    settings = SiamFCSettings(normalize="none", scales=1)
    run_sequence(SiamFC(alexnet, settings), [image] * 2, box)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    net = alexnet.eval()
    template = net(batch[:, :, 86:213, 86:213])
    expected = 1e-3 * correlate(template, net(batch[:, :, 22:277, 22:277]))
    assert responses[0] == pytest.approx(expected.numpy(), rel=1e-3)


def test_bf16_gives_nearly_the_same_boxes(
    alexnet: Backbone, responses: list[NDArray[np.float32]]
) -> None:
    images, truth = moving_target(8)
    exact, _ = run_sequence(SiamFC(alexnet), images, truth[0])
    fast, _ = run_sequence(SiamFC(alexnet, SiamFCSettings(precision="bf16")), images, truth[0])
    assert 0 < np.abs(fast - exact).max() < 1
    plain, half = responses[0], responses[len(images) - 1]  # of the first update of each
    assert half.dtype == np.float32
    assert 1e-6 < np.abs(half - plain).max() < 0.02


def test_init_forgets_and_results_repeat(alexnet: Backbone) -> None:
    images, truth = moving_target(3)
    tracker = SiamFC(alexnet)
    first, _ = run_sequence(tracker, images, truth[0])
    run_sequence(tracker, [texture(9, 100, 120)] * 2, (30, 30, 40, 40))
    again, _ = run_sequence(tracker, images, truth[0])
    assert np.array_equal(first, again)


def test_backbone_is_copied(alexnet: Backbone) -> None:
    own = build_backbone("alexnet_v1", seed=0).train()
    tracker = SiamFC(own)
    assert own.training
    images, truth = moving_target(2)
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.zero_()
    boxes, _ = run_sequence(tracker, images, truth[0])
    expected, _ = run_sequence(SiamFC(alexnet), images, truth[0])
    assert np.array_equal(boxes, expected)


def test_lost_in_a_blank_image(alexnet: Backbone) -> None:
    blank = np.full((60, 80, 3), 128, np.uint8)
    boxes, _ = run_sequence(SiamFC(alexnet), [blank] * 3, (70, 50, 10, 10))
    assert np.isfinite(boxes).all()
    assert np.abs(boxes - (70, 50, 10, 10)).max() < 1


def test_size_stays_within_limits(alexnet: Backbone) -> None:
    settings = SiamFCSettings(scale_limits=(1.0, 1.0), scale_penalty=1)
    images, truth = moving_target(3)
    boxes, _ = run_sequence(SiamFC(alexnet, settings), images, truth[0])
    assert np.array_equal(boxes[:, 2:], truth[:, 2:])


def test_malformed_input(alexnet: Backbone) -> None:
    tracker = SiamFC(alexnet)
    image = texture(0, 60, 80)
    with pytest.raises(RuntimeError, match="before"):
        tracker.update(image)
    for box in ((1, 2, 0, 4), (1, 2, np.nan, 4), (1, 2, 3)):
        with pytest.raises(InputError, match="first box"):
            tracker.init(image, box)
    with pytest.raises(InputError, match="8-bit RGB"):
        tracker.init(image[..., 0], (1, 2, 3, 4))
    with pytest.raises(InputError, match="no frames"):
        run_sequence(tracker, [], (1, 2, 3, 4))


def test_settings(alexnet: Backbone) -> None:
    with pytest.raises(ValidationError, match="odd"):
        SiamFCSettings(scales=4)
    with pytest.raises(ValidationError, match="enclose 1"):
        SiamFCSettings(scale_limits=(1.1, 2))
    with pytest.raises(ValidationError, match="larger"):
        SiamFCSettings(search_size=127)
    with pytest.raises(ValidationError, match="extra"):
        SiamFCSettings.model_validate({"window": 1})
    with pytest.raises(InputError, match="multiple of 16"):
        SiamFC(alexnet, SiamFCSettings(search_size=250))
    with pytest.raises(InputError, match="template_border 3"):
        SiamFC(alexnet, SiamFCSettings(template_border=3)).init(texture(0, 60, 80), (9, 9, 9, 9))
    assert all(field.description for field in SiamFCSettings.model_fields.values())


def test_a_tracker_that_was_moved_searches_there(alexnet: Backbone) -> None:
    images, truth = moving_target(2)
    tracker = SiamFC(alexnet)
    with pytest.raises(RuntimeError, match="before"):
        tracker.move_to((3, 4))
    tracker.init(images[0], truth[0])
    assert np.isnan(tracker.confidence)
    size = tracker.update(images[1])[2:]
    for center in ((250.0, 200.0), middle(truth[1])):
        tracker.move_to(center)
        box = tracker.update(images[1])
        assert np.abs(middle(box) - center).max() < 40, "no farther than the search reaches"
        assert box[2:] == pytest.approx(size, rel=0.1)
    assert np.abs(middle(box) - middle(truth[1])).max() < 3


def test_confidence_is_the_cosine_at_the_peak(alexnet: Backbone) -> None:
    images, truth = moving_target(1)
    tracker = SiamFC(alexnet)
    tracker.init(images[0], truth[0])
    tracker.update(images[0])
    same = tracker.confidence
    assert 0.99 < same <= 1
    tracker.update(255 - images[0])
    assert tracker.confidence < same - 0.01
    plain = SiamFC(alexnet, SiamFCSettings(normalize="none"))
    plain.init(images[0], truth[0])
    plain.update(images[0])
    assert np.isnan(plain.confidence)
