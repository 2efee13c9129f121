"""What do soft samples cost? A training step with all of them against one with templates alone.

    python benchmarks/socl_memory.py --json FILE [--videos 96 --window 255 --repeat 5]

gst: templates alone (Eq. 1). full: soft negatives, mix-up and local templates as well. Both are
the whole step of the trainer: windows cut from random patches of 320 pixels, AlexNetV1 in bf16 and
channels_last, loss, gradient, Adam. Each has a process of its own; their steps take turns, the
order swapped each time, so that what else the machine does falls on both. One step of each comes
before, unmeasured.

peak_ratio and step_time_ratio are full over gst. Memory is the peak of the process above what it
held before its first step, or of a GPU's allocations; `rss_ratio` counts all that a process holds.
Times are the processor's, all threads of the process added, since the clock also counts the waits
of a shared machine (`wall`); on a GPU both are by the clock. Medians of all steps; `ratios` are
those of each pair, in order. `loss_alone`: forward and backward on given features, and its share
of the step.
"""

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from socl_pipeline.models.device import choose_device
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.settings import PatchSettings, SoclModelSettings
from socl_pipeline.socl.loss import contrastive_loss, soft_samples
from train_step import TrainStep

VARIANTS: dict[str, dict[str, Any]] = {
    "gst": {"sns": False, "mixup": False, "lst": False},
    "full": {"sns": True, "mixup": True, "lst": True},
}
SIZE = PatchSettings().size
BOXES = 64  # kept of each frame
MB = 2**20


class Measured:
    """The training step of a variant, on one batch again and again."""

    def __init__(self, variant: str, videos: int, window: int) -> None:
        settings = SoclModelSettings(window=window, **VARIANTS[variant])
        self.device = choose_device(settings.device)
        self.step = TrainStep(settings, SIZE, self.device)
        self.shape = (videos, 2, self.step.grid.cells**2, self.step.channels)
        self.batch = random_batch(videos, np.random.default_rng(0)).to(self.device)

    def whole(self) -> None:
        """Take a training step."""
        self.step(self.batch)

    def loss_alone(self) -> Callable[[], None]:
        """Return what computes the loss and its gradient on features and TOP maps."""
        videos, _, locations, channels = self.shape
        rows = torch.randn(2 * videos, locations, channels, device=self.device)
        features = rows.bfloat16().mT.unflatten(0, (videos, 2)).requires_grad_()
        top = torch.rand(videos, 2, locations, device=self.device).mul_(20).softmax(-1)
        drawn, options = self.step.draws(videos), self.step.objective.options

        def run() -> None:
            samples = soft_samples(features, top, options, drawn)
            torch.autograd.grad(contrastive_loss(samples, options, drawn)[0], features)

        return run

    def seconds(self, work: Callable[[], None]) -> dict[str, float]:
        """Return how long work takes, of the processor and by the clock."""
        busy, started = time.process_time(), time.perf_counter()
        work()
        self.step.wait()
        wall = time.perf_counter() - started
        on_gpu = self.device.type == "cuda"
        return {"seconds": wall if on_gpu else time.process_time() - busy, "wall": wall}

    def held_mb(self) -> tuple[float, float]:
        """Return what the process, or a GPU's tensors, hold now and held at most."""
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated() / MB, torch.cuda.max_memory_allocated() / MB
        now = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        return now / MB, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def random_batch(videos: int, rng: np.random.Generator) -> PatchBatch:
    """Return patches of noise with boxes around their middle."""
    count = 2 * videos
    sizes = SIZE / 8 * rng.uniform(0.5, 2, (count, BOXES, 2))
    corners = SIZE / 2 + rng.normal(0, SIZE / 40, sizes.shape) - sizes / 2
    return PatchBatch(
        torch.from_numpy(rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)),
        torch.from_numpy(np.concatenate([corners, sizes], axis=-1).astype(np.float32)),
        torch.from_numpy(rng.random((count, BOXES), np.float32)),
        torch.full((count,), SIZE / 8),
    )


def worker(pipe: Connection, variant: str, videos: int, window: int) -> None:
    """Answer each message: how long a step, or the loss alone, takes, and what memory it took."""
    measured = Measured(variant, videos, window)
    before, _ = measured.held_mb()
    work = {"step": measured.whole}
    for message in iter(pipe.recv, "end"):
        if message == "memory":
            peak = measured.held_mb()[1]
            pipe.send({"before_mb": before, "peak_mb": peak, "step_mb": peak - before})
            work["loss"] = measured.loss_alone()  # after the step's peak is known
        else:
            pipe.send(measured.seconds(work[message]))


class Workers:
    """A process for each variant; one works at a time."""

    def __init__(self, videos: int, window: int) -> None:
        context = get_context("spawn")
        self.pipes, self.processes = {}, []
        for variant in VARIANTS:
            self.pipes[variant], theirs = context.Pipe()
            process = context.Process(
                target=worker, args=(theirs, variant, videos, window), daemon=True
            )
            process.start()
            theirs.close()
            self.processes.append(process)

    def ask(self, message: str, repeat: int = 1) -> dict[str, list[Any]]:
        """Return the answers of each variant, asked in turns."""
        answers: dict[str, list[Any]] = {variant: [] for variant in VARIANTS}
        for turn in range(repeat):
            for variant in sorted(VARIANTS, reverse=turn % 2 == 1):
                self.pipes[variant].send(message)
                answers[variant].append(self.pipes[variant].recv())
        return answers

    def end(self) -> None:
        """Wait until all have ended."""
        for pipe, process in zip(self.pipes.values(), self.processes, strict=True):
            pipe.send("end")
            process.join()


def measure(videos: int, window: int, repeat: int) -> dict[str, Any]:
    """Return the figures of the benchmark."""
    workers = Workers(videos, window)
    workers.ask("step")
    steps = workers.ask("step", repeat)
    memory = {variant: answers[0] for variant, answers in workers.ask("memory").items()}
    workers.ask("loss")
    losses = workers.ask("loss", repeat)
    workers.end()
    times, alone = compare(steps), compare(losses)
    share = {v: alone["seconds"][v] / times["seconds"][v] for v in VARIANTS}
    device = choose_device("auto")
    return {
        "peak_ratio": memory["full"]["step_mb"] / memory["gst"]["step_mb"],
        "step_time_ratio": times["ratio"],
        "rss_ratio": memory["full"]["peak_mb"] / memory["gst"]["peak_mb"],
        "memory": memory,
        "step": times,
        "loss_alone": alone | {"share": share},
        "videos": videos,
        "window": window,
        "repeat": repeat,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "platform": platform.platform(),
    }


def compare(answers: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return the medians of each variant's times, and the ratios of full to gst."""
    found: dict[str, Any] = {}
    for kind, ratio in (("seconds", "ratio"), ("wall", "wall_ratio")):
        times = {variant: [a[kind] for a in answers[variant]] for variant in VARIANTS}
        found[kind] = {variant: statistics.median(values) for variant, values in times.items()}
        found[ratio] = found[kind]["full"] / found[kind]["gst"]
        found[ratio + "s"] = [f / g for f, g in zip(times["full"], times["gst"], strict=True)]
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--videos", type=int, default=96)
    parser.add_argument("--window", type=int, default=255)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    result = measure(arguments.videos, arguments.window, arguments.repeat)
    text = json.dumps(result, indent=1)
    arguments.json.write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
