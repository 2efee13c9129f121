"""Two processes on the CPU (gloo) against one process with the whole batch."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import nn

from socl_pipeline.box_siam.objective import BoxObjective
from socl_pipeline.models import build_backbone
from socl_pipeline.patches.loader import load_batch
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.settings import BceModelSettings, SoclModelSettings, TransTModelSettings
from socl_pipeline.socl.objective import SoclObjective
from socl_pipeline.socl.prior import feature_grid
from socl_pipeline.training.accumulation import backward
from socl_pipeline.training.build import build_network, starting_backbone
from socl_pipeline.training.network import Network
from socl_pipeline.training.ranks import Ranks, distributed
from socl_pipeline.transt.objective import TransTObjective

WINDOW = 127
CPU = torch.device("cpu")
RUNS = (("socl", None), ("bce", None), ("transt", None), ("socl", 1))
# without dropout, which differs from rank to rank
SHAPE = {"width": 32, "heads": 2, "layers": 1, "feedforward": 32, "dropout": 0}
TRANST = {"kind": "transt", "backbone": "squeezenet1_1", "template": 32, "window": 64}


class Exact(nn.Module):
    """A network in float64: rounding makes other maxima of pools, and so other gradients."""

    def __init__(self, network):
        super().__init__()
        self.network = network.double()

    def forward(self, *images):
        return self.network(*(i.double() for i in images))


def gradients(folder, ranks, chunk, kind="socl"):
    """Return what a rank sees of one step on five videos: watched values, state, gradients."""
    torch.set_num_threads(1)
    patches = PatchSet(folder)
    backbone = build_backbone("alexnet_v1", 0)
    network = Network(backbone, None, "float32")
    if kind == "transt":
        settings = TransTModelSettings.model_validate(TRANST | {"shape": SHAPE})
        objective = TransTObjective(settings, patches.size)
        network = build_network(settings, starting_backbone(settings))
    elif kind == "socl":
        grid = feature_grid(backbone.eval(), WINDOW)
        objective = SoclObjective(SoclModelSettings(window=WINDOW), grid, 0.3, patches.size)
    else:
        objective = BoxObjective(BceModelSettings(kind="bce", window=159), backbone, patches.size)
    network = Exact(network.train())
    parallel = distributed(network, ranks, CPU)
    rows = [row for video in patches.videos.values() for row in video[:2]]
    part = ranks.part(len(rows) // 2)
    batch = load_batch(patches, rows[2 * part.start : 2 * part.stop])
    draws = objective.draw(len(rows) // 2, np.random.default_rng(3))
    watched = backward(objective, parallel, batch, draws, ranks, chunk)
    state = {k: v for k, v in network.state_dict().items() if "running" in k}
    return watched, state, {k: p.grad for k, p in network.named_parameters()}


def be_a_rank(rank, folder, out, store):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for kind, chunk in RUNS:
        seen = gradients(folder, Ranks(rank, 2), chunk, kind)
        torch.save(seen, out / f"{rank}.{kind}.{chunk}.pt")
    dist.destroy_process_group()


def test_two_processes_do_as_one_with_the_whole_batch(patches, tmp_path, importable):
    """Five videos, so one rank has two and the other three; batch norms see all of them."""
    arguments = (tmp_path / "patches", tmp_path, tmp_path / "store")
    torch.multiprocessing.spawn(be_a_rank, arguments, nprocs=2)

    def seen(rank, kind, chunk):
        return torch.load(tmp_path / f"{rank}.{kind}.{chunk}.pt", weights_only=True)

    for kind in ("socl", "bce", "transt"):
        whole = gradients(tmp_path / "patches", Ranks(), None, kind)
        for rank in range(2):
            check_equal(seen(rank, kind, None), whole)
    # in chunks, batch norms see less: the ranks still agree with each other
    torch.testing.assert_close(seen(0, "socl", 1), seen(1, "socl", 1))
    losses = [float(seen(0, "socl", chunk)[0]["loss"]) for chunk in (None, 1)]
    assert losses[1] != pytest.approx(losses[0], rel=1e-6)


def check_equal(found, expected):
    """Assert that watched values, running statistics and gradients are the same."""
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-5)
    for name, gradient in expected[2].items():
        scale = gradient.abs().max()
        error = (found[2][name] - gradient).abs().max()
        # a bias before a batch norm has a gradient of zero, but for rounding
        assert error <= 1e-4 * scale + 1e-7, (name, error, scale)


def test_parts_are_in_order_and_whole():
    for world in (1, 2, 3, 8):
        parts = [Ranks(r, world).part(11) for r in range(world)]
        assert [i for p in parts for i in range(11)[p]] == list(range(11))
        assert Ranks(0, world).sizes(11) == [p.stop - p.start for p in parts]


def test_one_process_needs_no_group():
    network = nn.Linear(1, 1)
    assert distributed(network, Ranks(), CPU) is network
    tensors = {"a": torch.ones(3)}
    assert Ranks().gather(tensors, 3) == tensors
