"""Which objectness tables rank the windows around a click best? AUC within each object.

    python benchmarks/objectness.py --release FOLDER [--views frame] [--json FILE]

FOLDER: a user's copy of the objectness release 2.2 with its parameters and, in training_images/,
the 50 images and structGT.mat that it was fitted on. Compared on those images: the shipped tables,
the released ones (which saw these images) with either look-up of edge density, and a refit whose
figures are held out by 5 folds over images. Windows: as `socl fit-objectness` draws them.
"""

import argparse
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
from scipy.io import loadmat

from socl_pipeline.top.objectness.boxed_frames import BoxedFrame, csv_frames
from socl_pipeline.top.objectness.clicked import frame_source
from socl_pipeline.top.objectness.fit import FitOptions, fit_views, fit_windows
from socl_pipeline.top.objectness.model import load_objectness
from socl_pipeline.top.objectness.release import read_release
from socl_pipeline.top.objectness.reliability import auc, held_out, within_object_auc


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--views", choices=["context", "frame"], default="context")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    views = fit_views(arguments.views, None)
    options = FitOptions(views)
    frames = training_frames(arguments.release / "training_images")
    windows, thetas = fit_windows(frame_source("training images", frames).objects, options)
    models = {
        "shipped": load_objectness(None, arguments.views),
        "released, ED as shipped": read_release(arguments.release, "as_shipped"),
        "released, ED corrected": read_release(arguments.release, "corrected"),
    }
    scores = {name: m.posterior(windows.cues, windows.log_side) for name, m in models.items()}
    refits = {
        "refit, 5-fold": options,
        "refit with size, 5-fold": FitOptions(views, size_cue=True),
    }
    for name, chosen in refits.items():
        result = held_out(windows, thetas, chosen)
        assert result is not None
        scores[name] = result.posterior
    rows = {
        name: {
            "within_object_auc": round(within_object_auc(s, windows), 4),
            "auc": round(auc(s, windows.is_object), 4),
            "brier": round(float(np.mean((s - windows.is_object) ** 2)), 4),
        }
        for name, s in scores.items()
    }
    print(windows.counts(), f"prior {windows.is_object.mean():.4f}")
    for name, row in rows.items():
        print(f"{name:26}", *(f"{key} {value:.4f}" for key, value in row.items()), sep="  ")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


def training_frames(folder: Path) -> list[BoxedFrame]:
    """Return the release's images with their boxes."""
    with tempfile.TemporaryDirectory() as temporary:
        table = Path(temporary) / "boxes.csv"
        table.write_text(training_boxes(folder))
        return csv_frames(table, folder)


def training_boxes(folder: Path) -> str:
    """Return the boxes of structGT.mat (1-based corners, names in .png) as CSV text."""
    content = loadmat(folder / "structGT.mat", squeeze_me=True, struct_as_record=False)
    lines = ["image,x,y,w,h"]
    for entry in content["structGT"]:
        for x0, y0, x1, y1 in np.atleast_2d(entry.boxes).astype(int):
            name = Path(entry.img).with_suffix(".jpg")
            lines.append(f"{name},{x0 - 1},{y0 - 1},{x1 - x0 + 1},{y1 - y0 + 1}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
