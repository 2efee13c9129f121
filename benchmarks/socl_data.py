"""How fast does training get its data, on one core and on a GPU's machine?

    python benchmarks/socl_data.py --json FILE [--frames FOLDER] [--seconds 10] [--quality 75]

FOLDER: JPEGs of at least 1280 pixels, as for top_maps.py; they are brought to 1280x720. Without
it: procedural scenes of that size. From the same frames two things are made: JPEG files for the
plain loader (plain_loader.py: a Dataset and a DataLoader that decode whole frames), and packed
patches of 320 px for ours, whose windows of 255 px are cut and coloured. All files are in memory.

loader_ratio: images per second of processor time of ours over the plain one's, each in one
thread. wait_share: the share of training steps (AlexNetV1, 255 px, bf16, SoCL loss) that is spent
waiting for one loader thread. On a CPU the step has few videos, as one of 192 images takes
seconds; with a GPU it has the paper's 96 and there are also figures of the GPU. storage: packed
patches as JPEG and as plain bytes.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from plain_loader import PlainPairs
from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.models import build_backbone
from socl_pipeline.patches.augment import (
    cut_windows,
    draw_colour,
    draw_windows,
    jitter_colour,
    windows_of,
)
from socl_pipeline.patches.cut import patch_region, patch_schema
from socl_pipeline.patches.loader import PatchBatch, batches_ahead, load_batch
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.settings import PatchSettings, SoclModelSettings, TransTModelSettings
from socl_pipeline.trackers.crops import crop_square, mean_color
from socl_pipeline.training.network import Network
from top_maps import Source, machine, one_thread, real_sources, scene_sources
from train_step import TrainStep

FRAME = (1280, 720)
TOP_K = 64
BATCH = 32  # images, where nothing else says how many
CPU_VIDEOS, GPU_VIDEOS = 4, 96
WARM_UP = 3  # steps, in which kernels are chosen
GOT10K_VIDEOS, EPOCHS = 9335, 1000  # paper 4.1
MATRIX = 8192  # side of the products that the GPU's rate is measured with


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--frames", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--quality", type=int, default=75, help="of the JPEGs of frames")
    arguments = parser.parse_args()
    one_thread()
    torch.set_num_threads(1)
    sources = list(real_sources(arguments.frames) if arguments.frames else scene_sources())
    with tempfile.TemporaryDirectory() as folder:
        files, boxes = write_frames(sources, Path(folder), arguments.quality)
        patches = write_patches(files, boxes, Path(folder) / "patches")
        result = measure(patches, PlainPairs(files, boxes), arguments.seconds)
    result |= {
        "machine": machine() | {"torch": torch.__version__},
        "frames": "given" if arguments.frames else "procedural scenes",
        "frames_count": len(sources),
        "frame_quality": arguments.quality,
    }
    print(json.dumps(result, indent=1))
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(patches: PatchSet, plain: PlainPairs, seconds: float) -> dict[str, Any]:
    """Return all figures, the headlines first."""
    loaders = measure_loaders(patches, plain, seconds)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    videos = GPU_VIDEOS if device.type == "cuda" else CPU_VIDEOS
    step = measure_step(patches, device, videos, 1, seconds)
    result = {
        "loader_ratio": loaders["ratio_per_core"],
        "wait_share": step["wait_share"],
        "images_per_second": loaders["ours_per_core"],
        "loaders": loaders,
        "step": step,
        "storage": measure_storage(patches, seconds),
    }
    if device.type == "cuda":
        result["gpu"] = measure_gpu(patches, device, seconds)
    return result


def write_frames(
    sources: list[Source], folder: Path, quality: int
) -> tuple[list[Path], np.ndarray]:
    """Write frames of 1280x720; returns their files and boxes (n, 4)."""
    files, boxes = [], []
    for i, source in enumerate(sources):
        image = source.image
        boxes.append(source.box * np.tile(np.array(FRAME) / image.shape[1::-1], 2))
        if image.shape[1::-1] != FRAME:
            image = cv2.resize(image, FRAME, interpolation=cv2.INTER_AREA)
        files.append(folder / f"{i:03d}.jpg")
        files[-1].write_bytes(encode_jpeg(image, quality))
    return files, np.array(boxes)


def write_patches(
    files: list[Path], boxes: np.ndarray, folder: Path, settings: PatchSettings | None = None
) -> PatchSet:
    """Pack the patches of frames as stage `patches` does, each frame as a video of its own."""
    folder.mkdir()
    settings, rng = settings or PatchSettings(), np.random.default_rng(0)
    records = []
    for file, (x, y, w, h) in zip(files, boxes, strict=True):
        image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        point, extent = np.array([x + w / 2, y + h / 2]), float(np.sqrt(w * h))
        region = patch_region(point, extent, max(FRAME), settings)
        patch = crop_square(image, point, region[2], settings.size, mean_color(image))
        target = extent * settings.size / region[2]
        sides = target * rng.uniform(0.5, 1.5, (TOP_K, 2))
        kept = np.concatenate([(settings.size - sides) / 2, sides], axis=1)
        records.append(
            {
                "video": file.stem,
                "frame": 0,
                "jpeg": encode_jpeg(patch, settings.jpeg_quality),
                "region": region,
                "extent": target,
                "boxes": kept.ravel(),
                "scores": rng.random(TOP_K),
            }
        )
    schema = patch_schema(TOP_K, {"size": str(settings.size)})
    with (
        pa.OSFile(str(folder / "000000000.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        writer.write_table(pa.Table.from_pylist(records, schema))
    return PatchSet(folder)


def endless_rows(patches: PatchSet, count: int) -> Iterator[list[int]]:
    """Yield random rows of batches without end."""
    rng = np.random.default_rng(0)
    while True:
        yield rng.integers(0, len(patches), count).tolist()


def measure_loaders(patches: PatchSet, plain: PlainPairs, seconds: float) -> dict[str, Any]:
    """Return images per second of both loaders: of processor time, and with a worker by the clock.

    Ours is measured in one thread too; the plain loader's worker is a process.
    """
    rows, augmented = endless_rows(patches, BATCH), Augmented(patches.size)

    def repeated(loader: DataLoader) -> Iterator[Any]:
        while True:
            yield from loader

    alone = repeated(DataLoader(plain, batch_size=BATCH // 2, drop_last=True))
    found = rates(
        {
            "ours": lambda: augmented(load_batch(patches, next(rows))),
            "plain": lambda: next(alone),
        },
        BATCH,
        seconds,
    )
    ours, plainly = found["ours"], found["plain"]
    parallel = repeated(DataLoader(plain, batch_size=BATCH // 2, drop_last=True, num_workers=1))
    result = {
        "ours_per_core": ours["cpu"],
        "plain_per_core": plainly["cpu"],
        "ratio_per_core": round(ours["cpu"] / plainly["cpu"], 2),
        "ratio_by_the_clock": round(ours["wall"] / plainly["wall"], 2),
        "plain_with_a_worker": rate(lambda: next(parallel), BATCH, seconds)["wall"],
        "ms_per_image": augmented.milliseconds(patches),
    }
    with closing(batches_ahead(patches, endless_rows(patches, BATCH), 1)) as ahead:
        with_a_worker = rate(lambda: augmented(next(ahead)), BATCH, seconds)
    result["ours_with_a_worker"] = with_a_worker["wall"]
    result["ratio_with_a_worker"] = round(
        result["ours_with_a_worker"] / result["plain_with_a_worker"], 2
    )
    result["decoded_by_threads"] = thread_scaling(patches, seconds)
    return result


class Augmented:
    """Cuts and colours windows of batches, with the draws that training makes."""

    def __init__(self, size: int) -> None:
        self.size, self.settings = size, SoclModelSettings()
        self.rng = np.random.default_rng(0)

    def __call__(self, batch: PatchBatch) -> torch.Tensor:
        """Return the windows of a batch."""
        settings, videos = self.settings, len(batch.images) // 2
        draws = draw_windows(videos, self.size, settings.window, settings.augment, self.rng)
        draws |= draw_colour(videos, settings.augment, self.rng)
        windows = cut_windows(batch.images, windows_of(draws), settings.window)
        return jitter_colour(windows, draws)

    def milliseconds(self, patches: PatchSet) -> dict[str, float]:
        """Return the processor time an image of decoding, and of cutting with colours."""
        rows = next(endless_rows(patches, BATCH))
        batch = load_batch(patches, rows)
        works = {"decode": lambda: load_batch(patches, rows), "augment": lambda: self(batch)}
        return {n: round(1000 / r["cpu"], 3) for n, r in rates(works, BATCH, 1).items()}


def thread_scaling(patches: PatchSet, seconds: float) -> dict[str, float]:
    """Return images per second, by the clock, that some numbers of threads decode."""
    found = {}
    cores = os.cpu_count() or 1
    for workers in (n for n in (1, 2, 4, 8, 16, 32) if n <= cores):
        with closing(batches_ahead(patches, endless_rows(patches, 192), workers)) as ahead:
            found[str(workers)] = rate(lambda a=ahead: next(a), 192, seconds)["wall"]
    return found


def measure_storage(patches: PatchSet, seconds: float) -> dict[str, Any]:
    """Return bytes of a patch and images per second of processor time, as JPEG and as bytes.

    Plain bytes are copied at random from a mapped file that is in memory.
    """
    images = load_batch(patches, range(len(patches))).images.numpy()
    sizes = [len(encode_jpeg(image, PatchSettings().jpeg_quality)) for image in images]
    jpeg_rows, raw_rows = endless_rows(patches, BATCH), endless_rows(patches, BATCH)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "raw.npy", images)
        raw = np.load(Path(folder) / "raw.npy", mmap_mode="r")
        found = rates(
            {
                "jpeg": lambda: load_batch(patches, next(jpeg_rows)),
                "raw": lambda: raw[next(raw_rows)],
            },
            BATCH,
            seconds,
        )
    return {
        "jpeg_bytes": round(float(np.mean(sizes))),
        "raw_bytes": int(images[0].nbytes),
        "jpeg_images_per_second": found["jpeg"]["cpu"],
        "raw_images_per_second": found["raw"]["cpu"],
    }


def measure_step(
    patches: PatchSet,
    device: torch.device,
    videos: int,
    workers: int,
    seconds: float,
    settings: SoclModelSettings | TransTModelSettings | None = None,
) -> dict[str, Any]:
    """Return images per second of whole steps, and the share of them that waits for data."""
    step = TrainStep(settings or SoclModelSettings(), patches.size, device)
    pin = device.type == "cuda"
    rows = endless_rows(patches, 2 * videos)
    with closing(batches_ahead(patches, rows, workers, pin)) as ahead:
        for _ in range(WARM_UP):
            step(next(ahead))
        step.wait()
        began, waited, steps = time.perf_counter(), 0.0, 0
        while time.perf_counter() - began < seconds or steps < WARM_UP:
            before = time.perf_counter()
            batch = next(ahead)
            waited += time.perf_counter() - before
            step(batch)
            step.wait()  # what runs on after the call would hide the waiting
            steps += 1
        total = time.perf_counter() - began
    return {
        "device": torch.cuda.get_device_name(device) if pin else "cpu",
        "videos_per_batch": videos,
        "loader_threads": workers,
        "torch_threads": torch.get_num_threads(),
        "steps": steps,
        "ms_per_step": round(1000 * total / steps, 2),
        "wait_share": round(waited / total, 4),
        "images_per_second": round(2 * videos * steps / total, 1),
    }


def measure_gpu(patches: PatchSet, device: torch.device, seconds: float) -> dict[str, Any]:
    """Return how near training comes to what the GPU can do, and what the paper's run takes."""
    workers = min(8, os.cpu_count() or 1)
    step = measure_step(patches, device, GPU_VIDEOS, workers, seconds)
    network, product = network_rate(device, seconds), product_rate(device, seconds)
    images = 2 * GOT10K_VIDEOS * EPOCHS
    return {
        "step": step,
        "network_images_per_second": network["images_per_second"],
        "network_tflops": network["tflops"],
        "bf16_product_tflops": product,
        "network_share_of_product_rate": round(network["tflops"] / product, 3),
        "step_share_of_network_rate": round(
            step["images_per_second"] / network["images_per_second"], 3
        ),
        "hours_for_9335_videos_1000_epochs": round(images / step["images_per_second"] / 3600, 2),
    }


