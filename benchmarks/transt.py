"""How fast is the TransT tracker? Frames a second of one thread, and on a GPU where there is one.

    python benchmarks/transt.py --json FILE [--frames 20 --trunk resnet50 --compile]

A video of 640 x 360 pixels with a moving background is drawn and followed from its true first box.
Weights are random, which cost what trained ones do; the network is the published one: 128 px
templates, 256 px search patches, four fusion layers.

full_fps: frames after the first over the seconds that `update` takes, in float32, of the processor
(`clock`: of the clock, which also counts the waits of a shared machine; on a GPU only that says
something). bf16_fps: the same in bfloat16. parameters: of the network. parts: seconds of one frame
for its trunk and for what follows. plain_fps: what the same network does with torch's own
`nn.MultiheadAttention` and convolutions, channels first, as one writes it down; ratio: how much
faster the tracker is, cropping included. With --compile, and on a GPU, all is measured with
torch.compile, too, which costs a minute before the first frame.
"""

import argparse
import copy
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from socl_pipeline.datasets.scenes import RenderedVideo, SceneSettings, render_video
from socl_pipeline.models.device import choose_device
from socl_pipeline.settings.transt import TrunkName
from socl_pipeline.trackers.transt import TransTTracker
from socl_pipeline.transt.attention import Attention, CrossFeature, EgoContext
from socl_pipeline.transt.checkpoint import SEARCH_PX, Trained, build_network
from socl_pipeline.transt.network import TransTShape

WIDTH, HEIGHT = 640, 360
WARM_UP = 3  # frames: memory, and the choice of kernels


def clocks(device: torch.device) -> np.ndarray:
    """Return the seconds of the processor and of the clock, when the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return np.array([time.process_time(), time.perf_counter()])


def follow(tracker: TransTTracker, video: RenderedVideo) -> dict[str, float]:
    """Return the speed of a tracker on a video, and the seconds of its first frame."""
    start = clocks(tracker.device)
    tracker.init(video.frames[0], video.boxes[0])
    first = clocks(tracker.device) - start
    for frame in video.frames[1 : 1 + WARM_UP]:
        tracker.update(frame)
    start = clocks(tracker.device)
    for frame in video.frames[1 + WARM_UP :]:
        tracker.update(frame)
    frames = len(video.frames) - 1 - WARM_UP
    processor, clock = (frames / (clocks(tracker.device) - start)).tolist()
    return {"fps": processor, "fps_clock": clock, "init_seconds_clock": float(first[1])}


@torch.inference_mode()
def parts(tracker: TransTTracker, runs: int) -> dict[str, float]:
    """Return the processor's and the clock's seconds of trunk and fusion on one search patch."""
    network, device = tracker._network, tracker.device
    patch = torch.full((1, 3, SEARCH_PX, SEARCH_PX), 128.0, device=device)
    patch = patch.contiguous(memory_format=torch.channels_last)
    found = {}
    with tracker._autocast():
        template = network.remember(network.encode(patch[:, :, :128, :128]))
        tokens = network.encode(patch)
        actions: dict[str, Callable[[], object]] = {
            "trunk": lambda: network.trunk(patch),
            "fusion": lambda: network.match(template, tokens),
        }
        for name, action in actions.items():
            action()
            start = clocks(device)
            for _ in range(runs):
                action()
            processor, clock = ((clocks(device) - start) / runs).tolist()
            found |= {f"{name}_seconds": processor, f"{name}_seconds_clock": clock}
    return found


class PlainAttention(nn.Module):
    """`nn.MultiheadAttention`, which computes its weights, too, unless told not to."""

    def __init__(self, ours: Attention) -> None:
        super().__init__()
        width = ours.in_proj_weight.shape[1]
        self.attention = nn.MultiheadAttention(width, ours.heads, batch_first=True)
        self.attention.load_state_dict(ours.state_dict())

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return what `Attention` does."""
        mixed: Tensor = self.attention(query, key, value)[0]
        return mixed


@torch.no_grad()  # in inference mode, our own linear layers would come in
def plain_seconds(trained: Trained, device: torch.device, runs: int) -> np.ndarray:
    """Return the processor's and the clock's seconds of a search patch, template features kept."""
    network = copy.deepcopy(trained.network).to(device)
    for module in list(network.modules()):
        if isinstance(module, EgoContext | CrossFeature):
            module.attention = PlainAttention(module.attention).to(device)  # type: ignore[assignment]
    network.eval()
    patch = torch.full((1, 3, SEARCH_PX, SEARCH_PX), 128.0, device=device)
    template = network.encode(patch[:, :, :128, :128].contiguous())
    for run in range(1 + runs):
        if run == 1:
            start = clocks(device)
        network.match(network.remember(template), network.encode(patch))
    return (clocks(device) - start) / runs


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--trunk", choices=get_args(TrunkName), default="resnet50")
    parser.add_argument("--compile", action="store_true", help="with torch.compile, too")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device(given.device)
    frames = given.frames + 1 + WARM_UP
    video = render_video(SceneSettings(WIDTH, HEIGHT, frames, 0.1, 0.2, occluder_share=0.0), 0)
    trained = Trained(build_network(given.trunk, TransTShape(), 0).eval())
    runs: dict[str, Any] = {}
    for precision in ("float32", "bf16"):
        tracker = TransTTracker(trained, device, precision)
        runs[precision] = follow(tracker, video)
        runs[precision]["parts"] = parts(tracker, given.frames)
        if given.compile or device.type == "cuda":
            tracker = TransTTracker(trained, device, precision, compiled=True)
            runs[f"{precision}_compiled"] = follow(tracker, video)
    key = "fps_clock" if device.type == "cuda" else "fps"
    plain = 1 / float(plain_seconds(trained, device, given.frames)[int(key == "fps_clock")])
    figures = {
        "full_fps": runs["float32"][key],
        "bf16_fps": runs["bf16"][key],
        "plain_fps": plain,
        "ratio": runs["float32"][key] / plain,
        "parameters": sum(p.numel() for p in trained.network.parameters()),
        "trunk": given.trunk,
        "frames": given.frames,
        "runs": runs,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }
    text = json.dumps(figures, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
