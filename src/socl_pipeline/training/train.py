"""Stage `train`: learn a backbone, or a whole TransT, from packed patches.

The artifact is a folder: `weights.safetensors` (the weights that localised held-out clicks, or
fitted held-out boxes, best; the last ones if nothing is held out), `config.json` (the model's
settings, and how its TOP maps were rendered from the kept boxes), `metrics.parquet` (one row a
step), `validation.parquet` (one row a validation) and `tensorboard/`.
"""

import json
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.tensorboard import SummaryWriter

from socl_pipeline.models import save_weights
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.pipeline.artifact import (
    atomic_path,
    canonical_json,
    scratch_folder,
    write_atomic,
)
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.settings import AnyModelSettings, TransTModelSettings
from socl_pipeline.training.build import top_rendering
from socl_pipeline.training.launch import launch, process_count
from socl_pipeline.training.ranks import Ranks
from socl_pipeline.training.trainer import Trainer
from socl_pipeline.transt.checkpoint import metadata as transt_metadata
from socl_pipeline.transt.geometry import require_context
from socl_pipeline.transt.network import TransTShape

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A training run: what every process of it is told."""

    settings: AnyModelSettings
    patches: Path
    folder: Path
    threads: int
    metadata: Mapping[str, str]


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Train a model; returns what it was trained on and how it ended."""
    settings = job.config.model(job.names["model"])
    if isinstance(settings, TransTModelSettings):
        require_context(settings, job.input_summary("patches").recipe.params["context"])
    path.mkdir(parents=True, exist_ok=True)
    threads = max(1, min(job.workers or 1, os.cpu_count() or 1))
    task = Task(settings, job.input("patches").resolve(), path, threads, job.recipe.metadata())
    return launch(train, task, settings.device, process_count(settings))


def train(task: Task, device: torch.device, ranks: Ranks) -> dict[str, Any]:
    """Train on one rank; the leading one writes, and returns what is worth knowing."""
    torch.set_num_threads(max(1, task.threads // ranks.world))
    torch.backends.cudnn.deterministic = True  # a resumed run repeats an undisturbed one
    patches = PatchSet(task.patches)
    trainer = Trainer(task.settings, patches, scratch_folder(task.folder), device, ranks)
    total = task.settings.epochs * trainer.steps_per_epoch
    done = trainer.steps_done
    with ExitStack() as stack:
        writer = None
        if ranks.leads:
            logger.info(
                "training on %d videos, %d held out, %s%s%s",
                len(trainer.train_videos),
                len(trainer.held_out),
                device.type,
                f" x {ranks.world}" if ranks.world > 1 else "",
                f", TOP clip {maps['clip']:.2f}"
                if (maps := top_rendering(trainer.objective))
                else "",
            )
            board = SummaryWriter(str(task.folder / "tensorboard"), purge_step=done)
            writer = stack.enter_context(board)
        progress = stack.enter_context(
            Progress("train", total, "steps", done, quiet=not ranks.leads)
        )
        trainer.run(progress, writer)
    if ranks.leads:
        _write(task, trainer)
    return _statistics(trainer)


def _write(task: Task, trainer: Trainer) -> None:
    settings, folder = task.settings, task.folder
    used = {"model": settings.model_dump(mode="json")}
    if maps := top_rendering(trainer.objective):
        used["top_maps"] = maps
    write_atomic(folder / "config.json", json.dumps(used, indent=1) + "\n")
    trainer.history.write(folder / "metrics.parquet")
    with atomic_path(folder / "validation.parquet") as temporary:
        pq.write_table(pa.Table.from_pylist(trainer.state.validation), temporary)
    metadata = {"model": canonical_json(settings.model_dump())} | _network_metadata(settings)
    save_weights(
        trainer.best_backbone(), folder / "weights.safetensors", metadata | dict(task.metadata)
    )


def _network_metadata(settings: AnyModelSettings) -> dict[str, str]:
    """Return what a tracker builds the network from."""
    if isinstance(settings, TransTModelSettings):
        shape = TransTShape(**settings.shape.model_dump())
        return transt_metadata(settings.backbone, shape, settings.template, settings.window)
    return {"backbone": settings.backbone}


def _statistics(trainer: Trainer) -> dict[str, Any]:
    return {
        "train_videos": len(trainer.train_videos),
        "held_out_videos": trainer.held_out,
        "steps": len(trainer.history),
        "final_loss": trainer.history.column("loss")[-1],
        "top_clip": maps["clip"] if (maps := top_rendering(trainer.objective)) else None,
        "best": json.loads(canonical_json(trainer.state.best)),
        "parameters": sum(p.numel() for p in trainer.backbone.parameters()),
    }
