"""How good are TOP maps on real frames, beside the paper's own recipe and a fixed square?

    python benchmarks/top_quality.py --clips FOLDER --otb FOLDER --release FOLDER
        [--every 10] [--part all] [--json FILE]

FOLDERs: videos in GOT-10k layout with all their boxes (their source is the first part of their
name), sequences of OTB-100, and a user's copy of the objectness release 2.2 with its 50 images.
Clicks are at the centre of the true box, exact or 20 px away in a random direction.

iou: of the true box with the box of {S >= f max S}; one f for a method and an error of the click,
chosen on all frames of the clips and used everywhere. The control is a square at the click, its
side chosen likewise. area_precision, center_px: shape and place of the map, whatever its size.
Intervals: 95 %, bootstrap over videos or images. The views and the tables were chosen on every
second clip of a source: `held_out` are the others, in sorted order.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from objectness import training_frames
from socl_pipeline.annotation.clicks import noisy_points
from socl_pipeline.boxes import centered_boxes, centers, iou
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.datasets.readers import Dataset, read_got10k
from socl_pipeline.errors import InputError
from socl_pipeline.statistics import Estimate
from socl_pipeline.top.evaluation import (
    LEVELS,
    area_precision,
    best_level,
    best_square,
    level_set_boxes,
    square_precision,
    weighted_center,
)
from top_methods import Prior, decoded, quality_priors

OTB_MANIFEST = Path(__file__).parents[1] / "data_manifests" / "otb100.yaml"
NOISES_PX = (0.0, 20.0)  # 20 px: as in the paper's 4.7
CLIPS, OTB, IMAGES = "clips", "otb", "release images"
CHOSEN_ON, HELD_OUT = "chosen_on", "held_out"
CONTROL = "square at the click"
DEFAULT = "default"
FIGURES = ("iou", "area_precision", "center_px")


@dataclass(frozen=True)
class BoxedTarget:
    """One true box (4,) of an image file, and a click (2,) for each of NOISES_PX.

    group: the set and, of the clips, the part. cluster: its video or image.
    """

    path: Path
    group: tuple[str, str]
    source: str
    cluster: str
    box: np.ndarray
    clicks: np.ndarray


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--otb", type=Path, required=True)
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--every", type=int, default=10, help="use every n-th frame of a video")
    parser.add_argument("--part", choices=[HELD_OUT, CHOSEN_ON, "all"], default="all")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    started = time.perf_counter()
    targets = [
        t
        for t in (
            *clip_targets(arguments.clips, arguments.every),
            *otb_targets(arguments.otb, arguments.every),
            *image_targets(arguments.release / "training_images"),
        )
        if t.group[0] != CLIPS or arguments.part in ("all", t.group[1])
    ]
    measured = measure(targets, quality_priors(arguments.release))
    result = {
        "every": arguments.every,
        "part": arguments.part,
        "seconds": round(time.perf_counter() - started),
        "noises": {
            f"{noise:g} px": summary(targets, methods)
            for noise, methods in zip(NOISES_PX, measured, strict=True)
        },
    }
    print_tables(result["noises"])
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def clip_targets(folder: Path, every: int) -> Iterator[BoxedTarget]:
    """Yield every n-th boxed frame of clips in GOT-10k layout."""
    seen: dict[str, int] = {}
    for clip in sorted(path.parent for path in folder.glob("**/groundtruth.txt")):
        source = clip.name.split("_")[0]
        part = HELD_OUT if seen.get(source, 0) % 2 else CHOSEN_ON
        seen[source] = seen.get(source, 0) + 1
        yield from _video_targets(read_got10k(clip), every, (CLIPS, part), source)
    if not seen:
        raise InputError(f"{folder}: no folder in it has a groundtruth.txt (GOT-10k layout)")


def otb_targets(folder: Path, every: int) -> Iterator[BoxedTarget]:
    """Yield every n-th frame of the OTB sequences that are there."""
    dataset = Dataset(load_manifest(OTB_MANIFEST), folder)
    for name in dataset.names():
        if (folder / name).is_dir():
            yield from _video_targets(dataset.read(name), every, (OTB, ""), OTB)


def _video_targets(video, every: int, group: tuple[str, str], source: str):
    middles = centers(video.boxes)
    clicks = np.stack([noisy_points(middles, noise, 0, video.name) for noise in NOISES_PX], axis=1)
    clicks = np.clip(clicks, 0, [video.width - 1, video.height - 1])
    for i in range(0, len(video.frames), every):
        box = video.boxes[i]
        if np.isfinite(box).all() and box[2:].min() > 0:
            yield BoxedTarget(video.frames[i], group, source, video.name, box, clicks[i])


def image_targets(folder: Path) -> Iterator[BoxedTarget]:
    """Yield the boxes of the release's images."""
    for frame in training_frames(folder):
        height, width = decoded(frame.path).shape[:2]
        middles = centers(frame.boxes)
        for i, box in enumerate(frame.boxes):
            clicks = [noisy_points(middles, noise, 0, frame.group)[i] for noise in NOISES_PX]
            clicks = np.clip(clicks, 0, [width - 1, height - 1])
            yield BoxedTarget(frame.path, (IMAGES, ""), IMAGES, frame.group, box, clicks)


