"""A batch in chunks has the loss and the gradients of the whole."""

import numpy as np
import pytest
import torch
from torch import nn

from socl_pipeline.patches.loader import load_batch
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.socl.objective import SoclObjective
from socl_pipeline.socl.prior import CellGrid
from socl_pipeline.training.accumulation import backward, chunks, running_statistics_frozen
from socl_pipeline.training.ranks import Ranks

WINDOW, VIDEOS = 128, 5


def small_network(norm=False):
    """A network of stride 16 whose videos do not see each other, unless it has a batch norm."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 8, 16, 16), nn.Tanh(), nn.Conv2d(8, 6, 1)]
    if norm:
        layers.insert(1, nn.BatchNorm2d(8))
    return nn.Sequential(*layers)


@pytest.fixture
def step(patches):
    """A function that returns what a batch of all videos gives: watched values, gradients."""
    settings = SoclModelSettings(window=WINDOW)
    objective = SoclObjective(settings, CellGrid(0, 16, 8), 0.2, patches.size)
    rows = [row for video in patches.videos.values() for row in video[:2]]

    def run(network, chunk):
        draws = objective.draw(VIDEOS, np.random.default_rng(3))
        watched = backward(objective, network, load_batch(patches, rows), draws, Ranks(), chunk)
        return watched, [p.grad for p in network.parameters()]

    return run


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 99])
def test_chunks_give_the_whole_batchs_loss_and_gradients(step, chunk):
    whole, gradients = step(small_network(), None)
    watched, ours = step(small_network(), chunk)
    torch.testing.assert_close(watched, whole)
    scale = max(float(g.abs().max()) for g in gradients)
    assert scale > 1e-4
    torch.testing.assert_close(ours, gradients, rtol=1e-4, atol=1e-4 * scale)


def test_negatives_come_from_other_chunks(step):
    """With videos one at a time and no exchange, only a video's own negatives would be there."""
    watched, _ = step(small_network(), 1)
    assert watched["loss"] > 0 and 0 <= watched["accuracy"] <= 1


def test_running_statistics_are_followed_once(step):
    network = small_network(norm=True)
    step(network, 2)
    assert network[1].num_batches_tracked == 3, "one for each chunk, in the second pass only"


def test_the_second_pass_has_the_dropout_of_the_first(step):
    """Else the gradient would be of another network than the loss."""
    network = nn.Sequential(*small_network(), nn.Dropout(0.5))
    seen = []
    network.register_forward_hook(lambda module, images, features: seen.append(features.detach()))
    step(network, 2)
    first, second = seen[:3], seen[3:]
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not torch.equal(first[0] == 0, first[2] == 0), "each part has its own"


def test_frozen_statistics():
    network = small_network(norm=True)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with running_statistics_frozen(network):
        frozen = network(torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert network[1].track_running_stats and frozen.requires_grad


@pytest.mark.parametrize(
    ("videos", "world", "size", "sizes"),
    [
        (5, 1, None, [[5]]),
        (5, 1, 5, [[5]]),
        (5, 1, 2, [[2, 1, 2]]),
        (1, 1, 9, [[1]]),
        (9, 2, 2, [[1, 2, 1], [2, 1, 2]]),
        (5, 2, 1, [[1, 1], [2, 1]]),
    ],
)
def test_all_ranks_have_equally_many_chunks(videos, world, size, sizes):
    for rank, expected in enumerate(sizes):
        parts = chunks(Ranks(rank, world), videos, size)
        assert [p.stop - p.start for p in parts] == expected
        assert parts[0].start == 0
