"""The attention of TransT: within one patch, and from one patch to the other.

Positions are added to queries and keys, never to values, at every attention; each residual sum
is followed by its layer norm (DETR's order).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from socl_pipeline.models.onednn import Linear, linear

POSITION_TEMPERATURE = 1e4  # DETR


def sine_positions(cells: int, width: int) -> Tensor:
    """Return the position codes (cells * cells, width) of a square grid, row by row; float32.

    The first half of the channels codes the row, the second the column. A row's place is
    2 pi (row + 1) / cells (DETR's, normalised); channels 2j and 2j + 1 of a half are its sine and
    cosine, divided by 10000^(2j / half).
    """
    half = width // 2
    wavelengths = POSITION_TEMPERATURE ** (2 * torch.arange(half // 2, dtype=torch.float64) / half)
    places = 2 * math.pi * torch.arange(1, cells + 1, dtype=torch.float64) / cells
    angles = places[:, None] / wavelengths
    codes = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
    rows, columns = codes[:, None], codes[None]
    grid = torch.cat([rows.expand(-1, cells, -1), columns.expand(cells, -1, -1)], dim=2)
    return grid.flatten(0, 1).float()


class Attention(nn.Module):
    """Multi-head attention; parameters are named and packed as `nn.MultiheadAttention` has them."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout  # of the attention weights
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = Linear(width, width)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return, for query (N, Q, C), the mix (N, Q, C) of value (N, K, C) at key (N, K, C)."""
        q, k = self._queries_and_keys(query, key)
        v = linear(value, *self._part(2, 3))
        mixed = functional.scaled_dot_product_attention(
            self._split(q),
            self._split(k),
            self._split(v),
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return joined

    def _queries_and_keys(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        if query is key:  # one product instead of two
            q, k = linear(query, *self._part(0, 2)).chunk(2, dim=-1)
            return q, k
        return linear(query, *self._part(0, 1)), linear(key, *self._part(1, 2))

    def _part(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        width = self.in_proj_weight.shape[1]
        rows = slice(first * width, last * width)
        return self.in_proj_weight[rows], self.in_proj_bias[rows]

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class EgoContext(nn.Module):
    """Ego-context augment (ECA): attention within one patch, without a feed-forward network."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Return tokens (N, K, C) that have seen each other; positions (K, C)."""
        placed = tokens + positions
        mixed = self.attention(placed, placed, tokens)
        result: Tensor = self.norm(tokens + self.dropout(mixed))
        return result


class CrossFeature(nn.Module):
    """Cross-feature augment (CFA): attention to the other patch, then a feed-forward network."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.dropout1 = nn.Dropout(dropout)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = Linear(width, feedforward)
        self.dropout = nn.Dropout(dropout)
        self.linear2 = Linear(feedforward, width)
        self.dropout2 = nn.Dropout(dropout)
        self.norm2 = nn.LayerNorm(width)

    def forward(
        self, tokens: Tensor, positions: Tensor, others: Tensor, other_positions: Tensor
    ) -> Tensor:
        """Return tokens (N, Q, C) that have seen `others` (N, K, C); positions (Q, C), (K, C)."""
        mixed = self.attention(tokens + positions, others + other_positions, others)
        tokens = self.norm1(tokens + self.dropout1(mixed))
        hidden = self.dropout(functional.relu(self.linear1(tokens), inplace=True))
        result: Tensor = self.norm2(tokens + self.dropout2(self.linear2(hidden)))
        return result
