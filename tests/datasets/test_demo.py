"""The demo dataset on disk: GOT-10k files, restarts, and respect for foreign folders."""

import configparser
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from socl_pipeline.datasets import demo
from socl_pipeline.datasets.demo import write_demo
from socl_pipeline.datasets.scenes import SceneSettings, render_video
from socl_pipeline.errors import InputError

SETTINGS = {"train_videos": 2, "val_videos": 1, "frames": 3, "width": 96, "height": 64}
VIDEOS = ["train/demo_train_000001", "train/demo_train_000002", "val/demo_val_000001"]


def _contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def _times(root: Path) -> dict[str, int]:
    return {str(p.relative_to(root)): p.stat().st_mtime_ns for p in root.rglob("*")}


@pytest.fixture
def root(tmp_path):
    write_demo(tmp_path / "demo", **SETTINGS)
    return tmp_path / "demo"


def test_layout(root):
    assert (root / "train/list.txt").read_text() == "demo_train_000001\ndemo_train_000002\n"
    assert (root / "val/list.txt").read_text() == "demo_val_000001\n"
    for video in VIDEOS:
        names = sorted(path.name for path in (root / video).iterdir())
        assert names == [
            "00000001.jpg",
            "00000002.jpg",
            "00000003.jpg",
            "absence.label",
            "cover.label",
            "cut_by_image.label",
            "groundtruth.txt",
            "meta_info.ini",
        ]


def test_files_match_the_rendered_video(root):
    settings = SceneSettings(width=96, height=64, frames=3)
    rendered = render_video(settings, (0, 0, 2))
    folder = root / "train/demo_train_000002"
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    assert lines == [",".join(f"{value:.4f}" for value in box) for box in rendered.boxes]
    image = cv2.imread(str(folder / "00000002.jpg"))[..., ::-1]
    difference = np.abs(image.astype(int) - rendered.frames[1])
    assert image.shape == (64, 96, 3)
    assert difference.mean() < 8, "RGB order and JPEG quality"


def test_labels(root):
    for video in VIDEOS:
        columns = {
            name: [int(line) for line in (root / video / name).read_text().splitlines()]
            for name in ("absence.label", "cover.label", "cut_by_image.label")
        }
        assert all(len(values) == 3 for values in columns.values())
        assert set(columns["absence.label"]) <= {0, 1}
        assert set(columns["cut_by_image.label"]) <= {0, 1}
        assert all(0 <= value <= 8 for value in columns["cover.label"])


@pytest.mark.parametrize(
    ("visible", "expected"), [(1.0, "8"), (0.5, "4"), (0.06, "1"), (0.04, "0"), (0.0, "0")]
)
def test_cover_counts_eighths(visible, expected):
    frame = demo.RenderedFrame(np.zeros((4, 4, 3), np.uint8), np.zeros(4), visible, cut=False)
    _, absence, cover, cut = demo._labels(frame)
    assert (cover, cut) == (expected, "0")
    assert absence == str(int(expected == "0"))


def test_meta_info_reads_as_got10k(root):
    text = (root / "val/demo_val_000001/meta_info.ini").read_text()
    # as the GOT-10k toolkit reads it: each line after the first is a key
    header, *lines = text.strip().split("\n")
    meta = {line.split(": ")[0]: line.split(": ")[1] for line in lines}
    assert header == "[METAINFO]"
    assert list(meta)[:10] == [
        "url",
        "begin",
        "end",
        "anno_fps",
        "object_class",
        "motion_class",
        "major_class",
        "root_class",
        "motion_adverb",
        "resolution",
    ]
    assert meta["resolution"] == "(96, 64)"
    assert all(key.startswith("demo_") for key in list(meta)[10:])
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert dict(parser["METAINFO"]) == meta


def test_videos_with_a_section_of_our_own_are_written_again(root, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(root, old)
    meta = old / VIDEOS[0] / "meta_info.ini"
    lines = meta.read_text().splitlines()
    own = [line.removeprefix("demo_") for line in lines if line.startswith("demo_")]
    kept = [line for line in lines if not line.startswith("demo_")]
    meta.write_text("\n".join([*kept, "", "[DEMO]", *own]) + "\n")
    write_demo(old, **SETTINGS)
    assert _contents(old) == _contents(root)


def test_splits_and_videos_differ(root):
    first_frames = {(root / video / "00000001.jpg").read_bytes() for video in VIDEOS}
    assert len(first_frames) == len(VIDEOS)


def test_second_call_touches_nothing(root):
    before, calls = _times(root), []
    write_demo(root, **SETTINGS, progress=calls.append)
    assert _times(root) == before
    assert calls == [1, 1, 1]


def test_leftovers_of_a_killed_run_do_no_harm(root, tmp_path, monkeypatch):
    complete = _contents(root)
    other = tmp_path / "killed"
    real, written = demo._write_jpeg, []

    def dying(path, frame):
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt
        real(path, frame)

    monkeypatch.setattr(demo, "_write_jpeg", dying)
    with pytest.raises(KeyboardInterrupt):
        write_demo(other, **SETTINGS)
    assert (other / VIDEOS[0]).is_dir() and not (other / VIDEOS[1]).exists()
    assert not (other / "train/list.txt").exists()
    (other / "train/.discarded-demo_train_000002").mkdir()
    monkeypatch.undo()
    kept = (other / VIDEOS[0] / "00000001.jpg").stat().st_mtime_ns
    write_demo(other, **SETTINGS)
    assert _contents(other) == complete
    assert (other / VIDEOS[0] / "00000001.jpg").stat().st_mtime_ns == kept


def test_other_settings_replace_the_dataset(root, tmp_path):
    changed = SETTINGS | {"train_videos": 1, "frames": 2, "seed": 9}
    write_demo(root, **changed)
    write_demo(tmp_path / "fresh", **changed)
    assert _contents(root) == _contents(tmp_path / "fresh")
    assert sorted(path.name for path in (root / "train").iterdir()) == [
        "demo_train_000001",
        "list.txt",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "train/GOT-10k_Train_000001/groundtruth.txt",
        "train/demo_train_000001/groundtruth.txt",
        "train/list.txt",
        "train/.unfinished-work/notes.txt",
    ],
)
def test_foreign_folders_are_refused_untouched(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("GOT-10k_Train_000001\n")
    before = _contents(tmp_path)
    with pytest.raises(InputError, match="not part of a demo dataset"):
        write_demo(tmp_path, **SETTINGS)
    assert _contents(tmp_path) == before


def test_a_file_as_root_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="not part of a demo dataset"):
        write_demo(tmp_path / "file", **SETTINGS)


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least one video"):
        write_demo(tmp_path / "demo", **(SETTINGS | {"val_videos": 0}))
    assert not (tmp_path / "demo").exists()
