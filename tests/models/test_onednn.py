import pytest
import torch
from torch import nn
from torch.nn import functional

from socl_pipeline.models import onednn
from socl_pipeline.models.onednn import Linear, PointwiseConv2d, is_pointwise, linear


@pytest.fixture
def one_dnn(monkeypatch):
    """The shapes that oneDNN's function was called with."""
    if not onednn._AVAILABLE:
        pytest.skip("this torch has no oneDNN")
    calls, original = [], torch.ops.mkldnn._linear_pointwise

    def spy(x, *rest):
        calls.append(tuple(x.shape))
        return original(x, *rest)

    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", spy)
    return calls


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 5, 7), (2, 3, 5, 7)])
def test_linear_is_torchs(shape, biased, one_dnn):
    torch.manual_seed(0)
    layer = Linear(7, 4, bias=biased)
    x = torch.randn(shape)
    expected = functional.linear(x, layer.weight, layer.bias)
    assert not one_dnn
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), expected.detach())
    assert one_dnn == [shape]


@torch.inference_mode()
@pytest.mark.parametrize("rows", [0, 5])
def test_linear_takes_any_strides(rows):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(7, 2 * rows)[:, ::2].T, torch.randn(7, 4).T, torch.randn(8)[::2]
    for given in (x, weight, bias), (x, weight, None), (x, weight, bias.clone()):
        torch.testing.assert_close(linear(*given), functional.linear(*given))


def test_training_keeps_its_gradients_and_autocast_its_type(one_dnn):
    layer, x = Linear(7, 4), torch.randn(5, 7)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    with torch.inference_mode():
        assert linear(x.double(), layer.weight.double(), None).dtype == torch.float64
    assert not one_dnn


@torch.inference_mode()
def test_pointwise_convolutions_are_linear_layers_of_the_channels():
    conv = nn.Conv2d(7, 4, 1)
    x = torch.randn(2, 7, 5, 6).contiguous(memory_format=torch.channels_last)
    found = PointwiseConv2d(conv)(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, conv(x))


@pytest.mark.parametrize("other", [{"stride": 2}, {"padding": 1}, {"groups": 2}])
def test_other_convolutions_are_refused(other):
    conv = nn.Conv2d(4, 4, 1, **other)
    assert not is_pointwise(conv)
    with pytest.raises(ValueError, match="no ungrouped 1x1 convolution"):
        PointwiseConv2d(conv)