def network_rate(device: torch.device, seconds: float) -> dict[str, float]:
    """Return images and floating point operations per second of forward and backward alone."""
    settings = SoclModelSettings()
    network = Network(build_backbone(settings.backbone, 0).train(), None, settings.precision)
    network.to(device=device, memory_format=torch.channels_last)
    shape = (2 * GPU_VIDEOS, 3, settings.window, settings.window)
    images = torch.rand(shape, device=device).mul_(255)
    images = images.contiguous(memory_format=torch.channels_last)

    def both_ways() -> None:
        network.zero_grad(set_to_none=True)
        network(images).float().mean().backward()

    with FlopCounterMode(display=False) as counter:
        both_ways()
    per_second = device_rate(both_ways, device, seconds)
    return {
        "images_per_second": round(per_second * len(images), 1),
        "tflops": round(per_second * counter.get_total_flops() / 1e12, 1),
    }


def product_rate(device: torch.device, seconds: float) -> float:
    """Return 10^12 floating point operations per second of large bf16 matrix products."""
    a, b = (torch.randn(MATRIX, MATRIX, device=device, dtype=torch.bfloat16) for _ in range(2))
    per_second = device_rate(lambda: torch.mm(a, b), device, seconds)
    return round(per_second * 2 * MATRIX**3 / 1e12, 1)


