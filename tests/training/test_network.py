"""The network, its optimiser, its learning rate."""

import pytest
import torch

from socl_pipeline.models import build_backbone
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.training.network import Network, learning_rate, make_optimizer, projection_head


def test_rate_is_cut_at_the_decay_epochs():
    settings = SoclModelSettings(lr=1.0, lr_decay_epochs=(2, 5))
    rates = [learning_rate(settings, e) for e in (0, 1, 2, 4, 5, 9)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_rate_falls_exponentially_to_its_final_value():
    settings = SoclModelSettings(lr=1e-2, lr_final=1e-5, epochs=4, lr_decay_epochs=(1,))
    rates = [learning_rate(settings, e) for e in range(4)]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    assert learning_rate(settings.model_copy(update={"epochs": 1}), 0) == 1e-2


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_one_step_of_each_optimizer(name):
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(network.weight)
    optimizer = make_optimizer(network, SoclModelSettings(optimizer=name, lr=0.1))
    (2 * network.weight).sum().backward()
    optimizer.step()
    expected = {"adam": 1 - 0.1, "sgd": 1 - 0.1 * 2}
    assert network.weight.item() == pytest.approx(expected[name], rel=1e-5)


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