def measure(targets: list[BoxedTarget], priors: dict[str, Prior]) -> list[dict[str, dict]]:
    """Return, for each of NOISES_PX and by method, each of FIGURES (n,) of the targets."""
    rows: list[dict[str, list]] = [{name: [] for name in priors} for _ in NOISES_PX]
    sizes = []
    for target in targets:
        height, width = decoded(target.path).shape[:2]
        sizes.append((width, height))
        for found, click in zip(rows, target.clicks, strict=True):
            for name, prior in priors.items():
                boxes, scores = prior(target.path, click)
                overlaps = iou(level_set_boxes(boxes, scores, width, height), target.box)
                precision = area_precision(boxes, scores, target.box, width, height)
                away = np.linalg.norm(weighted_center(boxes, scores) - centers(target.box))
                found[name].append((overlaps, precision, away))
    chosen_on = np.array([t.group[0] == CLIPS for t in targets])
    return [
        {name: _at_best_level(part, chosen_on) for name, part in found.items()}
        | {CONTROL: _square(targets, np.array(sizes), k, chosen_on)}
        for k, found in enumerate(rows)
    ]


def _at_best_level(rows: list[tuple], chosen_on: np.ndarray) -> dict:
    overlaps, precision, away = (np.array(column) for column in zip(*rows, strict=True))
    level, _ = best_level(overlaps[chosen_on])
    values = zip(FIGURES, (overlaps[:, level], precision, away), strict=True)
    return {"number": f"f = {LEVELS[level]:.2f}"} | dict(values)


def _square(
    targets: list[BoxedTarget], sizes: np.ndarray, noise: int, chosen_on: np.ndarray
) -> dict:
    """Return the control's figures: those of the best square of one size for all clips."""
    points = np.array([t.clicks[noise] for t in targets])
    truth = np.array([t.box for t in targets])
    best = best_square(points[chosen_on], sizes[chosen_on], truth[chosen_on])
    scale = np.sqrt(sizes.prod(axis=1)) if best.unit == "share" else np.ones(len(targets))
    overlaps = iou(centered_boxes(points, np.outer(scale * best.side, [1, 1])), truth)
    away = np.linalg.norm(points - centers(truth), axis=1)
    values = zip(FIGURES, (overlaps, square_precision(points, sizes, truth), away), strict=True)
    return {"number": f"{best.side:.3g} {best.unit}"} | dict(values)


def summary(targets: list[BoxedTarget], methods: dict[str, dict]) -> dict:
    """Return by group of targets and by method: each figure, its interval, and default's lead."""
    clusters = np.array([t.cluster for t in targets])
    return {
        title: {"n": int(members.sum()), "clusters": len(np.unique(clusters[members]))}
        | {
            name: {"number": found["number"]}
            | {
                figure: _with_intervals(
                    found[figure][members], methods[DEFAULT][figure][members], clusters[members]
                )
                for figure in FIGURES
            }
            for name, found in methods.items()
        }
        for title, members in _groups(targets).items()
    }


def _groups(targets: list[BoxedTarget]) -> dict[str, np.ndarray]:
    """Return which targets (n,) belong to each set, part of the clips, and source of them."""
    kinds = [
        [t.group[0] for t in targets],
        [" ".join(t.group) if t.group[1] else "" for t in targets],
        [f"{CLIPS} {t.source}" if t.group[1] else "" for t in targets],
        [f"{CLIPS} {t.source} {t.group[1]}" if t.group[1] else "" for t in targets],
    ]
    return {
        title: np.array([k == title for k in kind])
        for kind in kinds
        for title in dict.fromkeys(kind)
        if title
    }


def _with_intervals(values: np.ndarray, default: np.ndarray, clusters: np.ndarray) -> dict:
    own, lead = Estimate.of(values, clusters), Estimate.of(default - values, clusters)
    return {
        "mean": _rounded(own.mean),
        "interval": [_rounded(own.low), _rounded(own.high)],
        "default_minus": _rounded(lead.mean),
        "default_minus_interval": [_rounded(lead.low), _rounded(lead.high)],
    }


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None  # one cluster has no interval


def print_tables(noises: dict[str, dict]) -> None:
    """Print a table for each error of the click and each group of targets."""
    for noise, groups in noises.items():
        for title, group in groups.items():
            print(f"\nclick off by {noise}: {title}, {group['n']} in {group['clusters']}")
            print(f"{'':28}{'':14}" + "".join(f"{f:>52}" for f in FIGURES))
            for name, found in group.items():
                if isinstance(found, dict):
                    cells = "".join(f"{_cell(found[f], name):>52}" for f in FIGURES)
                    print(f"{name:28}{found['number']:>14}{cells}")


def _cell(figure: dict, name: str) -> str:
    """Return a mean, and default's lead over it, each with its interval."""
    shown = _shown(figure["mean"], figure["interval"], "")
    if name == DEFAULT:
        return shown
    lead = _shown(figure["default_minus"], figure["default_minus_interval"], "+")
    return f"{shown}  ({lead})"


def _shown(mean: float, interval: list, sign: str) -> str:
    bounds = "" if None in interval else f" [{interval[0]:{sign}.3f}, {interval[1]:{sign}.3f}]"
    return f"{mean:{sign}.3f}{bounds}"


if __name__ == "__main__":
    main()