def device_rate(work: Callable[[], Any], device: torch.device, seconds: float) -> float:
    """Return how often a second a GPU does some work that is queued without waiting."""
    began, done = 0.0, -WARM_UP
    while done <= 0 or time.perf_counter() - began < seconds:
        for _ in range(WARM_UP):
            work()
        torch.cuda.synchronize(device)
        done += WARM_UP
        if done == 0:
            began = time.perf_counter()
    return done / (time.perf_counter() - began)


def rates(
    works: dict[str, Callable[[], Any]], images: int, seconds: float
) -> dict[str, dict[str, float]]:
    """Return images per second of processor time and by the clock of each of some works.

    They take turns, so that what else the machine does slows them alike. Each runs once before.
    """
    spent = {name: np.zeros(3) for name in works}  # processor time, time by the clock, images
    for work in works.values():
        work()
    while min(wall for _, wall, _ in spent.values()) < seconds:
        for name, work in works.items():
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            spent[name] += time.process_time() - cpu, time.perf_counter() - wall, images
    return {
        name: {"cpu": round(done / cpu, 1), "wall": round(done / wall, 1)}
        for name, (cpu, wall, done) in spent.items()
    }


def rate(work: Callable[[], Any], images: int, seconds: float) -> dict[str, float]:
    """Return images per second of processor time and by the clock."""
    return rates({"": work}, images, seconds)[""]


if __name__ == "__main__":
    main()
