import pytest
import torch

from socl_pipeline.models import AlexNetV1, build_backbone

# Side, channels after every layer for inputs of 127 and 255 pixels (the table of SiamFC).
LAYERS = {
    "conv1": (59, 123, 96),
    "pool1": (29, 61, 96),
    "conv2": (25, 57, 256),
    "pool2": (12, 28, 256),
    "conv3": (10, 26, 384),
    "conv4": (8, 24, 384),
    "conv5": (6, 22, 256),
}


@pytest.fixture(scope="module")
def net() -> AlexNetV1:
    net = build_backbone("alexnet_v1", seed=0)
    assert isinstance(net, AlexNetV1)
    return net.eval()


@pytest.mark.parametrize(("size", "column"), [(127, 0), (255, 1)])
@torch.inference_mode()
def test_every_layer_has_the_published_size(net: AlexNetV1, size: int, column: int) -> None:
    x = torch.zeros(1, 3, size, size)
    out = net(x)
    for name, expected in LAYERS.items():
        x = net.get_submodule(name)(x)
        assert tuple(x.shape) == (1, expected[2], expected[column], expected[column])
    assert torch.equal(x, out)
    assert out.shape[1] == net.channels


def test_parameter_count(net: AlexNetV1) -> None:
    assert sum(p.numel() for p in net.parameters()) == 2_336_320


def test_initial_weights_are_xavier_uniform_with_zero_biases(net: AlexNetV1) -> None:
    state = net.state_dict()
    weight = state["conv4.0.weight"]
    bound = (6 / (384 // 2 * 9 + 384 * 9)) ** 0.5
    assert float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.01)
    assert not any(state[f"{name}.bias"].any() for name in ("conv1.0", "conv4.0", "conv5"))
    assert (net.conv1[1].eps, net.conv1[1].momentum) == (1e-6, 0.05)


def test_last_layer_is_not_rectified(net: AlexNetV1) -> None:
    image = 255 * torch.rand(1, 3, 127, 127, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert net(image).min() < 0


def test_the_smallest_image_is_the_receptive_field(net: AlexNetV1) -> None:
    side = net.receptive_field
    assert net(torch.zeros(1, 3, side, side)).shape[2:] == (1, 1)
    with pytest.raises(RuntimeError):
        net(torch.zeros(1, 3, side, side - 1))


def test_seed_alone_decides_the_weights() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build_backbone("alexnet_v1", seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again = build_backbone("alexnet_v1", seed=1).state_dict()
    other = build_backbone("alexnet_v1", seed=2).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["conv1.0.weight"], other["conv1.0.weight"])
