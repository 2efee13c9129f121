"""Processes of one training run."""

import pytest
import torch
import torch.distributed as dist

from socl_pipeline.errors import InputError
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.training.launch import launch, process_count


def add_ranks(task, device, ranks):
    total = torch.tensor([task + ranks.rank])
    dist.all_reduce(total)
    return {"rank": ranks.rank, "sum": int(total), "device": device.type}


def fail(task, device, ranks):
    raise RuntimeError("no")


def here(task, device, ranks):
    return {"task": task, "world": ranks.world}


def test_processes_work_together(importable):
    assert launch(add_ranks, 10, "cpu", 2) == {"rank": 0, "sum": 21, "device": "cpu"}


def test_a_process_that_fails_is_one_sentence(importable):
    with pytest.raises(InputError, match=r"training process \d of 2 ended with 1; its own message"):
        launch(fail, 0, "cpu", 2)


def test_one_process_is_this_one():
    assert launch(here, "x", "cpu", 1) == {"task": "x", "world": 1}


def test_how_many(monkeypatch):
    assert process_count(SoclModelSettings(device="cpu")) == 1
    assert process_count(SoclModelSettings(device="cpu", processes=3)) == 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert process_count(SoclModelSettings()) == 4
