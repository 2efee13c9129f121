"""TransT's network: tokens of template and search patch, fused by attention, and two heads.

With the full shape and ResNet-50 it has 23.016 M parameters, as the published one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from socl_pipeline.models.onednn import Linear
from socl_pipeline.transt.attention import CrossFeature, EgoContext, sine_positions

STRIDE = 8  # px of a patch from one token to the next


@dataclass(frozen=True)
class TransTShape:
    """The size of the fusion network; the defaults are the published ones.

    width: channels of a token, a multiple of 4 and of `heads`. layers: of ECA and CFA.
    feedforward: hidden units of a CFA. dropout: probability, while training.
    """

    width: int = 256
    heads: int = 8
    layers: int = 4
    feedforward: int = 2048
    dropout: float = 0.1


class FusionLayer(nn.Module):
    """One layer of feature fusion: each patch sees itself, then what the other made of itself."""

    def __init__(self, shape: TransTShape) -> None:
        super().__init__()
        ego = (shape.width, shape.heads, shape.dropout)
        cross = (shape.width, shape.heads, shape.feedforward, shape.dropout)
        self.template_ego = EgoContext(*ego)
        self.search_ego = EgoContext(*ego)
        self.template_cross = CrossFeature(*cross)
        self.search_cross = CrossFeature(*cross)

    def forward(
        self, template: Tensor, template_places: Tensor, search: Tensor, search_places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return both branches' tokens (N, K, C), (N, M, C) after this layer."""
        template = self.template_ego(template, template_places)
        return self.after_template_ego(template, template_places, search, search_places)

    def after_template_ego(
        self, template: Tensor, template_places: Tensor, search: Tensor, search_places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the same, given a template that has seen itself already."""
        search = self.search_ego(search, search_places)
        return (
            self.template_cross(template, template_places, search, search_places),
            self.search_cross(search, search_places, template, template_places),
        )


class TransT(nn.Module):
    """Boxes of the template's object in a search patch, one for each of its tokens.

    Patches are raw RGB, floats from 0 to 255, with sides that are multiples of 8 px.
    """

    def __init__(self, trunk: nn.Module, trunk_channels: int, shape: TransTShape) -> None:
        """Put the fusion network onto a trunk (`transt.trunk`).

        trunk: (N, 3, H, W) raw RGB to (N, trunk_channels, H / 8, W / 8). Weights are drawn from
        torch's global generator: Xavier-uniform in the fusion network, torch's defaults elsewhere.
        """
        super().__init__()
        if shape.width % 4 or shape.width % shape.heads:
            raise ValueError(f"width must be a multiple of 4 and of heads, not {shape.width}")
        self.shape = shape
        self.trunk = trunk
        self.reduce = nn.Conv2d(trunk_channels, shape.width, 1)
        self.layers = nn.ModuleList(FusionLayer(shape) for _ in range(shape.layers))
        self.decoder = CrossFeature(shape.width, shape.heads, shape.feedforward, shape.dropout)
        self.norm = nn.LayerNorm(shape.width)
        for parameter in (*self.layers.parameters(), *self.decoder.parameters()):
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        self.class_head = _perceptron(shape.width, 2)
        self.box_head = _perceptron(shape.width, 4)
        self._positions: dict[tuple[int, torch.device], Tensor] = {}

    def forward(self, template: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N, M, 2) and boxes (N, M, 4), M = (S / 8)^2 tokens row by row.

        template: (N, 3, T, T). search: (N, 3, S, S). Logits: target, background. Boxes: cx, cy,
        w, h as shares of the search side, within (0, 1).
        """
        return self.match(self.remember(self.encode(template)), self.encode(search))

    def encode(self, images: Tensor) -> Tensor:
        """Return the tokens (N, M, width) of square patches (N, 3, S, S)."""
        features: Tensor = self.reduce(self.trunk(images))
        if features.shape[-1] * STRIDE != images.shape[-1]:
            raise ValueError(f"the trunk makes {tuple(features.shape)} of {tuple(images.shape)}")
        return features.flatten(2).transpose(1, 2)

    def remember(self, template: Tensor) -> Tensor:
        """Return what `match` needs of template tokens (N, K, width): all that needs no search.

        That is the first layer's self-attention; from there on the branches depend on each other.
        """
        if not self.layers:
            return template
        seen: Tensor = self.layers[0].template_ego(template, self.positions(template))  # type: ignore[operator]
        return seen

    def match(self, remembered: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and boxes, as `forward`, of a remembered template and search tokens."""
        fused = self.fuse(remembered, search)
        return self.class_head(fused), shares(self.box_head(fused))

    def fuse(self, remembered: Tensor, search: Tensor) -> Tensor:
        """Return search tokens (N, M, width) that know the template: what both heads look at."""
        template, places = remembered, (self.positions(remembered), self.positions(search))
        for index, layer in enumerate(self.layers):
            step = layer if index else layer.after_template_ego
            template, search = step(template, places[0], search, places[1])  # type: ignore[operator]
        fused: Tensor = self.norm(self.decoder(search, places[1], template, places[0]))
        return fused

    def positions(self, tokens: Tensor) -> Tensor:
        """Return the position codes (M, width) of tokens (N, M, width) of a square patch."""
        key = (tokens.shape[1], tokens.device)
        if key not in self._positions:
            cells = math.isqrt(tokens.shape[1])
            codes = sine_positions(cells, self.shape.width)
            self._positions[key] = codes.to(tokens.device)
        return self._positions[key]


def shares(box_logits: Tensor) -> Tensor:
    """Return what the box head says, of any shape, as shares of the search side, within (0, 1).

    In float32 at least: bfloat16 has eight bits, which would put centres on a grid of a whole pixel
    of a 256 px patch, though near the middle its logits tell them apart by hundredths.
    """
    exact = torch.promote_types(box_logits.dtype, torch.float32)
    return box_logits.to(exact).sigmoid()


def _perceptron(width: int, outputs: int) -> nn.Sequential:
    """Return three linear layers with ReLU in between, as published."""
    return nn.Sequential(
        Linear(width, width),
        nn.ReLU(inplace=True),
        Linear(width, width),
        nn.ReLU(inplace=True),
        Linear(width, outputs),
    )
