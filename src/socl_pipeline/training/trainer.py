"""The training loop: exact on resume, the same with any number of processes."""

import logging
import math
import os
import pickle
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from socl_pipeline.errors import InputError
from socl_pipeline.patches.loader import (
    LEAST_VIDEOS,
    PatchBatch,
    batches_ahead,
    draw_pair,
    epoch_batches,
    steps_per_epoch,
)
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.pipeline.artifact import atomic_path
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.settings import AnyModelSettings
from socl_pipeline.training.accumulation import backward
from socl_pipeline.training.build import (
    build_network,
    build_objective,
    build_validation,
    starting_backbone,
)
from socl_pipeline.training.history import History, Row, first_not_finite
from socl_pipeline.training.network import learning_rate, make_optimizer, set_learning_rate
from socl_pipeline.training.objective import Objective
from socl_pipeline.training.ranks import Ranks, distributed
from socl_pipeline.training.split import split_videos
from socl_pipeline.training.validation import Validation

logger = logging.getLogger(__name__)

COVERAGE_STEPS = 20  # enough to judge it, and early enough to stop a wrong run
LOW_COVERAGE = 0.6  # below this the soft negatives hold much of the target itself
STEPS_BETWEEN_FETCHES = 20  # of an accelerator, which would otherwise idle at every step


@dataclass
class State:
    """How far a run is: the epoch, the steps done in it, and what was measured on held-out videos.

    best: of the validations after training began, that of the best weights.
    """

    epoch: int = 0
    index: int = 0
    best: Row = field(default_factory=dict)
    validation: list[Row] = field(default_factory=list)


