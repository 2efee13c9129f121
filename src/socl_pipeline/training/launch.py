"""Start training in this process, or in one for each GPU (what torchrun does)."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from socl_pipeline.errors import InputError
from socl_pipeline.models.device import choose_device
from socl_pipeline.pipeline.progress import logging_to
from socl_pipeline.settings import ModelSettings
from socl_pipeline.training.ranks import Ranks

T = TypeVar("T")


def process_count(settings: ModelSettings) -> int:
    """Return how many processes train: as many as asked for, or one for each visible GPU."""
    if settings.processes != "auto":
        return settings.processes
    on_gpus = choose_device(settings.device).type == "cuda"
    return torch.cuda.device_count() if on_gpus else 1


def launch(
    function: Callable[[T, torch.device, Ranks], dict[str, Any]], task: T, wanted: str, count: int
) -> dict[str, Any]:
    """Return what `function` returns on the leading rank of `count` processes.

    Raises InputError if one of several processes fails; the checkpoint is kept.
    """
    if count == 1:
        return function(task, choose_device(wanted), Ranks())
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,  # the pipeline starts the stage again, from the checkpoint
        start_method="spawn",
    )
    try:
        results: dict[int, dict[str, Any]] = elastic_launch(config, _work)(function, task, wanted)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise InputError(
            f"training process {rank} of {count} ended with {failure.exitcode}; its own message "
            "is above, the checkpoint is kept: mend it and run the same command again"
        ) from None
    return results[0]


def _work(
    function: Callable[[T, torch.device, Ranks], dict[str, Any]], task: T, wanted: str
) -> dict[str, Any]:
    """Be one of several processes; torchrun's environment says which."""
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    device = choose_device(wanted)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        with logging_to(None):
            return function(task, device, ranks)
    finally:
        dist.destroy_process_group()
