"""From a model's settings to what is trained: its backbone, its loss, and how it is judged."""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from socl_pipeline.box_siam.objective import BoxObjective
from socl_pipeline.models import Backbone, build_backbone
from socl_pipeline.models.pretrained import fill_pretrained, load_pretrained
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.settings import (
    AnyModelSettings,
    BceModelSettings,
    ModelSettings,
    SoclModelSettings,
    TransTModelSettings,
)
from socl_pipeline.socl.objective import SoclObjective
from socl_pipeline.socl.prior import CellGrid, feature_grid
from socl_pipeline.training.network import Network, PairNetwork, projection_head
from socl_pipeline.training.objective import Objective
from socl_pipeline.training.validation import ClickValidation, Searching, Validation, draw_pairs
from socl_pipeline.transt.checkpoint import build_network as build_transt
from socl_pipeline.transt.network import TransT, TransTShape
from socl_pipeline.transt.objective import TransTObjective
from socl_pipeline.transt.trunk import TRUNK_ORIGINS
from socl_pipeline.transt.validation import BoxValidation

MOST_TARGET = 0.5  # of the grid: a target that fills a small window leaves no background


def target_share(target_px: float, grid: CellGrid) -> float:
    """Return the share of the feature grid that a square target of so many pixels has."""
    return min(MOST_TARGET, (target_px / (grid.step * grid.cells)) ** 2)


def clip_share(settings: SoclModelSettings, grid: CellGrid, patches: PatchSet) -> float:
    """Return the clip share of the TOP maps: the settings', or that of the median TOP extent."""
    if settings.top_clip != "auto":
        return settings.top_clip
    return target_share(float(np.median(patches.extents)), grid)


def starting_backbone(settings: ModelSettings) -> Backbone | TransT:
    """Return what training starts from and what is saved, on the CPU; a TransT is all of it."""
    if isinstance(settings, TransTModelSettings):
        shape = TransTShape(**settings.shape.model_dump())
        network = build_transt(settings.backbone, shape, settings.seed)
        if settings.weights is not None:
            fill_pretrained(network.trunk, settings.weights, TRUNK_ORIGINS[settings.backbone])
        return network
    backbone = build_backbone(settings.backbone, settings.seed)
    if settings.weights is not None:
        load_pretrained(backbone, settings.weights)
    return backbone


def build_network(settings: AnyModelSettings, backbone: Backbone | TransT) -> Network | PairNetwork:
    """Return the network around a backbone that the settings ask for."""
    if isinstance(backbone, TransT):
        return PairNetwork(backbone, settings.precision)
    wanted = isinstance(settings, SoclModelSettings) and settings.projection_head
    head = projection_head(backbone.channels, settings.seed) if wanted else None
    return Network(backbone, head, settings.precision)


def build_objective(
    settings: AnyModelSettings, backbone: Backbone | TransT, patches: PatchSet
) -> SoclObjective | BoxObjective | TransTObjective:
    """Return the loss of a model."""
    if isinstance(settings, TransTModelSettings):
        return TransTObjective(settings, patches.size)
    assert isinstance(backbone, Backbone)
    if isinstance(settings, BceModelSettings):
        return BoxObjective(settings, backbone, patches.size)
    grid = feature_grid(backbone.eval(), settings.window)
    return SoclObjective(settings, grid, clip_share(settings, grid, patches), patches.size)


def build_validation(
    settings: AnyModelSettings,
    objective: Objective,
    patches: PatchSet,
    held_out: list[str],
    device: torch.device,
) -> Validation:
    """Return how a model is judged on held-out videos."""
    if isinstance(objective, TransTObjective):
        return BoxValidation(objective, patches, held_out, device, settings.precision)
    cosine = getattr(settings, "similarity", "cosine") == "cosine"
    pairs = draw_pairs(patches, held_out, settings.max_gap, settings.seed)
    return ClickValidation(pairs, Searching(device, settings.precision, cosine))


def top_rendering(objective: Objective) -> dict[str, Any] | None:
    """Return what makes the TOP maps of a model; only together do these numbers mean much.

    The region is the training window, of `window_px` in a patch of `patch_px`, as augmented;
    cell i of the grid spans start + step * [i, i + 1] in window pixels. None: it has no maps.
    """
    if not isinstance(objective, SoclObjective):
        return None
    settings = objective.settings
    return {
        "clip": objective.clip,
        "gain": settings.top_gain,
        "region": {"window_px": settings.window, "patch_px": objective.patch_size},
        "grid": asdict(objective.grid),
    }
