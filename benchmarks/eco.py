"""How fast is ECO? Frames a second of one core, against OpenCV's CSRT and KCF.

    python benchmarks/eco.py --json FILE [--frames 60 --videos 3]

Videos of 640 x 360 pixels with a moving background are drawn; every tracker starts on the true box
of the first frame, and takes turns with the others, video by video. One thread. ResNet-18 has
random weights, which cost what trained ones do; its features are conv1 and layer3, with HOG.

hog_resnet18_fps (in bf16), hog_resnet18_float32_fps, hog_fps, csrt_fps, kcf_fps: frames after the
first over the seconds that `update` takes, of the processor (`clock`: of the clock, which also
counts the waits of a shared machine). init_seconds: of HOG + ResNet-18, the mean over videos.
mean_iou: with the true box, to
see that the object was followed (random weights follow it worse). parts: the share of an update
that goes to computing features.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from socl_pipeline.boxes import iou
from socl_pipeline.datasets.scenes import RenderedVideo, SceneSettings, render_video
from socl_pipeline.models import build_backbone
from socl_pipeline.settings import EcoSettings
from socl_pipeline.trackers.base import Tracker
from socl_pipeline.trackers.eco.eco import Eco
from socl_pipeline.trackers.eco.features import FeatureExtractor
from socl_pipeline.trackers.opencv import OpenCVTracker

WIDTH, HEIGHT = 640, 360


class Timed:
    """A tracker with what it needed: seconds of the processor and of the clock."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.frames = 0
        self.seconds = np.zeros(2)
        self.init_seconds: list[np.ndarray] = []
        self.overlaps: list[float] = []

    def follow(self, video: RenderedVideo) -> None:
        """Track a video."""
        self.init_seconds.append(
            seconds(lambda: self.tracker.init(video.frames[0], video.boxes[0]))
        )
        for frame, truth in zip(video.frames[1:], video.boxes[1:], strict=True):
            start = clocks()
            box = self.tracker.update(frame)
            self.seconds += clocks() - start
            self.frames += 1
            self.overlaps.append(float(iou(box[None], truth[None])[0]))

    def result(self) -> dict[str, Any]:
        """Return the figures of all videos."""
        processor, clock = (self.frames / self.seconds).tolist()
        first = np.mean(self.init_seconds, axis=0).tolist()
        return {
            "fps": processor,
            "fps_clock": clock,
            "init_seconds": first[0],
            "init_seconds_clock": first[1],
            "mean_iou": float(np.nanmean(self.overlaps)),
        }


def clocks() -> np.ndarray:
    """Return the seconds of the processor and of the clock."""
    return np.array([time.process_time(), time.perf_counter()])


def seconds(action: Callable[[], object]) -> np.ndarray:
    """Return what an action takes."""
    start = clocks()
    action()
    return clocks() - start


def feature_share(tracker: Eco, video: RenderedVideo) -> float:
    """Return the share of updates that features take."""
    spent = 0.0

    def begin() -> None:
        nonlocal spent
        spent -= time.process_time()

    def end() -> None:
        nonlocal spent
        spent += time.process_time()

    tracker.init(video.frames[0], video.boxes[0])
    start = time.process_time()
    with patch.object(FeatureExtractor, "__call__", around(FeatureExtractor.__call__, begin, end)):
        for frame in video.frames[1:]:
            tracker.update(frame)
    return spent / (time.process_time() - start)


def around(function: Callable[..., Any], begin: Callable[[], None], end: Callable[[], None]) -> Any:
    """Return a function that calls `begin` before another one and `end` after it."""

    def timed(*arguments: Any) -> Any:
        begin()
        found = function(*arguments)
        end()
        return found

    return timed


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--videos", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    scene = SceneSettings(WIDTH, HEIGHT, given.frames, 0.1, 0.2, occluder_share=0.0)
    videos = [render_video(scene, seed) for seed in range(given.videos + 1)]
    network = build_backbone("resnet18", 0).eval()
    deep = Eco(EcoSettings(precision="bf16"), network)
    hog = Eco(EcoSettings())
    trackers = {
        "hog_resnet18": Timed(deep),
        "hog_resnet18_float32": Timed(Eco(EcoSettings(precision="float32"), network)),
        "hog": Timed(hog),
        "csrt": Timed(OpenCVTracker("csrt")),
        "kcf": Timed(OpenCVTracker("kcf")),
    }
    for timed in trackers.values():  # compiles what is compiled, unmeasured
        Timed(timed.tracker).follow(videos[0])
    for video in videos[1:]:
        for timed in trackers.values():
            timed.follow(video)
    results = {name: timed.result() for name, timed in trackers.items()}
    figures = {f"{name}_fps": r["fps"] for name, r in results.items()} | {
        "init_seconds": results["hog_resnet18"]["init_seconds"],
        "hog_over_csrt": results["hog"]["fps"] / results["csrt"]["fps"],
        "parts": {
            "hog_resnet18": feature_share(deep, videos[1]),
            "hog": feature_share(hog, videos[1]),
        },
        "trackers": results,
        "frames": given.videos * (given.frames - 1),
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }
    text = json.dumps(figures, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
