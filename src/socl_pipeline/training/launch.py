"""Start training in this process, or in one for each GPU (what torchrun does)."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from socl_pipeline.errors import InputError
from socl_pipeline.models.device import choose_device
from socl_pipeline.pipeline.progress import logging_to
from socl_pipeline.settings import ModelSettings
from socl_pipeline.training.ranks import Ranks

logger = logging.getLogger(__name__)

T = TypeVar("T")
MENDED = "the checkpoint is kept; mend it and run the same command again"


def process_count(settings: ModelSettings) -> int:
    """Return how many processes train: as many as asked for, or one for each visible GPU.

    Raises InputError if more are asked for than there are GPUs.
    """
    if choose_device(settings.device).type != "cuda":
        return 1 if settings.processes == "auto" else settings.processes
    visible = torch.cuda.device_count()
    if settings.processes == "auto":
        return min(visible, settings.videos_per_batch)
    if settings.processes > visible:
        raise InputError(
            f"processes: {settings.processes}, but torch sees {visible} GPUs; lower it"
        )
    return settings.processes


def launch(
    function: Callable[[T, torch.device, Ranks], dict[str, Any]], task: T, wanted: str, count: int
) -> dict[str, Any]:
    """Return what `function` returns on the leading rank of `count` processes.

    Raises InputError with the process's own sentence, or one about how it ended.
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
        local_addr="localhost",  # the machine's own name need not resolve
        max_restarts=0,  # the pipeline starts the stage again, from the checkpoint
        start_method="spawn",
    )
    # its own account of a failure is a page long; what a user needs of it is said below
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        results = elastic_launch(config, _work)(function, task, wanted, _log_file())
    except ChildFailedError as error:
        raise _sentence(error, count) from None
    except SignalException as error:
        raise KeyboardInterrupt(str(error)) from None
    return results[0]


def _sentence(error: ChildFailedError, count: int) -> InputError:
    """Return what a user should read about the process that failed first."""
    rank, failure = error.get_first_failure()
    if failure.exitcode < 0:
        said = f"was ended by {signal.Signals(-failure.exitcode).name}"
    else:
        said = f"ended with {failure.exitcode}"
        report = failure.error_file_data["message"]  # torch's: a mapping if an exception ended it
        if isinstance(report, dict):
            said = f"ended: {report['message']}"
            name, _, sentence = report["message"].partition(": ")
            if name == InputError.__name__:
                return InputError(sentence)
            logger.error("%s", report["extraInfo"]["py_callstack"])
    return InputError(f"training process {rank} of {count} {said}; {MENDED}")


def _work(
    function: Callable[[T, torch.device, Ranks], dict[str, Any]],
    task: T,
    wanted: str,
    log: Path | None,
) -> dict[str, Any]:
    """Be one of several processes; torchrun's environment says which."""
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    device = choose_device(wanted)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    with logging_to(log if ranks.leads else None, append=True):
        result = function(task, device, ranks)
    # only after success: a rank that fails would wait here for others that wait for it
    dist.destroy_process_group()
    return result


def _log_file() -> Path | None:
    """Return the file that this process logs to."""
    for handler in logging.getLogger("socl_pipeline").handlers:
        if isinstance(handler, logging.FileHandler):
            return Path(handler.baseFilename)
    return None
