"""What a TransT is trained for: pairs, labels, the loss, and that it learns."""

import numpy as np
import pytest
import torch
from torch import nn

from socl_pipeline.patches.augment import jitter_colour
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.settings import TransTModelSettings
from socl_pipeline.transt.assignment import positive_cells
from socl_pipeline.transt.loss import LossWeights, transt_loss
from socl_pipeline.transt.network import TransT, TransTShape
from socl_pipeline.transt.objective import TransTObjective, best_overlaps
from socl_pipeline.transt.recolour import recoloured, without_recolour

SIZE, TARGET = 160, 20
PLAIN = {"centre": 0, "size": 0, "brightness": 0, "grey": 0}
SHAPE = TransTShape(width=32, heads=2, layers=1, feedforward=32, dropout=0)


class Trunk(nn.Module):
    """One convolution of stride 8."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 8, 8)

    def forward(self, images):
        return torch.relu(self.conv(images / 128 - 1))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TransT(Trunk(), 16, SHAPE)


def objective(**values):
    raw = {"kind": "transt", "template": 32, "window": 64} | values
    return TransTObjective(TransTModelSettings.model_validate(raw), SIZE)


def made_batch(videos, box_sides=TARGET, seed=0):
    """Pairs of grey noise, in the middle of each a square in the video's own colour."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 160, (2 * videos, SIZE, SIZE, 3), dtype=np.uint8)
    low = (SIZE - TARGET) // 2
    colours = rng.integers(0, 256, (videos, 3), dtype=np.uint8)
    for i, image in enumerate(images):
        image[low : low + TARGET, low : low + TARGET] = colours[i // 2]
    sides = torch.as_tensor(box_sides, dtype=torch.float32).expand(2 * videos)
    corners = SIZE / 2 - sides / 2
    boxes = torch.stack([corners, corners, sides, sides], dim=-1)[:, None]
    return PatchBatch(
        torch.from_numpy(images), boxes, torch.ones(2 * videos, 1), torch.clone(sides)
    )


def step(task, network, batch, seed=0):
    draws = task.draw(len(batch.images) // 2, np.random.default_rng(seed))
    encoded = task.encode(network, batch, draws)
    return encoded, *task.loss(encoded, draws)


class TestDraw:
    def test_the_first_dimension_is_the_video(self):
        draws = objective().draw(5, np.random.default_rng(0))
        pairs = ("stretch", "offset", "brightness", "contrast")
        shapes = {name: tuple(values.shape) for name, values in draws.items()}
        assert shapes == dict.fromkeys(pairs, (5, 2)) | {"grey": (5,)}

    def test_what_is_drawn_is_the_published(self):
        draws = objective().draw(20_000, np.random.default_rng(0))
        assert draws["stretch"].log().std().item() == pytest.approx(0.25, rel=0.02)
        assert draws["stretch"].log().mean().item() == pytest.approx(0, abs=0.005)
        for name, low, high in (("offset", -1.5, 1.5), ("brightness", 0.8, 1.2)):
            span = 0.01 * (high - low)
            assert low <= draws[name].min() < low + span
            assert high - span < draws[name].max() <= high
        assert draws["grey"].float().mean().item() == pytest.approx(0.05, abs=0.005)
        assert (draws["contrast"] == 1).all()

    def test_no_change(self):
        draws = objective(augment=PLAIN).draw(9, np.random.default_rng(0))
        assert (draws["stretch"] == 1).all() and not draws["offset"].any()
        assert (draws["brightness"] == 1).all() and not draws["grey"].any()


class TestPairs:
    def test_the_first_frame_is_the_template(self):
        task, batch = objective(), made_batch(2)
        batch.images[0::2] = 0
        templates, searches, truth, kept = task.pairs(batch, task.draw(2, np.random.default_rng(0)))
        assert templates.shape == (2, 3, 32, 32) and searches.shape == (2, 3, 64, 64)
        assert truth.shape == (2, 4) and kept.tolist() == [1, 1]
        assert not templates.any() and searches.any()

    def test_the_second_frames_box_is_the_label(self):
        task = objective(augment=PLAIN)
        batch = made_batch(1, box_sides=[TARGET, 2 * TARGET])
        _, _, truth, _ = task.pairs(batch, task.draw(1, np.random.default_rng(0)))
        torch.testing.assert_close(truth, torch.tensor([[0.5, 0.5, 0.25, 0.25]]))
        batch.boxes[1, 0, 0] += 4  # 4 px of a target of 40: the window moves with the box
        _, _, moved, _ = task.pairs(batch, task.draw(1, np.random.default_rng(0)))
        torch.testing.assert_close(moved, truth)

    def test_both_frames_have_the_colours_drawn_for_them(self):
        task, batch = objective(augment=PLAIN), made_batch(2)
        draws = task.draw(2, np.random.default_rng(0))
        plain = task.pairs(batch, draws)[:2]
        other = {
            "brightness": torch.tensor([[0.8, 1.1], [1.2, 0.9]]),
            "grey": torch.tensor([True, False]),
        }
        for frame, (ours, before) in enumerate(
            zip(task.pairs(batch, draws | other)[:2], plain, strict=True)
        ):
            own = draws | other | {"brightness": other["brightness"][:, [frame]]}
            own["contrast"] = torch.ones(2, 1)
            torch.testing.assert_close(ours, jitter_colour(before.clone(), own))
            assert torch.equal(ours[0, 0], ours[0, 1]), "the first pair is grey"
            assert not torch.equal(ours[1, 0], ours[1, 1])

    def test_both_frames_change_their_channels_alike(self):
        task, batch = objective(augment=PLAIN | {"recolour": 1.0}), made_batch(3)
        draws = task.draw(3, np.random.default_rng(0))
        plain = task.pairs(batch, without_recolour(draws))[0]
        templates, searches, _, _ = task.pairs(batch, draws)
        torch.testing.assert_close(templates, recoloured(plain, draws))
        assert not torch.equal(templates, plain)
        again = task.pairs(batch, without_recolour(draws))[1]
        torch.testing.assert_close(searches, recoloured(again, draws))


class TestLoss:
    def test_per_video_with_gradient(self, network):
        encoded, loss, watched = step(objective(), network, made_batch(3))
        assert {name: tuple(v.shape) for name, v in encoded.items()} == {
            "logits": (3, 64, 2), "boxes": (3, 64, 4), "truth": (3, 4), "kept": (3,),
        }  # fmt: skip
        assert {n for n, v in encoded.items() if v.requires_grad} == {"logits", "boxes"}
        positives = positive_cells(encoded["truth"], 8)
        expected, terms = transt_loss(
            encoded["logits"], encoded["boxes"], encoded["truth"], positives
        )
        torch.testing.assert_close(loss, expected)
        assert watched.keys() == {*terms, "box_iou", "kept"} and watched["kept"] == 1
        loss.backward()
        assert all(p.grad.abs().sum() > 0 for n, p in network.named_parameters() if "weight" in n)

    def test_the_settings_weigh_its_terms(self, network):
        plain = step(objective(), network, made_batch(2))
        other = step(objective(loss={"l1": 0, "giou": 0, "ce": 3}), network, made_batch(2))
        assert other[1].item() == pytest.approx(3 * plain[2]["ce"].item(), rel=1e-5)
        assert objective().weights == LossWeights()

    def test_parts_of_a_batch_are_what_they_are_in_it(self, network):
        task, batch = objective(), made_batch(4)
        draws = task.draw(4, np.random.default_rng(0))
        whole = task.encode(network, batch, draws)
        for part in (slice(0, 1), slice(1, 4)):
            own = {name: values[part] for name, values in draws.items()}
            encoded = task.encode(network, batch.of_videos(part), own)
            for name in whole:
                torch.testing.assert_close(encoded[name], whole[name][part], rtol=1e-4, atol=1e-5)

    def test_the_best_cell_is_the_surest_target(self):
        logits = torch.tensor([[[0.0, 0], [2, 5], [1, -3]]])
        boxes = torch.tensor([[[0.5, 0.5, 1, 1], [0.2, 0.2, 0.2, 0.2], [0.25, 0.5, 0.5, 1]]])
        truth = torch.tensor([[0.5, 0.5, 1, 1]])
        torch.testing.assert_close(best_overlaps(logits, boxes, truth), torch.tensor([0.5]))


class TestUselessBoxes:
    def test_weigh_nothing(self, network):
        sides = [TARGET, TARGET, TARGET, 1, 0, TARGET]
        encoded, loss, watched = step(objective(), network, made_batch(3, sides))
        assert encoded["kept"].tolist() == [1, 0, 0]
        assert watched["kept"].item() == pytest.approx(1 / 3)
        first = {name: values[:1] for name, values in encoded.items()}
        torch.testing.assert_close(loss, objective().loss(first, {})[0])

    def test_all_of_them(self, network):
        encoded, loss, watched = step(objective(), network, made_batch(2, 0))
        loss.backward()
        assert loss == 0 and all(v.isfinite().all() for v in encoded.values())
        assert all(v == 0 for v in watched.values())
        assert all((p.grad == 0).all() for p in network.parameters())

    def test_no_kept_pair_watches_what_others_do(self, network):
        some, none = (step(objective(), network, made_batch(2, s))[2] for s in (TARGET, 0))
        assert list(some) == list(none), "rows of a history have the same columns"


def test_a_tiny_transt_learns_where_and_how_large_targets_are(network):
    """It overfits eight pairs: their loss falls by half, and its boxes fit."""
    task, batch = objective(augment=PLAIN | {"centre": 1.0, "size": 0.1}), made_batch(8)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses, overlaps = [], []
    for index in range(150):
        _, loss, watched = step(task, network, batch, seed=index % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        overlaps.append(watched["box_iou"].item())
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10]), (losses[:10], losses[-10:])
    assert np.mean(overlaps[-10:]) > np.mean(overlaps[:10]) + 0.2, (overlaps[:10], overlaps[-10:])
