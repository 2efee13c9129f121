"""Do TOP maps beat a fixed-size prior at the click? Box IoU at one global number for each.

    python benchmarks/top_prior.py --config FILE --dataset NAME [--every 4] [--json FILE]

Reads a finished TOP-map store and the dataset's own boxes (all of them, not only the sparse ones
that the pipeline keeps). TOP: box of {S >= f max S}, one f for all frames. Control: a square at
the click, one side for all frames. Each number is the best for the whole dataset. Sources are the
parts of video names before the first underscore.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from socl_pipeline.annotation.table import frame_rows, read_points
from socl_pipeline.boxes import iou
from socl_pipeline.pipeline.stages import Job, Target
from socl_pipeline.settings import load_config
from socl_pipeline.top.evaluation import LEVELS, best_level, best_square, level_set_boxes
from socl_pipeline.top.store.store import TopStore


def main() -> None:
    """Measure and print, per source and in all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--every", type=int, default=4, help="use every n-th frame")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    job = Job(
        load_config(arguments.config),
        Target.of("patches", dataset=arguments.dataset),
        arguments.results,
    )
    store = TopStore(job.input("top_maps"))
    top = store.rows(0, len(store), maps=False)
    chosen = np.flatnonzero(top.count > 0)[:: arguments.every].tolist()
    rows = frame_rows(read_points(job.input("points")).take(list(chosen)), job.dataset.root)
    truth = true_boxes(job, rows)
    boxes = np.array(
        [
            level_set_boxes(
                top.boxes[i][: top.count[i]],
                top.scores[i][: top.count[i]],
                int(top.sizes[i, 0]),
                int(top.sizes[i, 1]),
                LEVELS,
            )
            for i in chosen
        ]
    )
    result = compare(rows, boxes, truth)
    print(f"level f = {result['level']:.2f}, square: {result['square']}")
    for name, row in result["sources"].items():
        print(f"{name:8} n {row['n']:5}  TOP {row['top']:.3f}  square {row['square']:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def true_boxes(job: Job, rows: list) -> np.ndarray:
    """Return the dataset's own box (n, 4) of each row."""
    videos = {name: job.dataset.read(name).boxes for name in {r.video for r in rows}}
    return np.stack([videos[r.video][r.frame] for r in rows])


def compare(rows: list, boxes: np.ndarray, truth: np.ndarray) -> dict:
    """Return the mean IoU of both priors, per source, at their best global numbers."""
    points = np.stack([r.point for r in rows])
    sizes = np.array([[r.width, r.height] for r in rows])
    ious = iou(boxes, truth[:, None])
    level, _ = best_level(ious)
    square = best_square(points, sizes, truth)
    source = np.array([r.video.split("_")[0] for r in rows])
    parts = {name: source == name for name in dict.fromkeys(source.tolist())}
    parts["all"] = np.ones(len(rows), bool)
    return {
        "level": float(LEVELS[level]),
        "square": f"{square.side:.3g} {square.unit}",
        "sources": {
            name: {
                "n": int(part.sum()),
                "top": round(float(ious[part, level].mean()), 4),
                "square": round(float(square.ious[part].mean()), 4),
            }
            for name, part in parts.items()
        },
    }


if __name__ == "__main__":
    main()
