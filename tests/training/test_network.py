"""The network, its optimiser, its learning rate."""

import pytest
import torch

from socl_pipeline.models import build_backbone
from socl_pipeline.settings import SoclModelSettings, TransTModelSettings
from socl_pipeline.training.build import build_network, starting_backbone
from socl_pipeline.training.network import (
    Network,
    learning_rate,
    make_optimizer,
    projection_head,
    set_learning_rate,
)


def test_rate_is_cut_at_the_decay_epochs():
    settings = SoclModelSettings(lr=1.0, lr_decay_epochs=(2, 5))
    rates = [learning_rate(settings, e) for e in (0, 1, 2, 4, 5, 9)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_rate_falls_exponentially_to_its_final_value():
    settings = SoclModelSettings(lr=1e-2, lr_final=1e-5, epochs=4, lr_decay_epochs=(1,))
    rates = [learning_rate(settings, e) for e in range(4)]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    assert learning_rate(settings.model_copy(update={"epochs": 1}), 0) == 1e-2


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_one_step_of_each_optimizer(name):
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(network.weight)
    settings = SoclModelSettings(optimizer=name, lr=0.1, weight_decay=0.5)
    optimizer = make_optimizer(network, settings)
    (2 * network.weight).sum().backward()
    optimizer.step()
    # adamw takes the decay off the weight, the others add it to the gradient
    expected = {"adam": 1 - 0.1, "adamw": 1 - 0.1 * 0.5 - 0.1, "sgd": 1 - 0.1 * 2.5}
    assert network.weight.item() == pytest.approx(expected[name], rel=1e-5)


def test_the_trunk_of_a_transt_has_a_rate_of_its_own(tiny_transt):
    settings = TransTModelSettings.model_validate(tiny_transt | {"trunk_lr": 5e-5})
    network = build_network(settings, starting_backbone(settings))
    optimizer = make_optimizer(network, settings)
    rest, trunk = ({id(p) for p in group["params"]} for group in optimizer.param_groups)
    assert trunk == {id(p) for p in network.backbone.trunk.parameters()}
    assert rest | trunk == {id(p) for p in network.parameters()} and not rest & trunk
    for epoch, rates in ((0, [2e-4, 5e-5]), (250, [2e-5, 5e-6])):
        set_learning_rate(optimizer, learning_rate(settings, epoch))
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx(rates)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [1e-4, 1e-4]


def test_a_pair_network_computes_in_its_precision(tiny_transt):
    settings = TransTModelSettings.model_validate(tiny_transt)
    images = 255 * torch.rand(1, 3, 32, 32), 255 * torch.rand(1, 3, 64, 64)
    for precision, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        other = settings.model_copy(update={"precision": precision})
        logits, _ = build_network(other, starting_backbone(other))(*images)
        assert logits.dtype == dtype and logits.shape == (1, 64, 2)


def test_bf16_is_inside_the_network():
    backbone = build_backbone("alexnet_v1", 0)
    images = 255 * torch.rand(1, 3, 127, 127)
    exact = Network(backbone, None, "float32")(images)
    rounded = Network(backbone, projection_head(256, 0), "bf16")(images)
    assert exact.dtype == torch.float32 and rounded.dtype == torch.bfloat16
    assert exact.shape == (1, 256, 6, 6) and rounded.shape == (1, 64, 6, 6)


def test_projection_head():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    head = projection_head(256, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert head(torch.zeros(1, 256, 4, 5)).shape == (1, 64, 4, 5)
    again = projection_head(256, seed=1)
    torch.testing.assert_close(head.state_dict(), again.state_dict(), rtol=0, atol=0)
