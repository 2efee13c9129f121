"""Stage `train`: learn a backbone from packed patches with the SoCL loss.

The artifact is a folder: `weights.safetensors` (the weights that localised held-out clicks best;
the last ones if nothing is held out), `config.json` (the model's settings, and how its TOP maps
were rendered from the kept boxes), `metrics.parquet` (one row a step), `validation.parquet` (one
row a validation) and `tensorboard/`.
"""

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from socl_pipeline.errors import InputError
from socl_pipeline.models import build_backbone, load_pretrained, save_weights
from socl_pipeline.models.device import choose_device
from socl_pipeline.patches.augment import boxes_in_windows, cut_windows, draw_windows, jitter_colour
from socl_pipeline.patches.loader import PatchBatch, decoded_ahead, draw_pair, epoch_batches
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.pipeline.artifact import (
    atomic_path,
    canonical_json,
    scratch_folder,
    write_atomic,
)
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pipeline.stages import Job
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.socl.loss import SoclOptions, socl_loss
from socl_pipeline.socl.prior import CellGrid, feature_grid, score_maps, top_probability
from socl_pipeline.socl.samples import background_selection
from socl_pipeline.training.validation import draw_pairs, localisation

logger = logging.getLogger(__name__)

PROJECTION_CHANNELS = 64  # supplement J
COVERAGE_STEPS = 20  # enough to judge it, and early enough to stop a wrong run
LOW_COVERAGE = 0.6  # below this the soft negatives hold much of the target itself
MIN_TRAIN_VIDEOS = 2


def projection_head(channels: int, seed: int) -> nn.Module:
    """Return the projection head of supplement J: C -> C -> 64 perceptrons as 1x1 convolutions."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, PROJECTION_CHANNELS, 1),
        )


def split_videos(videos: list[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Return the videos to train on and those held out: a share, rounded, drawn by seed."""
    count = min(round(share * len(videos)), len(videos) - MIN_TRAIN_VIDEOS)
    drawn = set(np.random.default_rng(seed).permutation(len(videos))[: max(count, 0)].tolist())
    held_out = [v for i, v in enumerate(videos) if i in drawn]
    return [v for i, v in enumerate(videos) if i not in drawn], held_out


def target_share(target_px: float, grid: CellGrid) -> float:
    """Return the share of the feature grid that a square target of so many pixels has.

    At most one half: a target that fills a small window leaves no background to learn from.
    """
    return min(0.5, (target_px / (grid.step * grid.cells)) ** 2)


@dataclass
class _State:
    """What a checkpoint holds besides the weights: how far the run is and what it has seen."""

    epoch: int = 0
    metrics: list[dict[str, float]] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    best_error_px: float = math.inf


