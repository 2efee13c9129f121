from dataclasses import replace

import pytest
import torch
from torch import nn

from socl_pipeline.transt.checkpoint import build_network
from socl_pipeline.transt.network import TransT, TransTShape
from socl_pipeline.transt.trunk import Bottleneck, ResNetTrunk


def patches(n: int = 2, template: int = 32, search: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(3)
    sides = template, search
    one, two = (255 * torch.rand(n, 3, side, side, generator=rng) for side in sides)
    return one, two


@pytest.mark.parametrize(("layers", "parameters"), [(4, 23_016_006), (2, 16_700_998)])
def test_the_full_model_is_as_large_as_the_published_one(layers: int, parameters: int) -> None:
    with torch.device("meta"):
        trunk = ResNetTrunk(Bottleneck, (3, 4, 6))
        network = TransT(trunk, 1024, TransTShape(layers=layers))
    assert sum(p.numel() for p in network.parameters()) == parameters


@torch.no_grad()
def test_shapes_and_ranges(tiny) -> None:
    logits, boxes = tiny()(*patches())
    assert logits.shape == (2, 64, 2)
    assert boxes.shape == (2, 64, 4)
    assert boxes.min() > 0 and boxes.max() < 1
    assert logits.std(dim=1).min() > 0.02  # cells differ: the tests below would see them mixed up


@torch.no_grad()
def test_tokens_are_the_cells_row_by_row(tiny) -> None:
    network, image = tiny(), torch.zeros(1, 3, 64, 64)
    image[:, :, 8:16, 24:32] = 200  # row 1, column 3
    tokens = network.encode(image)
    changed = (tokens - network.encode(torch.zeros_like(image))).abs().sum(dim=2)[0]
    assert changed.nonzero().flatten().tolist() == [8 + 3]


@torch.no_grad()
def test_boxes_have_more_than_eight_bits_under_autocast(tiny) -> None:
    network, given = tiny(), patches()
    with torch.autocast("cpu", torch.bfloat16):
        boxes = network(*given)[1]
        fused = network.fuse(*(network.encode(p) for p in given))
    assert fused.dtype == torch.bfloat16 and boxes.dtype == torch.float32
    assert not torch.equal(boxes, boxes.bfloat16().float())


@torch.no_grad()
def test_what_is_remembered_changes_nothing(tiny) -> None:
    """The whole fusion, layer by layer, without anything cached."""
    network, (template, search) = tiny(), patches()
    z, x = network.encode(template), network.encode(search)
    zp, xp = network.positions(z), network.positions(x)
    for layer in network.layers:
        z, x = layer.template_ego(z, zp), layer.search_ego(x, xp)
        z, x = layer.template_cross(z, zp, x, xp), layer.search_cross(x, xp, z, zp)
    last = network.norm(network.decoder(x, xp, z, zp))
    logits, boxes = network(template, search)
    assert torch.equal(logits, network.class_head(last))
    assert torch.equal(boxes, network.box_head(last).sigmoid())


@torch.no_grad()
def test_a_layer_is_the_same_with_and_without_cache(tiny) -> None:
    network = tiny()
    z, x = (network.encode(p) for p in patches())
    zp, xp = network.positions(z), network.positions(x)
    layer = network.layers[0]
    whole = layer(z, zp, x, xp)
    split = layer.after_template_ego(network.remember(z), zp, x, xp)
    assert all(map(torch.equal, whole, split))


@torch.no_grad()
def test_without_layers_the_decoder_is_left(tiny) -> None:
    network, given = tiny(replace(tiny().shape, layers=0)), patches()
    assert network(*given)[0].shape == (2, 64, 2)


@torch.no_grad()
def test_videos_of_a_batch_do_not_mix(tiny) -> None:
    network, (template, search) = tiny(), patches(3)
    together = network(template, search)[0]
    alone = network(template[1:2], search[1:2])[0]
    assert torch.allclose(together[1], alone[0], atol=1e-5)
    assert not torch.allclose(together[2], alone[0], atol=1e-3)


@torch.no_grad()
def test_boxes_depend_on_the_template(tiny) -> None:
    network, (template, search) = tiny(), patches()
    assert not torch.allclose(network(template, search)[1], network(255 - template, search)[1])


def test_training_reaches_every_parameter_after_tracking(tiny) -> None:
    network, given = tiny(), patches()
    with torch.inference_mode():
        network(*given)  # position codes are cached now
    logits, boxes = network.train()(*given)
    (logits.sum() + (boxes * torch.rand_like(boxes)).sum()).backward()
    missing = [k for k, p in network.named_parameters() if p.grad is None]
    assert not missing


def test_fusion_starts_xavier_uniform_without_biases() -> None:
    shape = TransTShape(width=64, heads=2, layers=1, feedforward=128)
    network = TransT(nn.Conv2d(3, 6, 8, 8), 6, shape)
    attention = network.layers[0].search_ego.attention
    bound = (6 / (4 * 64)) ** 0.5
    largest = float(attention.in_proj_weight.detach().abs().max())
    assert 0.99 * bound < largest <= bound
    assert not attention.in_proj_bias.any() and not attention.out_proj.bias.any()


def test_weights_are_a_function_of_the_seed() -> None:
    shape = TransTShape(width=8, heads=2, layers=1, feedforward=8)
    before = torch.random.get_rng_state()
    one, same, other = (build_network("squeezenet1_1", shape, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    states = [n.state_dict() for n in (one, same, other)]
    assert all(torch.equal(v, states[1][k]) for k, v in states[0].items())
    for key in ("trunk.features.0.weight", "reduce.weight", "class_head.0.weight"):
        assert not torch.equal(states[0][key], states[2][key])


def test_what_does_not_fit(tiny) -> None:
    with pytest.raises(ValueError, match="multiple of 4 and of heads"):
        tiny(TransTShape(width=18, heads=2))
    with pytest.raises(ValueError, match="multiple of 4 and of heads"):
        tiny(TransTShape(width=16, heads=3))
    with pytest.raises(ValueError, match="the trunk makes"):
        tiny().encode(torch.zeros(1, 3, 60, 60))
