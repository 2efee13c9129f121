import math

import pytest
import torch
from torch import nn

from socl_pipeline.transt.attention import Attention, CrossFeature, EgoContext, sine_positions


def attention(width: int = 12, heads: int = 3, dropout: float = 0.0) -> Attention:
    torch.manual_seed(1)
    module = Attention(width, heads, dropout)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.eval()


def slow_attention(m: Attention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor):
    """One query, one head, one key after the other, in float64."""
    width, heads = m.in_proj_weight.shape[1], m.heads
    w, b = m.in_proj_weight.double(), m.in_proj_bias.double()
    parts = [slice(i * width, (i + 1) * width) for i in range(3)]
    q, k, v = (x.double() @ w[p].T + b[p] for x, p in zip((query, key, value), parts, strict=True))
    size = width // heads
    mixed = torch.zeros(*q.shape, dtype=torch.float64)
    for n in range(len(q)):
        for h in range(heads):
            own = slice(h * size, (h + 1) * size)
            for i in range(q.shape[1]):
                scores = [
                    float(q[n, i, own] @ k[n, j, own]) / math.sqrt(size) for j in range(k.shape[1])
                ]
                total = sum(math.exp(s) for s in scores)
                for j, s in enumerate(scores):
                    mixed[n, i, own] += math.exp(s) / total * v[n, j, own]
    return mixed @ m.out_proj.weight.double().T + m.out_proj.bias.double()


@torch.no_grad()
def test_attention_equals_a_slow_loop() -> None:
    module = attention()
    query, key, value = torch.randn(2, 4, 12), torch.randn(2, 5, 12), torch.randn(2, 5, 12)
    wanted = slow_attention(module, query, key, value)
    assert torch.allclose(module(query, key, value).double(), wanted, atol=1e-4)
    wanted = slow_attention(module, query, query, value[:, :4])
    assert torch.allclose(module(query, query, value[:, :4]).double(), wanted, atol=1e-4)


@torch.no_grad()
def test_parameters_are_torchs() -> None:
    module, torchs = attention(), nn.MultiheadAttention(12, 3, batch_first=True).eval()
    torchs.load_state_dict(module.state_dict())
    query, key, value = torch.randn(2, 4, 12), torch.randn(2, 5, 12), torch.randn(2, 5, 12)
    assert torch.allclose(module(query, key, value), torchs(query, key, value)[0], atol=1e-5)


def test_weights_are_dropped_in_training_alone() -> None:
    module, x = attention(dropout=0.5), torch.randn(1, 6, 12)
    assert torch.equal(module(x, x, x), module(x, x, x))
    module.train()
    assert not torch.equal(module(x, x, x), module(x, x, x))


def test_positions_equal_a_slow_loop() -> None:
    cells, width = 5, 12
    found = sine_positions(cells, width).view(cells, cells, width)
    assert found.dtype == torch.float32
    for row in range(cells):
        for column in range(cells):
            for half, place in enumerate((row, column)):
                for channel in range(6):
                    wavelength = 10000 ** (2 * (channel // 2) / 6)
                    angle = 2 * math.pi * (place + 1) / cells / wavelength
                    wanted = math.cos(angle) if channel % 2 else math.sin(angle)
                    code = float(found[row, column, 6 * half + channel])
                    assert code == pytest.approx(wanted, abs=1e-6)


def test_positions_tell_all_cells_apart() -> None:
    codes = sine_positions(32, 256)
    assert codes.shape == (1024, 256)
    assert torch.pdist(codes).min() > 0.1


class Recorded(nn.Module):
    """In the place of an attention: notes what it is given, and returns zeros."""

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        self.given = given
        return torch.zeros_like(given[0])


def test_positions_go_to_queries_and_keys_alone() -> None:
    ego, cross = EgoContext(8, 2, 0.0).eval(), CrossFeature(8, 2, 16, 0.0).eval()
    ego.attention = cross.attention = record = Recorded()  # type: ignore[assignment]
    a, b, at, bt = (torch.randn(1, n, 8) for n in (4, 9, 4, 9))
    ego(a, at)
    assert all(map(torch.equal, record.given, (a + at, a + at, a)))
    cross(a, at, b, bt)
    assert all(map(torch.equal, record.given, (a + at, b + bt, b)))


@torch.no_grad()
def test_norms_follow_the_sums() -> None:
    ego, cross = EgoContext(8, 2, 0.0).eval(), CrossFeature(8, 2, 16, 0.0).eval()
    ego.attention = cross.attention = Recorded()  # type: ignore[assignment]
    a, zeros = torch.randn(1, 4, 8), torch.zeros(4, 8)
    normed = nn.functional.layer_norm(a, (8,))
    assert torch.allclose(ego(a, zeros), normed, atol=1e-6)
    hidden = torch.relu(normed @ cross.linear1.weight.T + cross.linear1.bias)
    summed = normed + hidden @ cross.linear2.weight.T + cross.linear2.bias
    wanted = nn.functional.layer_norm(summed, (8,))
    assert torch.allclose(cross(a, zeros, a, zeros), wanted, atol=1e-5)
