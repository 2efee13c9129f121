"""How fast are TOP maps on one core? JPEG files in, shards of the store out.

    python benchmarks/top_maps.py --json FILE [--frames FOLDER] [--seconds 10] [--quality 75]

FOLDER: JPEGs, one folder a clip, with the groundtruth.txt of GOT-10k for the clicks if there is
one (else the middle of the frame). They are brought to each size and encoded again; smaller ones
than 1280 pixels are left out. Without it: procedural scenes of 1280x720, enlarged to 1920x1080.

default, fast: the presets, by the very function that stage `top_maps` calls for a shard of
frames: read the file, find and score boxes, render, write, compress. opencv_global: the same with
OpenCV's EdgeBoxes of the whole frame at 480 pixels, and the shard of stage `proposals` that finds
them. plain: plain_top.py, from a file to a map of every pixel, which is not written. Frames per
second of one core are per second of processor time, all threads of the process added; `wall` is
by the clock. Everything is compiled and the files are in memory before a measurement.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.update(
    dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
    )
)

import cloudpickle
import cv2
import numba
import numpy as np
import simplejpeg

from plain_top import plain_top
from socl_pipeline.annotation.shards import FrameShard, frame_shards
from socl_pipeline.annotation.table import FrameRow
from socl_pipeline.datasets.images import encode_jpeg, image_size, read_image
from socl_pipeline.datasets.scenes import SceneSettings, build_scene
from socl_pipeline.memory import keep_freed_memory
from socl_pipeline.pipeline.job import Job, Target
from socl_pipeline.settings import validate_config
from socl_pipeline.top import proposals, top_maps
from socl_pipeline.top.cues.contrast import ColourHistograms
from socl_pipeline.top.cues.density import EdgeDensity
from socl_pipeline.top.cues.image import pixel_corners
from socl_pipeline.top.cues.saliency import SaliencyMaps
from socl_pipeline.top.edgeboxes.edges import gradient_edges
from socl_pipeline.top.edgeboxes.groups import group_edges
from socl_pipeline.top.edgeboxes.near import edge_boxes_near
from socl_pipeline.top.objectness.model import load_objectness
from socl_pipeline.top.proposals import read_templates
from socl_pipeline.top.scoring import FrameScorer
from socl_pipeline.top.store.store import TopStore, write_rows
from socl_pipeline.top.views import ViewedFrame
from socl_pipeline.top.windows import random_windows, within_frame

SIZES = {"1080p": (1920, 1080), "720p": (1280, 720)}
MANIFEST = Path(__file__).parents[1] / "data_manifests" / "got10k.yaml"
MOST_FRAMES = 64
SEED = 2_000_003  # scenes that no demo dataset and no fit uses
CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "fast": {"preset": "fast"},
    "opencv_global": {
        "views": {"kind": "frame", "working_side": 480},
        "proposals": {"edgeboxes": {"search": "opencv"}},
    },
}
SLOW = {"opencv_global": 16, "plain": 3}  # frames that are enough where each takes long


@dataclass(frozen=True)
class Source:
    """A frame (H, W, 3) to measure with, the box (4,) that is clicked, and its clip."""

    clip: str
    image: np.ndarray
    box: np.ndarray


@dataclass(frozen=True)
class Bench:
    """A prepared run of stage `top_maps`, and its shards."""

    job: Job
    store: Path
    shards: list[FrameShard]

    @classmethod
    def prepare(cls, name: str, data: Path, work: Path, shards: int, most: int) -> "Bench":
        """Make all that the stage needs, in folders below `work`; at most so many frames."""
        frames = len(list(data.glob("*/*/*.jpg")))
        size = -(-min(frames, most) // shards)
        raw = CONFIGS[name] | {
            "datasets": {"frames": {"manifest": MANIFEST, "root": str(data)}},
            "models": {"none": {}},
        }
        raw["proposals"] = raw.get("proposals", {}) | {"shard_frames": size}
        raw["top_maps"] = {"shard_frames": size}
        config = validate_config(raw, name)
        target = Target.of("top_maps", dataset="frames")
        job = Job(config, target, work / "results", work / "cache", workers=0)
        for stage in ("points", "proposals"):
            job.sibling(Target.of(stage, dataset="frames")).execute()
        top_maps._create(job, work / "store")
        return cls(job, work / "store", frame_shards(job, size)[:shards])

    def score(self, shard: FrameShard) -> None:
        """Do what the workers do for a shard, finding the boxes that stage `proposals` stores."""
        config = self.job.config
        if config.proposals.edgeboxes.search == "opencv":
            folder = self.job.input("proposals").resolve()
            proposals._find_edge_boxes(shard, folder, config.proposals, config.views)
        top_maps._score_shard(shard, self.store, self.job)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--frames", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--quality", type=int, default=75, help="of the JPEGs")
    arguments = parser.parse_args()
    one_thread()
    result: dict[str, Any] = {"machine": machine(), "quality": arguments.quality, "sizes": {}}
    sources = list(real_sources(arguments.frames) if arguments.frames else scene_sources())
    result["frames"] = "given" if arguments.frames else "procedural scenes"
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            write_clips(sources, data, size, arguments.quality)
            result["sizes"][name] = measure_size(data, Path(folder), arguments.seconds)
            print(name, json.dumps(result["sizes"][name], indent=1), flush=True)
    result = {k: v for k, v in result["sizes"]["1080p"].items() if k in HEADLINES} | result
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")


HEADLINES = (
    "default_fps_per_core",
    "fast_fps_per_core",
    "opencv_global_fps_per_core",
    "plain_fps_per_core",
    "decode_share",
    "two_process_speedup",
    "default_over_opencv_global",
    "default_over_plain",
)


def one_thread() -> None:
    """Make this process what a worker of the pipeline is."""
    cv2.setNumThreads(1)
    keep_freed_memory()


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    cpu = [s for s in _cpuinfo().splitlines() if s.startswith("model name")]
    return {
        "cpu": cpu[0].split(":")[1].strip() if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "load_average": [round(v, 2) for v in os.getloadavg()],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "numba": numba.__version__,
        "simplejpeg": simplejpeg.__version__,
    }


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def scene_sources():
    """Yield frames of procedural scenes."""
    settings = SceneSettings(width=1280, height=720, frames=8, min_size=0.03)
    for i in range(MOST_FRAMES):
        frame = build_scene(settings, (SEED, i)).render(4)
        if not frame.absent:
            yield Source(f"scene_{i:03d}", frame.image, frame.box)


def real_sources(folder: Path):
    """Yield frames of a folder, evenly spread, that are at least 1280 pixels long."""
    files = sorted(folder.glob("**/*.jpg"))
    files = [f for f in files if max(image_size(f)) >= min(SIZES["720p"][:1])]
    for file in files[:: max(1, len(files) // MOST_FRAMES)][:MOST_FRAMES]:
        image = read_image(file)
        truth, number = file.parent / "groundtruth.txt", sorted(file.parent.glob("*.jpg"))
        height, width = image.shape[:2]
        box = np.array([width / 2 - 8, height / 2 - 8, 16, 16])
        if truth.exists():
            lines = truth.read_text().split()
            box = np.array([float(v) for v in lines[number.index(file)].split(",")])
        if np.isfinite(box).all():
            yield Source(file.parent.name, image, box)


def write_clips(sources: list[Source], data: Path, size: tuple[int, int], quality: int) -> None:
    """Write frames in GOT-10k layout at a size, each as a clip of its own."""
    for i, source in enumerate(sources):
        scale = np.tile(np.array(size) / source.image.shape[1::-1], 2)
        image = source.image
        if image.shape[1::-1] != size:
            image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        clip = data / "train" / f"{i:03d}_{source.clip}"
        clip.mkdir(parents=True)
        (clip / "00000001.jpg").write_bytes(encode_jpeg(image, quality))
        (clip / "groundtruth.txt").write_text(",".join(f"{v:.2f}" for v in source.box * scale))
    names = sorted(path.name for path in (data / "train").iterdir())
    (data / "train" / "list.txt").write_text("\n".join(names) + "\n")


def measure_size(data: Path, work: Path, seconds: float) -> dict[str, Any]:
    """Return all figures of frames of one size."""
    files = sorted(data.glob("*/*/*.jpg"))
    benches = {
        name: Bench.prepare(name, data, _folder(work, name), 1, SLOW.get(name, MOST_FRAMES))
        for name in CONFIGS
    }
    result: dict[str, Any] = {
        "files": len(files),
        "bytes_per_frame": round(float(np.mean([f.stat().st_size for f in files]))),
    }
    rates = {
        name: rate(lambda b=bench: b.score(b.shards[0]), len(bench.shards[0]), seconds)
        for name, bench in benches.items()
    }
    rows = benches["default"].shards[0].rows()
    model = load_objectness(None, "frame")
    some = rows[:: max(1, len(rows) // SLOW["plain"])][: SLOW["plain"]]
    rates["plain"] = rate(lambda: [plain_top(r.path, r.point, model) for r in some], len(some), 0)
    for name, (per_cpu, per_wall) in rates.items():
        result[f"{name}_fps_per_core"] = round(per_cpu, 3)
        result[f"{name}_fps_wall"] = round(per_wall, 3)
    default = rates["default"][0]
    result["default_over_opencv_global"] = round(default / rates["opencv_global"][0], 2)
    result["default_over_plain"] = round(default / rates["plain"][0], 1)
    result["step_ms"] = steps(benches["default"], rows)
    result["decode_share"] = round(result["step_ms"]["read"] * default / 1000, 3)
    result["two_process_speedup"] = two_process_speedup(data, work, seconds)
    return result


def _folder(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir()
    return folder


def rate(work: Callable[[], Any], frames: int, seconds: float) -> tuple[float, float]:
    """Return frames per second of processor time and by the clock, after one run to warm up."""
    work()
    cpu, wall, done = time.process_time(), time.perf_counter(), 0
    while done == 0 or time.perf_counter() - wall < seconds:
        work()
        done += frames
    return done / (time.process_time() - cpu), done / (time.perf_counter() - wall)


def steps(bench: Bench, rows: list[FrameRow]) -> dict[str, float]:
    """Return the processor time of each step of the default in ms a frame, the mean of `rows`.

    Steps are timed alone, the faster of two runs; `search` and `windows, posterior, NMS` are what
    the others leave of `edge_boxes_near` and `kept_boxes`.
    """
    config = bench.job.config
    model = load_objectness(None, "context")
    templates = read_templates(bench.job.input("proposals"))
    scorer = FrameScorer(templates, model, config.top_maps)
    search, thetas, timer = config.proposals.edgeboxes, model.thetas, StepTimer()
    for row in rows:
        frame = timer("read", lambda r=row: ViewedFrame.read(r, config.views))
        timer("views", lambda f=frame: f.of(f.image, f.point, f.settings).pictures)
        pictures = frame.pictures
        edges = timer("edges", lambda p=pictures: [gradient_edges(x) for x in p])
        timer("groups", lambda e=edges: [group_edges(x) for x in e])
        boxes, _ = timer("edge_boxes_near", lambda f=frame: edge_boxes_near(f, search))
        corners = view_corners(frame, scorer, boxes)
        for name, make in (
            ("MS", lambda x: SaliencyMaps(x, thetas.ms_scales, thetas.ms_thresholds)),
            ("CC", lambda x: ColourHistograms(x, thetas.cc_theta)),
            ("ED", lambda x: EdgeDensity(x, thetas.ed_theta)),
        ):
            both = list(zip(pictures, corners, strict=True))
            timer(name, lambda m=make, b=both: [m(x).of(c) for x, c in b])
        scored = timer("kept_boxes", lambda f=frame, b=boxes: scorer.kept_boxes(f, b))
        one = top_maps._empty_rows(1, config.top_maps)
        render = partial(top_maps._score_frame, one, 0, row, scored, config.top_maps)
        timer("map", render)
    stored = TopStore(bench.store).rows(0, len(rows))
    began = time.process_time()
    write_rows(bench.store, 0, stored)
    writing = (time.process_time() - began) * 1000 / len(rows)
    ms = {name: total * 1000 / len(rows) for name, total in timer.totals.items()}
    ms["search"] = ms.pop("edge_boxes_near") - ms["edges"] - ms["groups"]
    ms["windows, posterior, NMS"] = ms.pop("kept_boxes") - ms["MS"] - ms["CC"] - ms["ED"]
    return {name: round(value, 3) for name, value in (ms | {"write": writing}).items()}


def view_corners(frame: ViewedFrame, scorer: FrameScorer, boxes: np.ndarray) -> list[np.ndarray]:
    """Return the windows that are judged in each view of a frame, as pixels of it (n, 4)."""
    least = frame.settings.min_side_px
    windows = random_windows(scorer.templates, frame.point, *frame.size, least)
    windows = np.concatenate([windows, boxes])
    windows = within_frame(windows, *frame.size, scorer.settings.border_loss)
    chosen = frame.view_of(windows)
    return [
        pixel_corners(view.to_view(windows[chosen == i] * frame.scale), *view.size)
        for i, view in enumerate(frame.views)
    ]


class StepTimer:
    """Adds up the processor time of named steps, in seconds."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        """Run a step twice, add the shorter time and return the result."""
        times = []
        for _ in range(2):
            began = time.thread_time()
            result = work()
            times.append(time.thread_time() - began)
        self.totals[name] = self.totals.get(name, 0.0) + min(times)
        return result


def two_process_speedup(data: Path, work: Path, seconds: float) -> float:
    """Return frames per second of two processes, each with half of the frames, over one's."""
    bench = Bench.prepare("default", data, _folder(work, "two"), 2, MOST_FRAMES)
    one = _together([bench], seconds)
    two = _together([Bench(bench.job, bench.store, [shard]) for shard in bench.shards], seconds)
    return round(two / one, 3)


def _together(benches: list[Bench], seconds: float) -> float:
    """Return the frames per second, by the clock, of a process for each bench."""
    context = get_context("spawn")
    barrier, found = context.Barrier(len(benches)), context.Queue()
    processes = [
        context.Process(target=_score_for, args=(cloudpickle.dumps(b), seconds, barrier, found))
        for b in benches
    ]
    for process in processes:
        process.start()
    rates = [found.get() for _ in processes]
    for process in processes:
        process.join()
    return sum(rates)


def _score_for(pickled: bytes, seconds: float, barrier: Any, found: Any) -> None:
    one_thread()
    bench: Bench = cloudpickle.loads(pickled)
    for shard in bench.shards:
        bench.score(shard)
    barrier.wait()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        shard = bench.shards[done % len(bench.shards)]
        bench.score(shard)
        done += 1
    frames = done * np.mean([len(shard) for shard in bench.shards])
    found.put(float(frames / (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
