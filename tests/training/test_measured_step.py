"""Benchmarks measure the step that the trainer makes."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from socl_pipeline.patches.loader import load_batch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("changes", [{}, {"precision": "bf16"}, {"sns": False, "mixup": False}])
def test_the_step_of_benchmarks_is_the_trainers(
    trainer, patches, progress, writer, monkeypatch, changes
):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("train_step")
    run = trainer(top_clip=module.CLIP, epochs=1, **changes)
    step = module.TrainStep(run.settings, patches.size, torch.device("cpu"))
    untrained = {k: v.clone() for k, v in run.network.state_dict().items()}
    (rows,) = run._batches(0)
    run.run(progress, writer)
    step.rng = np.random.default_rng([run.settings.seed, 0, 0])
    step(load_batch(patches, rows))
    trained, measured = run.network.state_dict(), step.network.state_dict()
    assert all(torch.equal(value, measured[name]) for name, value in trained.items())
    assert any((value != untrained[name]).any() for name, value in trained.items())
    assert type(step.optimizer) is type(run.optimizer)
    assert step.optimizer.defaults == run.optimizer.defaults
