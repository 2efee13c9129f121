import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from socl_pipeline.box_siam.objective import BoxObjective
from socl_pipeline.models import build_backbone
from socl_pipeline.models.backbone import Backbone
from socl_pipeline.patches.augment import jitter_colour
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.settings import BceModelSettings

SIZE, TARGET = 160, 24
PLAIN = {"shift_px": 16, "scale": 0.05, "flip": False, "colour": 0, "grey": 0}


class SmallNet(Backbone):
    """Two convolutions: seconds where AlexNet takes minutes."""

    stride, channels, receptive_field, padded = 8, 16, 15, False

    def __init__(self, padded=False):
        super().__init__()
        self.padded = padded
        self.first = nn.Conv2d(3, 16, 7, stride=4, padding=3 if padded else 0)
        self.second = nn.Conv2d(16, 16, 3, stride=2, padding=1 if padded else 0)

    def forward(self, images):
        return self.second(torch.relu(self.first(images / 128 - 1)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SmallNet()


def settings(**values):
    return BceModelSettings(**({"kind": "bce", "window": 191, "augment": PLAIN} | values))


def checks(rng, count, side):
    """Random textures (count, 3, side, side): squares of 8 pixels in colours of their own."""
    cells = torch.randint(0, 256, (count, 3, side // 8, side // 8), generator=rng)
    return interpolate(cells.float(), scale_factor=8)


def made_batch(videos, seed=0, box_sides=TARGET):
    """Pairs of patches: in the middle the target, a texture of its own for each video.

    Blue says nothing, and says it loudly: it is another texture in every patch.
    """
    rng = torch.Generator().manual_seed(seed)
    low = (SIZE - TARGET) // 2
    images = checks(rng, 2 * videos, SIZE)
    targets = checks(rng, videos, TARGET).repeat_interleave(2, dim=0)
    images[:, :, low : low + TARGET, low : low + TARGET] = targets
    images[:, :2] = 128 + (images[:, :2] - 128) / 2
    images[:, 2] = checks(rng, 2 * videos, SIZE)[:, 2]
    sides = torch.as_tensor(box_sides, dtype=torch.float32).expand(2 * videos)
    corners = SIZE / 2 - sides / 2
    boxes = torch.stack([corners, corners, sides, sides], dim=-1)[:, None]
    return PatchBatch(
        images.permute(0, 2, 3, 1).byte(), boxes, torch.ones(2 * videos, 1), sides.clone()
    )


def step(objective, network, batch, seed=0):
    draws = objective.draw(len(batch.images) // 2, np.random.default_rng(seed))
    encoded = objective.encode(network, batch, draws)
    return encoded, *objective.loss(encoded, draws)


class TestDraw:
    def test_the_first_dimension_is_the_video(self, network):
        draws = BoxObjective(settings(), network, SIZE).draw(5, np.random.default_rng(0))
        shapes = {name: tuple(values.shape) for name, values in draws.items()}
        colours = {"brightness": (5, 2), "contrast": (5, 2), "grey": (5,)}
        assert shapes == {"shift": (5, 2), "stretch": (5,), "flip": (5,)} | colours

    @pytest.mark.parametrize(("shift_px", "largest"), [(4, 4), (500, 32)])
    def test_shifts_stay_in_reach(self, network, shift_px, largest):
        objective = BoxObjective(settings(augment={"shift_px": shift_px}), network, SIZE)
        shifts = objective.draw(500, np.random.default_rng(0))["shift"].abs()
        assert 0.95 * largest < shifts.max() <= largest

    def test_no_change(self, network):
        nothing = {"shift_px": 0, "scale": 0, "flip": False, "colour": 0, "grey": 0}
        draws = BoxObjective(settings(augment=nothing), network, SIZE).draw(
            9, np.random.default_rng(0)
        )
        assert not draws["shift"].any() and not draws["flip"].any()
        assert (draws["stretch"] == 1).all()

    def test_flips_half(self, network):
        objective = BoxObjective(settings(augment={}), network, SIZE)
        assert 0.4 < objective.draw(500, np.random.default_rng(0))["flip"].float().mean() < 0.6


class TestEncode:
    def test_per_video_with_gradient(self, network):
        encoded, loss, watched = step(
            BoxObjective(settings(), network, SIZE), network, made_batch(3)
        )
        assert {name: tuple(v.shape) for name, v in encoded.items()} == {
            "losses": (3,), "kept": (3,), "hit": (3,), "box_px": (3,),
        }  # fmt: skip
        assert {name for name, v in encoded.items() if v.requires_grad} == {"losses"}
        torch.testing.assert_close(encoded["box_px"], torch.full((3,), float(TARGET)))
        torch.testing.assert_close(loss, encoded["losses"].mean())
        assert watched.keys() == {"hit", "box_px", "kept"} and watched["kept"] == 1
        loss.backward()
        assert all(p.grad.abs().sum() > 0 for p in network.parameters())

    def test_parts_of_a_batch_are_what_they_are_in_it(self, network):
        objective = BoxObjective(settings(augment={}), network, SIZE)
        batch, rng = made_batch(4), np.random.default_rng(0)
        draws = objective.draw(4, rng)
        whole = objective.encode(network, batch, draws)
        for part in (slice(0, 1), slice(1, 4)):
            own = {name: values[part] for name, values in draws.items()}
            encoded = objective.encode(network, batch.of_videos(part), own)
            for name in whole:
                torch.testing.assert_close(encoded[name], whole[name][part])

    def test_the_first_frame_is_the_exemplar(self, network):
        objective = BoxObjective(settings(), network, SIZE)
        batch = made_batch(1)
        draws = objective.draw(1, np.random.default_rng(0))
        black = batch.images.clone()
        black[0] = 0
        boxes = torch.tensor([[68.0, 68, 24, 24]]).expand(1, 2, 4)
        exemplar, search = objective.windows(black, boxes, draws)
        assert exemplar.shape == (1, 3, 127, 127) and search.shape == (1, 3, 191, 191)
        assert not exemplar.any() and search.any()

    def test_a_pair_is_flipped_together(self, network):
        objective = BoxObjective(settings(), network, SIZE)
        batch, draws = made_batch(2), objective.draw(2, np.random.default_rng(0))
        boxes = torch.tensor([60.0, 70, 24, 20]).expand(2, 2, 4)
        other_way = draws["shift"] * torch.tensor([-1, 1])
        mirrored = draws | {"flip": torch.ones(2, dtype=torch.bool), "shift": other_way}
        for plain, flipped in zip(
            objective.windows(batch.images, boxes, draws),
            objective.windows(batch.images, boxes, mirrored),
            strict=True,
        ):
            torch.testing.assert_close(flipped, plain.flip(-1), atol=0.1, rtol=0)

    def test_the_search_window_is_stretched_and_the_exemplar_is_not(self, network):
        objective = BoxObjective(settings(), network, SIZE)
        batch, draws = made_batch(1), objective.draw(1, np.random.default_rng(0))
        boxes = torch.tensor([68.0, 68, 24, 24]).expand(1, 2, 4)
        wider = draws | {"stretch": draws["stretch"] * 1.1}
        before = objective.windows(batch.images, boxes, draws)
        after = objective.windows(batch.images, boxes, wider)
        assert torch.equal(before[0], after[0]) and not torch.allclose(before[1], after[1])

    def test_both_frames_have_the_colours_drawn_for_them(self, network):
        objective = BoxObjective(settings(augment={"colour": 0.5, "grey": 0.5}), network, SIZE)
        draws = objective.draw(6, np.random.default_rng(1))
        plain = draws | {
            "brightness": torch.ones(6, 2), "contrast": torch.ones(6, 2),
            "grey": torch.zeros(6, dtype=torch.bool),
        }  # fmt: skip
        boxes = torch.tensor([68.0, 68, 24, 24]).expand(6, 2, 4)
        images = made_batch(6).images
        coloured = objective.windows(images, boxes, draws)[1]
        search = objective.windows(images, boxes, plain)[1]
        expected = jitter_colour(search.repeat_interleave(2, dim=0), draws)[1::2]
        torch.testing.assert_close(coloured, expected)

    @pytest.mark.parametrize("name", ["alexnet_v1", "resnet18"])
    def test_real_backbones(self, name):
        backbone = build_backbone(name, 0)
        objective = BoxObjective(settings(), backbone, SIZE)
        with torch.autocast("cpu", torch.bfloat16):
            _, loss, _ = step(objective, backbone, made_batch(2))
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad.isfinite().all() for p in backbone.parameters())


class TestPadding:
    def test_border_cells_of_the_exemplar_are_dropped(self):
        """Its outermost features see the padding: nothing may depend on them."""
        backbone = SmallNet(padded=True)
        objective = BoxObjective(settings(), backbone, SIZE)
        batch, draws = made_batch(2), objective.draw(2, np.random.default_rng(0))

        class Spoilt(nn.Module):
            def forward(self, images):
                features = backbone(images)
                if features.shape[-1] > 16:  # the search window
                    return features
                features = features.clone()
                features[..., :2, :] = 1e3
                features[..., -2:] = -1e3
                return features

        for spoilt, kept in zip(
            objective.encode(Spoilt(), batch, draws).values(),
            objective.encode(backbone, batch, draws).values(),
            strict=True,
        ):
            torch.testing.assert_close(spoilt, kept)


class TestUselessBoxes:
    def test_weigh_nothing(self, network):
        objective = BoxObjective(settings(), network, SIZE)
        sides = [TARGET, TARGET, TARGET, 3, 120, TARGET]
        encoded, loss, watched = step(objective, network, made_batch(3, box_sides=sides))
        assert encoded["kept"].tolist() == [1, 0, 0]
        torch.testing.assert_close(loss, encoded["losses"][0])
        assert watched["kept"] == pytest.approx(1 / 3)
        assert watched["box_px"] == TARGET

    @pytest.mark.parametrize("side", [0, 2, 160])
    def test_all_of_them(self, network, side):
        objective = BoxObjective(settings(), network, SIZE)
        encoded, loss, watched = step(objective, network, made_batch(2, box_sides=side))
        loss.backward()
        assert loss == 0 and all(v.isfinite().all() for v in encoded.values())
        assert all(v == 0 for v in watched.values())
        assert all((p.grad == 0).all() for p in network.parameters())

    def test_no_scored_box(self, network):
        batch = made_batch(2)
        empty = PatchBatch(batch.images, batch.boxes * 0, batch.scores * 0, batch.extents)
        _, loss, watched = step(BoxObjective(settings(), network, SIZE), network, empty)
        assert loss == 0 and watched["kept"] == 0


@pytest.mark.parametrize(("similarity", "padded"), [("correlation", False), ("cosine", True)])
def test_learns_to_find_targets(similarity, padded):
    """Of textures it never saw, and in spite of a colour that misleads the untrained network."""
    torch.manual_seed(0)
    network = SmallNet(padded)
    objective = BoxObjective(settings(similarity=similarity), network, SIZE)
    unseen = made_batch(24, seed=1000)

    @torch.no_grad()
    def test():
        _, loss, watched = step(objective, network, unseen, seed=99)
        return float(loss), float(watched["hit"])

    loss_before, hits_before = test()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for index in range(25):
        _, loss, _ = step(objective, network, made_batch(8, seed=index), seed=index)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss_after, hits_after = test()
    assert loss_after < 0.9 * loss_before
    assert hits_after > hits_before + 0.2
