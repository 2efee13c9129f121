"""How fast are trackers scored? 100 sequences and 20 trackers, against the GOT-10k toolkit.

    python benchmarks/scoring.py --json FILE [--got10k-python PYTHON] [--runs 3]

The same text files are read and scored by both, one process and one thread each, run in turns:
OTB-like truth (whole pixels) and results (three decimals) of the 59,040 frames that OTB-100 has,
drawn from a seed. PYTHON: of an environment with the toolkit, which is none of this project's
(`python -m venv got10k; got10k/bin/pip install got10k six`); without it only ours is timed. It
evaluates as it does for OTB (plain_scoring.py), without its plots and its report; ours gives
normalised precision as well.

seconds, got10k_seconds: of the processor, the least of all runs, from the files to the scores of
all sequences and trackers (`clock`: of the clock, which also counts the waits of a shared
machine). ratio: the second over the first. difference: the largest between their scores, of AUC
and of precision at 20 px, over all sequences and trackers.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from socl_pipeline.benchmarks.box_text import read_boxes
from socl_pipeline.benchmarks.ope import CONVENTIONS, OpeScores, Targets

SEQUENCES, TRACKERS, FRAMES = 100, 20, 59_040
TRUTH = "groundtruth_rect.txt"
PLAIN = Path(__file__).with_name("plain_scoring.py")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def write_benchmark(folder: Path, seed: int = 0) -> None:
    """Draw sequences and results and write them as the toolkit expects them; images are empty."""
    rng = np.random.default_rng(seed)
    for i, frames in enumerate(draw_lengths(rng)):
        name = f"sequence_{i:03d}"
        truth = draw_truth(rng, int(frames))
        images = folder / "otb" / name / "img"
        images.mkdir(parents=True)
        for number in range(1, frames + 1):
            (images / f"{number:04d}.jpg").touch()
        np.savetxt(images.parent / TRUTH, truth, fmt="%d", delimiter=",")
        for t in range(TRACKERS):
            results = folder / "results" / "OTBscored" / f"tracker_{t:02d}"
            results.mkdir(parents=True, exist_ok=True)
            # the worse a tracker, the further off, up to a loss
            track = truth + rng.normal(0, 1 + t, truth.shape) * rng.uniform(0, 2, (len(truth), 1))
            track[:, 2:] = np.maximum(track[:, 2:], 1)
            np.savetxt(results / f"{name}.txt", track, fmt="%.3f", delimiter=",")


def draw_lengths(rng: np.random.Generator) -> np.ndarray:
    """Return how long sequences are: most short, some long, as in OTB-100, `FRAMES` together."""
    lengths = np.exp(rng.normal(0, 0.8, SEQUENCES))
    lengths = np.maximum(lengths / lengths.sum() * FRAMES, 50).astype(int)
    lengths[lengths.argmax()] += FRAMES - lengths.sum()
    return lengths


def draw_truth(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Return 1-based boxes (frames, 4) in whole pixels that wander and change their size."""
    corners = 200 + np.cumsum(rng.normal(0, 2, (frames, 2)), axis=0)
    sides = 60 * np.exp(np.cumsum(rng.normal(0, 0.01, (frames, 2)), axis=0))
    return np.rint(np.concatenate([np.abs(corners) + 1, np.maximum(sides, 8)], axis=1))


def score_all(folder: Path) -> dict[str, OpeScores]:
    """Read and score all trackers; returns their scores."""
    names = sorted(p.name for p in (folder / "otb").iterdir())
    zero_based = np.array([1.0, 1.0, 0.0, 0.0])
    truth = [read_boxes(f"{folder}/otb/{name}/{TRUTH}") - zero_based for name in names]
    targets = Targets(truth, CONVENTIONS["got10k"])
    scores = {}
    for results in sorted((folder / "results" / "OTBscored").iterdir()):
        place = str(results)
        tracks = [read_boxes(f"{place}/{name}.txt") - zero_based for name in names]
        scores[results.name] = targets.score(tracks)
    return scores


def clocks() -> np.ndarray:
    """Return the seconds of the processor and of the clock."""
    return np.array([time.process_time(), time.perf_counter()])


def timed(folder: Path) -> np.ndarray:
    """Return the seconds (2,) that scoring all trackers takes."""
    start = clocks()
    score_all(folder)
    return clocks() - start


def toolkit(python: Path, folder: Path) -> dict[str, Any]:
    """Run the toolkit once on the same files."""
    command = [str(python), str(PLAIN), str(folder), "1"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ONE_THREAD
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def largest_difference(ours: dict[str, OpeScores], theirs: dict[str, Any], folder: Path) -> float:
    """Return the largest difference of a score, of AUC and of precision, of all there are."""
    names = sorted(p.name for p in (folder / "otb").iterdir())
    gaps = []
    for tracker, scores in ours.items():
        mean = scores.mean()
        own = np.stack([scores.auc, scores.precision], axis=1)
        other = np.array([theirs[tracker][name] for name in names])
        gaps += [np.abs(own - other).max()]
        gaps += [np.abs(np.array([mean.auc, mean.precision]) - theirs[tracker][""]).max()]
    return float(max(gaps))


def main() -> None:
    """Write the figures and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--got10k-python", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_benchmark(folder)
        scores = score_all(folder)  # compiles, and brings the files into memory
        ours, theirs, plain = [], [], {}
        for _ in range(arguments.runs):
            ours.append(timed(folder))
            if arguments.got10k_python:
                plain = toolkit(arguments.got10k_python, folder)
                theirs += plain["seconds"]
        result = figures(np.array(ours), np.array(theirs))
        if plain:
            result["difference"] = largest_difference(scores, plain["scores"], folder)
            result["got10k_version"] = plain["version"]
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def figures(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Return the figures of runs (n, 2), seconds of the processor and of the clock."""
    result: dict[str, Any] = {
        "seconds": float(ours[:, 0].min()),
        "seconds_clock": float(ours[:, 1].min()),
        "sequences": SEQUENCES,
        "trackers": TRACKERS,
        "frames": FRAMES,
        "runs": len(ours),
        "machine": platform.processor() or platform.machine(),
    }
    if len(theirs):
        result["got10k_seconds"] = float(theirs[:, 0].min())
        result["got10k_seconds_clock"] = float(theirs[:, 1].min())
        result["ratio"] = result["got10k_seconds"] / result["seconds"]
        result["ratio_clock"] = result["got10k_seconds_clock"] / result["seconds_clock"]
    return result


if __name__ == "__main__":
    main()
