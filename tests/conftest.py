"""What several test files share: one thread, a small dataset on disk, configs and patches."""

import copy
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch
import yaml
from hypothesis import settings as hypothesis_settings

from socl_pipeline.datasets.demo import write_demo
from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.patches.cut import patch_schema
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.pipeline.job import Job, Target
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.settings import validate_config

hypothesis_settings.register_profile("quick", max_examples=40, deadline=None, derandomize=True)
hypothesis_settings.load_profile("quick")

DEMO = {"train_videos": 4, "val_videos": 2, "frames": 4, "width": 160, "height": 120}

CONFIG = {
    "proposals": {
        "random": {"count": 200},
        "edgeboxes": {"min_box_area_px": 150, "max_boxes": 100},
        "shard_frames": 5,
    },
    "top_maps": {"top_k": 16, "map_size": 16, "shard_frames": 16},
    "patches": {"context": 5, "size": 96, "shard_frames": 7},
    "models": {
        "tiny": {
            "window": 95,
            "videos_per_batch": 2,
            "epochs": 2,
            "lr_decay_epochs": [1],
            "validation_videos": 0.25,
            "validate_every": 1,
            "augment": {"shift_px": 4},
            "precision": "float32",
            "device": "cpu",
        }
    },
    "trackers": {
        "socl": {"kind": "siamfc", "model": "tiny", "device": "cpu"},
        "kcf": {"kind": "opencv", "name": "kcf"},
    },
}


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tests run side by side; one thread each is faster than many that fight."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """A procedural dataset in GOT-10k layout; `demo.root` and `demo.manifest`. Do not change it."""
    folder = tmp_path_factory.mktemp("demo")
    root, manifest = folder / "data", folder / "demo.yaml"
    write_demo(root, **DEMO)
    content = {
        "name": "demo",
        "title": "Demo",
        "layout": "got10k",
        "root": str(root),
        "licence": "none",
        "splits": {"train": {"folder": "train"}, "val": {"folder": "val"}},
        "generate": DEMO,
    }
    manifest.write_text(yaml.safe_dump(content))
    return SimpleNamespace(root=root, manifest=manifest)


@pytest.fixture
def raw_config(demo):
    """A small valid config as plain data, for a test to change."""
    manifest = str(demo.manifest)
    return copy.deepcopy(CONFIG) | {
        "datasets": {"demo": {"manifest": manifest}},
        "benchmarks": {"val": {"manifest": manifest}},
    }


@pytest.fixture
def withheld(demo, tmp_path):
    """The entry of a benchmark with the demo's `val` videos, of which only first boxes are given.

    Its manifest lies at `entry["manifest"]` and says so.
    """
    root = tmp_path / "withheld"
    for video in (path for path in (demo.root / "val").iterdir() if path.is_dir()):
        folder = root / "test" / video.name
        folder.mkdir(parents=True)
        for frame in video.glob("*.jpg"):
            (folder / frame.name).symlink_to(frame)
        first = (video / "groundtruth.txt").read_text().splitlines()[0]
        (folder / "groundtruth.txt").write_text(first + "\n")
    (root / "test/list.txt").write_text((demo.root / "val/list.txt").read_text())
    content = {"name": "w", "title": "W", "layout": "got10k", "root": str(root), "licence": "-"}
    split = {"folder": "test", "truth": "withheld"}
    manifest = tmp_path / "withheld.yaml"
    manifest.write_text(json.dumps(content | {"splits": {"test": split}}))
    return {"manifest": str(manifest), "split": "test"}


@pytest.fixture
def stored_boxes(raw_config):
    """The small config with OpenCV's search, whose boxes stage `proposals` stores."""
    raw_config["proposals"]["edgeboxes"]["search"] = "opencv"
    return raw_config


@pytest.fixture
def make_job(raw_config, tmp_path):
    """A function that returns the job of a stage, in this process, below tmp_path."""

    def make(stage, *, raw=None, bad_frames=None, workers=0, **names):
        config = validate_config(raw or raw_config, "test")
        names = {"dataset": "demo", "benchmark": "val", "table": "table_1", "boxes": "kcf"} | names
        names = {"model": "tiny", "tracker": "kcf"} | names
        target = Target.of(stage, **names)
        return Job(config, target, tmp_path / "results", tmp_path / "cache", workers, bad_frames)

    return make


@pytest.fixture
def progress():
    """A progress counter that prints nothing."""
    return Progress("test", 1, "units")


@pytest.fixture
def write_clips():
    """A function that writes a dataset of layout clips and returns its manifest file."""

    def write(root, videos, clicks, digits=4):
        for name, images in videos.items():
            (root / name).mkdir(parents=True)
            for i, image in enumerate(images, start=1):
                bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
                assert cv2.imwrite(str(root / name / f"{i:0{digits}d}.png"), bgr)
        (root / "clicks.csv").write_text(clicks)
        manifest = root.with_name(root.name + ".yaml")
        content = {"name": "c", "title": "C", "layout": "clips", "root": str(root), "licence": "-"}
        manifest.write_text(json.dumps(content))
        return manifest

    return write


@pytest.fixture
def textured():
    """A function that draws a smooth random colour image (height, width, 3), uint8."""

    def draw(seed, height, width, cells=6):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)

    return draw


@pytest.fixture
def make_patches(tmp_path):
    """A function that packs images of videos and returns them as a PatchSet.

    videos: name -> list of images (S, S, 3). The target of each is a centred square of `target`
    pixels, which is also the only TOP box, with score 1.
    """

    def make(videos, target, folder="patches", frames=None):
        (tmp_path / folder).mkdir()
        size = len(next(iter(videos.values()))[0])
        corner = (size - target) / 2
        records = [
            {
                "video": name,
                "frame": frames[name][i] if frames else i,
                "jpeg": encode_jpeg(image, 95),
                "region": [0.0, 0.0, float(size)],
                "extent": float(target),
                "boxes": [corner, corner, target, target],
                "scores": [1.0],
            }
            for name, images in videos.items()
            for i, image in enumerate(images)
        ]
        schema = patch_schema(1, {"size": str(size)})
        with (
            pa.OSFile(str(tmp_path / folder / "000000000.arrow"), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
        ):
            writer.write_table(pa.Table.from_pylist(records, schema))
        return PatchSet(tmp_path / folder)

    return make
