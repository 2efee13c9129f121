"""The objective against its parts: what the trainer may rely on."""

import numpy as np
import pytest
import torch
from torch import nn

from socl_pipeline.patches.augment import boxes_in_windows, cut_windows, jitter_colour, windows_of
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.socl.loss import SoclOptions, socl_loss
from socl_pipeline.socl.objective import SoclObjective
from socl_pipeline.socl.prior import CellGrid, score_maps, top_probability
from socl_pipeline.socl.samples import background_selection

N, SIZE, WINDOW, CHANNELS = 4, 128, 96, 6
GRID = CellGrid(0.0, 8.0, 12)
ABLATIONS = {
    "full": {},
    "templates": {"sns": False, "mixup": False, "lst": False},
    "sns": {"mixup": False, "lst": False},
    "lst": {"sns": False, "mixup": False},
}
EACH_ABLATION = pytest.mark.parametrize("settings", ABLATIONS.values(), ids=ABLATIONS.keys())


def objective(clip=0.2, **settings):
    return SoclObjective(SoclModelSettings(window=WINDOW, **settings), GRID, clip, SIZE)


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Conv2d(3, CHANNELS, 8, stride=8)


def patches(n=N, seed=0, extent=40.0, boxes=5):
    """Patches of noise with boxes of about the extent around their middle."""
    rng = np.random.default_rng(seed)
    sizes = extent * rng.uniform(0.8, 1.2, (2 * n, boxes, 2))
    corners = SIZE / 2 + rng.uniform(-4, 4, sizes.shape) - sizes / 2
    return PatchBatch(
        images=torch.from_numpy(rng.integers(0, 256, (2 * n, SIZE, SIZE, 3), np.uint8)),
        boxes=torch.from_numpy(np.concatenate([corners, sizes], axis=-1).astype(np.float32)),
        scores=torch.from_numpy(rng.random((2 * n, boxes), np.float32)),
        extents=torch.full((2 * n,), extent),
    )


def draws(made, n=N, seed=0):
    return made.draw(n, np.random.default_rng(seed))


def part(values, videos):
    return {name: value[videos] for name, value in values.items()}


@EACH_ABLATION
def test_the_loss_is_that_of_windows_and_maps_made_by_hand(settings):
    made, net, batch = objective(**settings), network(), patches()
    drawn = draws(made)
    windows = windows_of(drawn)
    images = jitter_colour(cut_windows(batch.images, windows, WINDOW), drawn)
    boxes = boxes_in_windows(batch.boxes, windows, WINDOW)
    top = top_probability(score_maps(boxes, batch.scores, GRID), 0.2, 10.0).unflatten(0, (-1, 2))
    features = net(images).flatten(2).unflatten(0, (-1, 2))
    expected, watched = socl_loss(features, top, SoclOptions(**settings), drawn)
    loss, seen = made.loss(made.encode(net, batch, drawn), drawn)
    torch.testing.assert_close(loss, expected)
    assert set(seen) == {"accuracy", "masked", "coverage"}
    for name in watched:
        torch.testing.assert_close(seen[name], watched[name])
        assert seen[name].shape == () and not seen[name].requires_grad


@EACH_ABLATION
def test_every_tensor_begins_with_the_videos(settings):
    made = objective(**settings)
    drawn = draws(made)
    assert all(len(values) == N and values.device.type == "cpu" for values in drawn.values())
    encoded = made.encode(network(), patches(), drawn)
    assert all(len(values) == N for values in encoded.values())
    assert {name for name, values in encoded.items() if not values.requires_grad} == {
        "masked",
        "coverage",
    }


def test_parts_of_a_batch_are_the_batch():
    made, net, batch = objective(), network(), patches()
    drawn = draws(made)
    whole = made.encode(net, batch, drawn)
    parts = [
        made.encode(net, batch.of_videos(videos), part(drawn, videos))
        for videos in (slice(0, 1), slice(1, 4))
    ]
    for name, values in whole.items():
        torch.testing.assert_close(torch.cat([p[name] for p in parts]), values)


def test_the_draws_alone_decide_what_is_random():
    made, net, batch = objective(), network(), patches()
    state = torch.get_rng_state()
    losses = [
        made.loss(made.encode(net, batch, drawn), drawn)[0].item()
        for drawn in (draws(made), draws(made), draws(made, seed=1))
    ]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_all_samples_teach_the_network():
    made, net = objective(), network()
    drawn = draws(made)
    encoded = made.encode(net, patches(), drawn)
    incoming = torch.autograd.grad(
        made.loss(encoded, drawn)[0],
        [encoded[name] for name in ("gst", "sns", "lst")],
        retain_graph=True,
    )
    assert all(gradient.abs().sum() > 0 for gradient in incoming)
    made.loss(encoded, drawn)[0].backward()
    assert net.weight.grad.abs().sum() > 0


def test_autocast_is_for_the_network_alone():
    """Only the features are rounded: their sums and the loss are as exact as without autocast."""
    made, net, batch = objective(), network(), patches()
    drawn = draws(made)

    class Rounded(nn.Module):
        def forward(self, images):
            with torch.autocast("cpu", torch.bfloat16):
                return net(images).float()

    with torch.autocast("cpu", torch.bfloat16):
        encoded = made.encode(net, batch, drawn)
        loss, _ = made.loss(encoded, drawn)
    expected = made.encode(Rounded(), batch, drawn)
    for name, values in expected.items():
        assert encoded[name].dtype == torch.float32
        torch.testing.assert_close(encoded[name], values)
    torch.testing.assert_close(loss, made.loss(expected, drawn)[0])


def test_coverage_is_the_share_of_the_extent_that_is_masked():
    """An extent of 32 px at the middle of an unmoved window is 4 x 4 cells."""
    still = {"shift_px": 0.0, "scale": 0.0, "flip": False}
    made, batch = objective(augment=still), patches(1, extent=32.0)
    encoded = made.encode(network(), batch, draws(made, 1))
    boxes = batch.boxes - torch.tensor([16.0, 16, 0, 0])
    top = top_probability(score_maps(boxes, batch.scores, GRID), 0.2, 10.0)
    target = ~background_selection(top, 0.9).unflatten(-1, (12, 12))
    expected = target[:, 4:8, 4:8].float().mean()
    assert float(encoded["coverage"]) == pytest.approx(float(expected)) and 0 < expected <= 1
    assert float(encoded["masked"]) == pytest.approx(float(target.float().mean()))


def test_coverage_tells_a_mask_that_leaves_much_of_the_target():
    shares = []
    for clip, mass in ((0.01, 0.1), (0.3, 0.9)):
        made = objective(clip, background_mass=mass)
        drawn = draws(made)
        _, watched = made.loss(made.encode(network(), patches(extent=48.0), drawn), drawn)
        shares.append(float(watched["coverage"]))
    assert shares[0] < 0.6 < shares[1]


def test_an_extent_smaller_than_a_cell_has_a_cell():
    made = objective()
    encoded = made.encode(network(), patches(extent=3.0), draws(made))
    assert (encoded["coverage"] > 0).all()


def test_frames_without_boxes_have_no_background_and_a_finite_loss():
    batch = patches()
    batch.scores[:3] = 0
    made, net = objective(), network()
    drawn = draws(made)
    encoded = made.encode(net, batch, drawn)
    loss, _ = made.loss(encoded, drawn)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(net.weight.grad).all()
    assert float(encoded["masked"][0]) == 1 > float(encoded["masked"][2])
