"""Processes of one training run."""

import os
import signal

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
    if ranks.rank == task:
        raise RuntimeError("no")
    dist.barrier()  # the other one waits, for ever


def refuse(task, device, ranks):
    raise InputError("a.txt: expected b; write it")


def leave(task, device, ranks):
    os._exit(3)


def be_killed(task, device, ranks):
    os.kill(os.getpid(), signal.SIGKILL)


def here(task, device, ranks):
    return {"task": task, "world": ranks.world}


def test_processes_work_together(importable):
    assert launch(add_ranks, 10, "cpu", 2) == {"rank": 0, "sum": 21, "device": "cpu"}


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (fail, r"^training process 0 of 2 ended: RuntimeError: no; the checkpoint is kept"),
        (refuse, r"^a.txt: expected b; write it$"),
        (leave, r"^training process \d of 2 ended with 3; the checkpoint is kept"),
        (be_killed, r"^training process \d of 2 was ended by SIGKILL; the checkpoint is kept"),
    ],
)
def test_a_process_that_fails_is_one_sentence(importable, function, sentence):
    with pytest.raises(InputError, match=sentence):
        launch(function, 0, "cpu", 2)


def test_one_process_is_this_one():
    assert launch(here, "x", "cpu", 1) == {"task": "x", "world": 1}


def test_how_many(monkeypatch):
    assert process_count(SoclModelSettings(device="cpu")) == 1
    assert process_count(SoclModelSettings(device="cpu", processes=3)) == 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert process_count(SoclModelSettings()) == 4
    assert process_count(SoclModelSettings(videos_per_batch=3)) == 3
    with pytest.raises(InputError, match="processes: 5, but torch sees 4 GPUs; lower it"):
        process_count(SoclModelSettings(processes=5))
