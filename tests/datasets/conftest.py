"""Tiny copies of every benchmark layout, as their organisers give them out."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.readers import Dataset

WIDTH, HEIGHT = 48, 36
JPEG = encode_jpeg(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), 80)


@dataclass(frozen=True)
class Copy:
    """A copy on disk: its dataset, one of its sequences, and that sequence's files."""

    dataset: Dataset
    name: str
    frames: Path
    truth: Path


def images(folder, numbers, digits):
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / f"{number:0{digits}d}.jpg").write_bytes(JPEG)


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))


def boxes(count, start=1):
    return [f"{start + i},{5 + i},10,8" for i in range(count)]


def otb(root):
    for name in ("Car", "Dog"):
        images(root / name / "img", range(1, 7), 4)
        lines(root / name / "groundtruth_rect.txt", [b.replace(",", "\t") for b in boxes(4)])
    entry = {"frames": [2, 5], "attributes": ["IV", "OCC"]}
    return {"sequences": {"Car": entry, "Dog": {"frames": [2, 5]}}}, "Car"


def uav123(root):
    images(root / "data_seq/UAV123/bird", range(1, 10), 6)
    for name, count in {"bird_1": 4, "bird_2": 5}.items():
        lines(root / f"anno/UAV123/{name}.txt", [*boxes(count - 1), "NaN,NaN,NaN,NaN"])
        lines(root / f"anno/UAV123/att/{name}.txt", ["1,0,0,0,1,0,0,0,0,0,0,1"])
    sequences = {
        "bird_1": {"folder": "bird", "frames": [1, 4]},
        "bird_2": {"folder": "bird", "frames": [5, 9]},
    }
    return {"sequences": sequences}, "bird_2"


def lasot(root):
    for name in ("cat-1", "cat-20"):
        folder = root / "cat" / name
        images(folder / "img", range(1, 6), 8)
        lines(folder / "groundtruth.txt", [*boxes(3), "0,0,0,0", "4,5,10,8"])
        lines(folder / "full_occlusion.txt", ["0,0,0,1,0"])
        lines(folder / "out_of_view.txt", ["0,0,0,0,0"])
        lines(root / f"att/{name}.txt", ["1,0,0,0,0,0,0,0,0,1,0,0,0,0"])
    return {"sequences": ["cat-1", "cat-20"]}, "cat-1"


def trackingnet(root):
    for name in ("a_b-1_0", "z_0"):
        images(root / "TEST/frames" / name, range(12), 0)
        lines(root / f"TEST/anno/{name}.txt", ["1.5,2,10,8"])
    splits = {"test": {"folder": "TEST", "sequences": 2}, "train_0": {"folder": "TRAIN_0"}}
    return {"splits": splits}, "z_0"


def got10k(root):
    for split, count in {"val": 4, "test": 1}.items():
        for name in ("GOT_1", "GOT_2"):
            images(root / split / name, range(1, 5), 8)
            lines(root / split / name / "groundtruth.txt", boxes(count))
            if split == "val":
                lines(root / split / name / "absence.label", [0, 0, 1, 0])
                lines(root / split / name / "cover.label", [8, 4, 0, 8])
        lines(root / split / "list.txt", ["GOT_1", "GOT_2"])
    splits = {name: {"folder": name, "sequences": 2} for name in ("val", "test")}
    return {"splits": splits, "protocol": "got10k"}, "GOT_1"


def vot(root, colour="color", suffix=".tag"):
    for name in ("ants", "bag"):
        images(root / name / colour, range(1, 5), 8)
        turned = "21,11,31,21,21,31,11,21"  # a square on its tip
        lines(root / name / "groundtruth.txt", [turned, "6,5,15,5,15,14,6,14", turned, turned])
        lines(root / name / f"occlusion{suffix}", [0, 1])  # ends before the video does
        lines(root / name / f"camera_motion{suffix}", [0, 0, 0, 0])
    lines(root / "list.txt", ["ants", "bag"])
    constants = {"protocol": "vot", "constants": {"eao_interval": [2, 4]}}
    return {"sequences": ["ants", "bag"], **constants}, "ants"


def vot_of_2016(root):
    return vot(root, "", ".label")


MAKERS = {
    "otb": otb,
    "uav123": uav123,
    "lasot": lasot,
    "trackingnet": trackingnet,
    "got10k": got10k,
    "vot": vot,
    "vot2016": vot_of_2016,
}


@pytest.fixture
def make_copy(tmp_path):
    """A function that writes a copy in a layout (or VOT's older one) and returns it as a Copy."""

    def make(layout):
        root = tmp_path / layout
        content, name = MAKERS[layout](root)
        layout = layout.removesuffix("2016")
        head = {"name": layout, "title": layout.upper(), "layout": layout, "root": str(root)}
        manifest = Manifest.model_validate(head | {"licence": "-"} | content)
        split = next(iter(manifest.splits), "")
        dataset = Dataset(manifest, root, split)
        files = dataset.layout.files(name)
        return Copy(dataset, name, files.frames, files.truth)

    return make


@pytest.fixture
def other_size():
    """A JPEG of another size than the frames of the copies."""
    return cv2.imencode(".jpg", np.zeros((HEIGHT, WIDTH // 2, 3), np.uint8))[1].tobytes()