class Trainer:
    """One training run; `work` is where its checkpoint lies."""

    def __init__(
        self,
        settings: AnyModelSettings,
        patches: PatchSet,
        work: Path,
        device: torch.device,
        ranks: Ranks | None = None,
    ) -> None:
        """Build the network and go on from the checkpoint in `work`, if there is one."""
        self.settings, self.patches, self.device = settings, patches, device
        self.ranks = ranks or Ranks()
        self.train_videos, self.held_out = split_videos(
            sorted(patches.videos), settings.validation_videos, settings.seed
        )
        if len(self.train_videos) < LEAST_VIDEOS:
            raise InputError(
                f"training needs {LEAST_VIDEOS} videos, the patches have {len(patches.videos)}; "
                "give it more videos, or more hours to annotate them (points.hours, tables.hours)"
            )
        least = len(self.epoch_videos) // self.steps_per_epoch
        if self.ranks.world > least:
            raise InputError(
                f"{self.ranks.world} processes cannot share batches of {least} videos; set "
                "processes, or train on more videos"
            )
        self.backbone = starting_backbone(settings)
        self.objective: Objective = build_objective(settings, self.backbone, patches)
        self.network = build_network(settings, self.backbone)
        self.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if settings.compile:
            self.network.backbone.compile()
        self._parallel = distributed(self.network, self.ranks, device)
        self.optimizer = make_optimizer(self.network, settings)
        self.checkpoint = work / "checkpoint.pt"
        self.best: dict[str, Tensor] = {}
        self.state, self.history = State(), History()
        self._saved = time.monotonic()
        self._resume()

    @property
    def epoch_videos(self) -> list[str]:
        """The videos of an epoch's pairs: each as often as the settings have pairs of it."""
        return self.train_videos * getattr(self.settings, "pairs_per_video", 1)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return steps_per_epoch(len(self.epoch_videos), self.settings.videos_per_batch)

    @property
    def steps_done(self) -> int:
        """Steps that the run has made."""
        return self.state.epoch * self.steps_per_epoch + self.state.index

    def run(self, progress: Progress, writer: SummaryWriter | None) -> None:
        """Train to the last epoch, with checkpoints by time and validations by epoch.

        writer: None on ranks that do not lead.
        """
        settings, state = self.settings, self.state
        validation = None
        if self.held_out and self.ranks.leads:
            validation = build_validation(
                settings, self.objective, self.patches, self.held_out, self.device
            )
            if not state.validation:
                self._validate(validation, writer)
        while state.epoch < settings.epochs:
            self._epoch(progress, writer)
            state.epoch, state.index = state.epoch + 1, 0
            last = state.epoch == settings.epochs
            if validation is not None and (last or state.epoch % settings.validate_every == 0):
                self._validate(validation, writer)
        if validation is None:
            self.best = _copy(self.backbone)
        elif state.best[validation.error] >= state.validation[0][validation.error]:
            logger.warning("training never beat the untrained network on the held-out videos")
        if len(self.history) < COVERAGE_STEPS:
            self._warn_about_coverage()

    def _epoch(self, progress: Progress, writer: SummaryWriter | None) -> None:
        settings, state = self.settings, self.state
        set_learning_rate(self.optimizer, learning_rate(settings, state.epoch))
        self.network.train()
        started, waited, images = time.monotonic(), 0.0, 0
        sizes: deque[int] = deque()  # of the whole batches, in videos
        loaded = batches_ahead(
            self.patches,
            self._own_rows(islice(self._batches(state.epoch), state.index, None), sizes),
            settings.loader_workers,
            pin=self.device.type == "cuda",
        )
        for index in range(state.index, self.steps_per_epoch):
            before = time.monotonic()
            batch = next(loaded)
            waited += time.monotonic() - before
            videos = sizes.popleft()
            images += 2 * videos
            self._step(batch, videos, index)
            state.index = index + 1
            last = state.index == self.steps_per_epoch
            due = self.ranks.leads and self._save_is_due()
            if last or due or self.history.pending >= self._steps_between_fetches:
                rows = self._fetch(writer)
                seconds = time.monotonic() - started
                speed = {
                    "images_per_second": images / seconds,
                    "data_wait_share": waited / seconds,
                }
                _write_scalars(writer, "speed", speed, int(rows[-1]["step"]))
                progress.advance(
                    len(rows),
                    f"loss {rows[-1]['loss']:.3f}, {images / seconds:.0f} images/s, "
                    f"waits {waited / seconds:.0%}",
                )
            if due:  # and all that it saves has been looked at
                self._save()

    @property
    def _steps_between_fetches(self) -> int:
        return 1 if self.device.type == "cpu" else STEPS_BETWEEN_FETCHES

    def _batches(self, epoch: int) -> Iterator[list[int]]:
        """Yield the rows of each batch of an epoch: two a video, one after the other.

        One by one, while the device works: a large dataset has thousands of videos an epoch.
        """
        rng = np.random.default_rng([self.settings.seed, epoch])
        for videos in epoch_batches(self.epoch_videos, self.settings.videos_per_batch, rng):
            rows: list[int] = []
            for video in videos:
                own = self.patches.videos[video]
                rows += draw_pair(self.patches.frames[own], own, self.settings.max_gap, rng)
            yield rows

    def _own_rows(self, batches: Iterable[list[int]], sizes: deque[int]) -> Iterator[list[int]]:
        """Yield this rank's rows of each batch, and note how many videos the whole one has."""
        for rows in batches:
            sizes.append(len(rows) // 2)
            part = self.ranks.part(len(rows) // 2)
            yield rows[2 * part.start : 2 * part.stop]

    def _step(self, batch: PatchBatch, videos: int, index: int) -> None:
        """Make one step on this rank's share of a batch of so many videos."""
        settings, epoch = self.settings, self.state.epoch
        rng = np.random.default_rng([settings.seed, epoch, index])
        pinned = self.device.type == "cuda"  # else the host would wait for each copy
        draws = {
            name: (values.pin_memory() if pinned else values).to(self.device, non_blocking=True)
            for name, values in self.objective.draw(videos, rng).items()
        }
        torch.manual_seed(int(rng.integers(2**62)) + self.ranks.rank)  # of dropout
        self.optimizer.zero_grad(set_to_none=True)
        watched = backward(
            self.objective,
            self._parallel,
            batch.to(self.device, non_blocking=True),
            draws,
            self.ranks,
            settings.chunk_videos,
        )
        watched["gradient"] = gradient_length(self.network)
        self.optimizer.step()
        step = epoch * self.steps_per_epoch + index
        known = {"step": step, "epoch": epoch, "lr": learning_rate(settings, epoch)}
        self.history.add(known, watched)

    def _fetch(self, writer: SummaryWriter | None) -> list[Row]:
        """Look at what the last steps measured.

        Raises InputError if a loss or gradient is no number: the weights are none then, either.
        """
        before = len(self.history)
        rows = self.history.fetch()
        wrong = first_not_finite(rows)
        if wrong is not None:
            name = "loss" if not math.isfinite(wrong["loss"]) else "gradient"
            raise InputError(
                f"the {name} is {wrong[name]} at step {wrong['step']:.0f} (epoch "
                f"{wrong['epoch']:.0f}); lower lr, or set precision: float32"
            )
        for row in rows:
            watched = {k: v for k, v in row.items() if k not in ("step", "epoch")}
            _write_scalars(writer, "train", watched, int(row["step"]))
        if before < COVERAGE_STEPS <= len(self.history):
            self._warn_about_coverage()
        return rows

    def _warn_about_coverage(self) -> None:
        recent = self.history.column("coverage", COVERAGE_STEPS)
        searched = getattr(self.settings, "sns", False)  # negatives are sought outside the mask
        if searched and recent and self.ranks.leads and np.mean(recent) < LOW_COVERAGE:
            logger.warning(
                "the background mask covers only %.0f %% of the TOP extent: the soft negatives "
                "hold target features; raise top_clip or background_mass",
                100 * np.mean(recent),
            )

    def _validate(self, validation: Validation, writer: SummaryWriter | None) -> None:
        state = self.state
        result = validation.measure(self.backbone)
        row = {"epoch": state.epoch, "step": self.steps_done} | result
        state.validation.append(row)
        _write_scalars(writer, "validation", result, self.steps_done)
        # the untrained network is a reference to beat, never the result
        best = state.best.get(validation.error, math.inf)
        if state.epoch > 0 and result[validation.error] < best:
            state.best = row
            self.best = _copy(self.backbone)
        logger.info("epoch %d: %s", state.epoch, validation.sentence(result))

    def _save_is_due(self) -> bool:
        return time.monotonic() - self._saved >= 60 * self.settings.checkpoint_minutes

    def _save(self) -> None:
        content = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "state": vars(self.state),
            "history": self.history.columns(),
        }
        with atomic_path(self.checkpoint) as temporary, temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())  # whole on the disk before it takes the old one's place
        self._saved = time.monotonic()

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        try:
            content = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            self.state = State(**content["state"])
        except (RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as error:
            raise InputError(
                f"{self.checkpoint}: the checkpoint is damaged or of another version; delete it "
                "and run the same command again, which trains from the start"
            ) from error
        self.network.load_state_dict(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.best = {name: tensor.cpu() for name, tensor in content["best"].items()}
        self.history = History(content["history"])
        logger.info("going on after step %d", self.steps_done)

    def best_backbone(self) -> nn.Module:
        """Return the backbone with the best weights."""
        self.backbone.load_state_dict(self.best)
        return self.backbone


def gradient_length(network: nn.Module) -> Tensor:
    """Return the length of the gradient of all parameters together, on their device."""
    lengths = [p.grad.norm() for p in network.parameters() if p.grad is not None]
    return torch.stack(lengths).norm()


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().cpu().clone() for k, v in module.state_dict().items()}


def _write_scalars(writer: SummaryWriter | None, group: str, values: Row, step: int) -> None:
    if writer is not None:
        for name, value in values.items():
            writer.add_scalar(f"{group}/{name}", value, step)
