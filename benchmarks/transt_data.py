"""How fast does TransT train, and does it wait for its data?

    python benchmarks/transt_data.py --json FILE [--frames FOLDER] [--seconds 20] [--quality 75]

The frames are those of socl_data.py; their patches have 512 px, as those of the variant `wide`.
full: the published network (ResNet-50, 128 and 256 px, four layers) from random weights in bf16;
on a CPU its steps have few pairs, with a GPU the published 38 and as many loader threads as the
machine has cores, up to 8. small: that of real_clips.yaml, from patches of 256 px.

images_per_second: of whole steps of the full network, two images a pair. wait_share: of their
time. loader_images_per_second: what one thread decodes in a second of processor time.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from socl_data import BATCH, endless_rows, measure_step, rate, write_frames, write_patches
from socl_pipeline.patches.loader import load_batch
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.settings import PatchSettings, TransTModelSettings
from socl_pipeline.settings.transt_model import TransTShapeSettings
from top_maps import machine, one_thread, real_sources, scene_sources

CPU_PAIRS, GPU_PAIRS, SMALL_PAIRS = 2, 38, 19  # GPU: as published
FULL = TransTModelSettings(kind="transt")
SMALL = TransTModelSettings(
    kind="transt",
    backbone="squeezenet1_1",
    template=64,
    window=128,
    shape=TransTShapeSettings(width=128, heads=4, layers=1, feedforward=512),
)


def loader_rate(patches: PatchSet, seconds: float) -> float:
    """Return how many patches a thread decodes in a second of processor time."""
    rows = endless_rows(patches, BATCH)
    return rate(lambda: load_batch(patches, next(rows)), BATCH, seconds)["cpu"]


def measure(
    files: list[Path], boxes: np.ndarray, folder: Path, device: torch.device, seconds: float
) -> dict[str, Any]:
    """Return all figures, the headlines first."""
    packed = {
        size: write_patches(files, boxes, folder / str(size), PatchSettings(size=size))
        for size in (512, 256)
    }
    gpu = device.type == "cuda"
    workers = min(8, os.cpu_count() or 1) if gpu else 1
    pairs = GPU_PAIRS if gpu else CPU_PAIRS
    full = measure_step(packed[512], device, pairs, workers, seconds, FULL)
    return {
        "images_per_second": full["images_per_second"],
        "wait_share": full["wait_share"],
        "loader_images_per_second": loader_rate(packed[512], seconds / 4),
        "full": full,
        "small": measure_step(packed[256], device, SMALL_PAIRS, workers, seconds, SMALL),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--frames", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--quality", type=int, default=75, help="of the JPEGs of frames")
    given = parser.parse_args()
    one_thread()
    torch.set_num_threads(1)
    sources = list(real_sources(given.frames) if given.frames else scene_sources())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        files, boxes = write_frames(sources, Path(folder), given.quality)
        result = measure(files, boxes, Path(folder), device, given.seconds)
    result["machine"] = machine() | {"torch": torch.__version__}
    print(json.dumps(result, indent=1))
    given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