class Trainer:
    """One training run; `work` is where its checkpoint lies."""

    def __init__(self, settings: SoclModelSettings, patches: PatchSet, work: Path) -> None:
        """Build the network and go on from the checkpoint in `work`, if there is one."""
        self.settings, self.patches = settings, patches
        self.device = choose_device(settings.device)
        self.train_videos, self.held_out = split_videos(
            sorted(patches.videos), settings.validation_videos, settings.seed
        )
        if len(self.train_videos) < MIN_TRAIN_VIDEOS:
            raise InputError(
                f"the contrastive loss needs {MIN_TRAIN_VIDEOS} videos, the patches have "
                f"{len(patches.videos)}"
            )
        backbone = build_backbone(settings.backbone, settings.seed)
        if settings.weights is not None:
            load_pretrained(backbone, settings.weights)
        self.grid = feature_grid(backbone.eval(), settings.window)
        self.network = nn.ModuleDict({"backbone": backbone})
        if settings.projection_head:
            self.network["head"] = projection_head(backbone.channels, settings.seed)
        self.network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        self.options = SoclOptions(
            **{name: getattr(settings, name) for name in SoclOptions.__dataclass_fields__}
        )
        target_px = float(np.median(patches.extents))
        self.clip = (
            target_share(target_px, self.grid) if settings.top_clip == "auto" else settings.top_clip
        )
        self.checkpoint = work / "checkpoint.pt"
        self.best: dict[str, Tensor] = {}
        self.state = _State()
        self._resume()

    @property
    def backbone(self) -> Any:
        """The feature extractor that is being trained."""
        return self.network["backbone"]

    @property
    def top_rendering(self) -> dict[str, Any]:
        """What made the TOP maps that were trained on; only together do these numbers mean much.

        The region is the training window, of `window_px` in a patch of `patch_px`, as augmented;
        cell i of the grid spans start + step * [i, i + 1] in window pixels.
        """
        return {
            "clip": self.clip,
            "gain": self.settings.top_gain,
            "region": {"window_px": self.settings.window, "patch_px": self.patches.size},
            "grid": asdict(self.grid),
        }

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch."""
        return len(self.train_videos) // min(self.settings.videos_per_batch, len(self.train_videos))

    def learning_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch: cut by 10 at each decay epoch."""
        return self.settings.lr * 0.1 ** sum(epoch >= e for e in self.settings.lr_decay_epochs)

    def run(self, progress: Progress, writer: SummaryWriter) -> None:
        """Train to the last epoch, with checkpoints by time and validations by epoch."""
        settings = self.settings
        pairs = (
            draw_pairs(self.patches, self.held_out, settings.max_gap, settings.seed)
            if self.held_out
            else None
        )
        if pairs is not None and not self.state.validation:
            self._validate(pairs, writer)
        saved = time.monotonic()
        while self.state.epoch < settings.epochs:
            self._epoch(progress, writer)
            self.state.epoch += 1
            last = self.state.epoch == settings.epochs
            if pairs is not None and (last or self.state.epoch % settings.validate_every == 0):
                self._validate(pairs, writer)
            if time.monotonic() - saved >= 60 * settings.checkpoint_minutes:
                self._save()
                saved = time.monotonic()
        if pairs is None:
            self.best = _copy(self.backbone)
        elif self.state.best_error_px >= self.state.validation[0]["mean_error_px"]:
            logger.warning("training never beat the untrained network on the held-out clicks")
        if len(self.state.metrics) < COVERAGE_STEPS:
            self._warn_about_coverage()

    def _epoch(self, progress: Progress, writer: SummaryWriter) -> None:
        settings, epoch = self.settings, self.state.epoch
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(epoch)
        self.network.train()
        waited, started = 0.0, time.monotonic()
        batches = list(self._pairs(epoch))
        decoded = decoded_ahead(self.patches, batches)
        for index in range(len(batches)):
            before = time.monotonic()
            batch = next(decoded)
            waited += time.monotonic() - before
            step = epoch * len(batches) + index
            metrics = self._step(batch, np.random.default_rng([settings.seed, epoch, index]))
            if not math.isfinite(metrics["loss"]):
                raise InputError(
                    f"the loss is {metrics['loss']} at step {step} (epoch {epoch}); lower lr, or "
                    "set precision: float32"
                )
            self.state.metrics.append({"step": step, "epoch": epoch} | metrics)
            if len(self.state.metrics) == COVERAGE_STEPS:
                self._warn_about_coverage()
            for name, value in metrics.items():
                writer.add_scalar(f"train/{name}", value, step)
            seconds = time.monotonic() - started
            rate = (index + 1) * len(batch.images) / seconds
            writer.add_scalar("speed/images_per_second", rate, step)
            progress.advance(
                1, f"loss {metrics['loss']:.3f}, {rate:.0f} images/s, waits {waited / seconds:.0%}"
            )

    def _pairs(self, epoch: int) -> Iterator[list[int]]:
        """Yield the rows of each batch of an epoch: two a video, one after the other."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        for videos in epoch_batches(self.train_videos, self.settings.videos_per_batch, rng):
            rows: list[int] = []
            for video in videos:
                own = self.patches.videos[video]
                rows += draw_pair(self.patches.frames[own], own, self.settings.max_gap, rng)
            yield rows

    def _step(self, batch: PatchBatch, rng: np.random.Generator) -> dict[str, float]:
        settings, device = self.settings, self.device
        windows = draw_windows(
            len(batch.images) // 2, self.patches.size, settings.window, settings.augment, rng
        )
        images = cut_windows(torch.from_numpy(batch.images).to(device), windows, settings.window)
        images = jitter_colour(images, settings.augment, rng)
        boxes = boxes_in_windows(torch.from_numpy(batch.boxes).to(device), windows, settings.window)
        maps = score_maps(boxes, torch.from_numpy(batch.scores).to(device), self.grid)
        top = top_probability(maps, self.clip, settings.top_gain)
        generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            features = self.backbone(images.contiguous(memory_format=torch.channels_last))
            if "head" in self.network:
                features = self.network["head"](features)
        pairs = features.float().flatten(2).unflatten(0, (-1, 2))
        tops = top.unflatten(0, (-1, 2))
        loss, watched = socl_loss(pairs, tops, self.options, generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        coverage = self._coverage(top, batch, windows)
        metrics = {"loss": loss, **watched, "coverage": coverage}
        return {"lr": self.learning_rate(self.state.epoch)} | {
            k: float(v.detach()) for k, v in metrics.items()
        }

    def _coverage(self, top: Tensor, batch: PatchBatch, windows: Any) -> Tensor:
        """Return the share of the TOP extent's square that the background mask covers."""
        size = torch.from_numpy(batch.extents)[:, None]
        corner = self.patches.size / 2 - size / 2
        square = torch.stack([corner, corner, size, size], dim=-1).to(self.device)
        inside = boxes_in_windows(square, windows, self.settings.window)
        extent = score_maps(inside, torch.ones_like(inside[..., 0]), self.grid) > 0.5
        target = ~background_selection(top, self.settings.background_mass)
        return (target & extent).sum() / extent.sum().clamp_min(1)

    def _warn_about_coverage(self) -> None:
        recent = [m["coverage"] for m in self.state.metrics[-COVERAGE_STEPS:]]
        if recent and self.settings.sns and np.mean(recent) < LOW_COVERAGE:
            logger.warning(
                "the background mask covers only %.0f %% of the TOP extent: the soft negatives "
                "hold target features; raise top_clip (now %.2f) or background_mass",
                100 * np.mean(recent),
                self.clip,
            )

    def _validate(self, pairs: Any, writer: SummaryWriter) -> None:
        result = localisation(self.backbone, pairs, self.device)
        row = {"epoch": self.state.epoch, "step": self.state.epoch * self.steps_per_epoch} | result
        self.state.validation.append(row)
        for name, value in result.items():
            writer.add_scalar(f"validation/{name}", value, row["step"])
        # the untrained network is a reference to beat, never the result
        if self.state.epoch > 0 and result["mean_error_px"] < self.state.best_error_px:
            self.state.best_error_px = result["mean_error_px"]
            self.best = _copy(self.backbone)
        logger.info(
            "epoch %d: %.1f %% of the held-out clicks found, mean error %.1f px",
            self.state.epoch,
            100 * result["hit_rate"],
            result["mean_error_px"],
        )

    def _save(self) -> None:
        content = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "state": vars(self.state),
        }
        with atomic_path(self.checkpoint) as temporary:
            torch.save(content, temporary)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        content = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.best = content["best"]
        self.state = _State(**content["state"])
        logger.info("going on after epoch %d", self.state.epoch)

    def best_backbone(self) -> nn.Module:
        """Return the backbone with the best weights."""
        self.backbone.load_state_dict(self.best)
        return self.backbone


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().cpu().clone() for k, v in module.state_dict().items()}


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Train a model; returns what it was trained on and how it ended."""
    settings = job.config.models[job.names["model"]]
    assert isinstance(settings, SoclModelSettings)
    torch.set_num_threads(max(1, min(job.workers or 1, os.cpu_count() or 1)))
    torch.backends.cudnn.deterministic = True  # a resumed run repeats an undisturbed one
    path.mkdir(parents=True, exist_ok=True)
    patches = PatchSet(job.input("patches"))
    trainer = Trainer(settings, patches, scratch_folder(path))
    total = settings.epochs * trainer.steps_per_epoch
    done = trainer.state.epoch * trainer.steps_per_epoch
    logger.info(
        "training on %d videos, %d held out, %s, TOP clip %.2f",
        len(trainer.train_videos),
        len(trainer.held_out),
        trainer.device,
        trainer.clip,
    )
    with (
        SummaryWriter(str(path / "tensorboard"), purge_step=done) as writer,
        Progress("train", total, "steps", done) as progress,
    ):
        trainer.run(progress, writer)
    used = {"model": settings.model_dump(mode="json"), "top_maps": trainer.top_rendering}
    write_atomic(path / "config.json", json.dumps(used, indent=1) + "\n")
    _write_rows(path / "metrics.parquet", trainer.state.metrics)
    _write_rows(path / "validation.parquet", trainer.state.validation)
    metadata = {"backbone": settings.backbone, "model": canonical_json(settings.model_dump())}
    save_weights(
        trainer.best_backbone(), path / "weights.safetensors", metadata | job.recipe.metadata()
    )
    return _statistics(trainer)


def _write_rows(path: Path, rows: list[dict[str, float]]) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)


def _statistics(trainer: Trainer) -> dict[str, Any]:
    validation = trainer.state.validation
    best = min(validation[1:], key=lambda v: v["mean_error_px"], default={})
    return {
        "train_videos": len(trainer.train_videos),
        "held_out_videos": trainer.held_out,
        "steps": len(trainer.state.metrics),
        "final_loss": trainer.state.metrics[-1]["loss"],
        "top_clip": trainer.clip,
        "best": json.loads(canonical_json(best)),
        "parameters": sum(p.numel() for p in trainer.backbone.parameters()),
    }
