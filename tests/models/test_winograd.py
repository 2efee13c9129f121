import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from socl_pipeline.models.winograd import WinogradConv2d, fits


@given(
    height=st.integers(1, 19),
    width=st.integers(1, 19),
    dilation=st.integers(1, 3),
    images=st.integers(1, 2),
    biased=st.booleans(),
)
def test_computes_what_the_convolution_does(height, width, dilation, images, biased):
    torch.manual_seed(height * width)
    conv = nn.Conv2d(3, 5, 3, padding=dilation, dilation=dilation, bias=biased)
    x = torch.randn(images, 3, height, width).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected, found = conv(x), WinogradConv2d(conv)(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@torch.inference_mode()
def test_rounds_as_little_as_documented():
    torch.manual_seed(0)
    conv = nn.Conv2d(256, 256, 3, padding=1)
    x = torch.randn(1, 256, 32, 32).relu_().contiguous(memory_format=torch.channels_last)
    fast, direct = WinogradConv2d(conv)(x), conv(x)
    exact = conv.double()(x.double())
    assert (fast - exact).abs().max() < 10 * (direct - exact).abs().max()


@pytest.mark.parametrize(
    "other",
    [
        {"stride": 2, "padding": 1},
        {"padding": 0},
        {"padding": 1, "dilation": 2},
        {"padding": 1, "groups": 2},
        {"padding": 1, "padding_mode": "reflect"},
        {"padding": (1, 2), "dilation": (1, 2)},
        {"kernel_size": 5, "padding": 1},
    ],
)
def test_refuses_other_convolutions(other):
    conv = nn.Conv2d(4, 4, **({"kernel_size": 3} | other))
    assert not fits(conv)
    with pytest.raises(ValueError, match="no ungrouped 3x3 convolution"):
        WinogradConv2d(conv)
