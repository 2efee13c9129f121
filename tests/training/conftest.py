"""Tiny patches and trainers on them."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from socl_pipeline.settings import (
    BceModelSettings,
    SoclModelSettings,
    TransTModelSettings,
)
from socl_pipeline.training import validation
from socl_pipeline.training.trainer import Trainer

SIZE = 160
TINY = {
    "window": 127,
    "videos_per_batch": 5,
    "epochs": 3,
    "lr": 1e-3,
    "validation_videos": 0,
    "validate_every": 1,
    "checkpoint_minutes": 0,
    "augment": {"shift_px": 8},
    "precision": "float32",
    "device": "cpu",
}


KINDS = {"socl": SoclModelSettings, "bce": BceModelSettings, "transt": TransTModelSettings}


@pytest.fixture
def tiny_transt():
    """Changes over TINY: a TransT of one layer, with dropout, on windows of 64 px."""
    return {
        "kind": "transt",
        "backbone": "squeezenet1_1",
        "template": 32,
        "window": 64,
        "shape": {"width": 32, "heads": 2, "layers": 1, "feedforward": 32},
        "augment": {},
    }


@pytest.fixture(autouse=True)
def few_validation_pairs(monkeypatch):
    monkeypatch.setattr(validation, "PAIRS_PER_VIDEO", 1)


@pytest.fixture
def importable(monkeypatch):
    """Let processes that are started find the functions of this test file."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


@pytest.fixture
def writer():
    """Stands for TensorBoard's."""
    return SimpleNamespace(add_scalar=lambda *args: None)


@pytest.fixture
def patches(make_patches, textured):
    """Five videos of three frames; each has its own texture in the middle, others around."""
    videos = {}
    for v in range(5):
        target = textured(v, 32, 32)
        videos[f"video{v}"] = []
        for frame in range(3):
            image = textured(100 + 10 * v + frame, SIZE, SIZE, cells=12) // 2 + 40
            image[64:96, 64:96] = target
            videos[f"video{v}"].append(image)
    return make_patches(videos, target=32)


@pytest.fixture
def trainer(patches, tmp_path):
    """A function that makes a trainer below tmp_path; changes are over TINY."""

    def make(folder="run", **changes):
        (tmp_path / folder).mkdir(exist_ok=True)
        settings = KINDS[changes.get("kind", "socl")].model_validate(TINY | changes)
        return Trainer(settings, patches, tmp_path / folder, torch.device("cpu"))

    return make
