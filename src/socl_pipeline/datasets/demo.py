"""The demo dataset: procedural videos on disk in the GOT-10k layout.

`root/{train,val}/list.txt` name the videos; each video folder holds JPEG frames from 00000001.jpg
on, `groundtruth.txt` (x,y,w,h in pixels, 0-based, edges convention), `absence.label`,
`cover.label` (visible share in eighths), `cut_by_image.label` and `meta_info.ini`.

Every video is written beside its place and renamed, so a killed run leaves nothing half-written
under a final name; `list.txt` is written last. One process at a time may write to a root.
"""

from __future__ import annotations

import configparser
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from socl_pipeline.datasets.scenes import (
    RENDERER_VERSION,
    RenderedFrame,
    Scene,
    SceneSettings,
    build_scene,
)
from socl_pipeline.errors import InputError

_SPLITS = ("train", "val")
_JPEG_QUALITY = 92
_META = "meta_info.ini"
_OWN = "demo_"  # begins the keys in it that GOT-10k has not
_VIDEO = re.compile(r"demo_(train|val)_\d{6}")
# Beginnings of the names of folders that an interrupted run may leave behind.
_UNFINISHED, _DISCARDED = ".unfinished-", ".discarded-"


@dataclass(frozen=True)
class _Video:
    """One video to be written: its place, its scene and the text that identifies both."""

    folder: Path
    settings: SceneSettings
    seed: tuple[int, int, int]

    @property
    def identity(self) -> dict[str, str]:
        """What the pixels and labels depend on, as written into the meta file."""
        values = {"renderer": RENDERER_VERSION, "jpeg_quality": _JPEG_QUALITY}
        values |= asdict(self.settings)
        seed = " ".join(str(number) for number in self.seed)
        return {key: str(value) for key, value in values.items()} | {"seed": seed}


def write_demo(
    root: Path,
    *,
    train_videos: int = 16,
    val_videos: int = 6,
    frames: int = 30,
    width: int = 320,
    height: int = 240,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Bring `root` to exactly this demo dataset; finished videos of the same settings are kept.

    `progress` is called with 1 after each video, kept ones included. Raises InputError, before
    anything is written, for settings that make no dataset and for a root with foreign files.
    """
    counts = {"train": train_videos, "val": val_videos}
    if min(counts.values()) < 1 or seed < 0:
        raise InputError(
            f"demo dataset with {train_videos} training and {val_videos} validation videos and "
            f"seed {seed}: expected at least one video each and a seed of 0 or more."
        )
    settings = SceneSettings(width=width, height=height, frames=frames)
    foreign = next(_foreign_paths(root), None)
    if foreign is not None:
        raise InputError(
            f"{foreign} is not part of a demo dataset: choose an empty or new folder for the "
            "demo dataset, or move that file away."
        )
    for index, split in enumerate(_SPLITS):
        names = [f"demo_{split}_{number:06d}" for number in range(1, counts[split] + 1)]
        videos = [
            _Video(root / split / name, settings, (seed, index, number))
            for number, name in enumerate(names, start=1)
        ]
        _write_split(root / split, videos, progress)


def _foreign_paths(root: Path) -> Iterator[Path]:
    """Paths under `root` that no run of this module has written."""
    if root.exists() and not root.is_dir():
        yield root
        return
    for path in sorted(root.iterdir()) if root.exists() else ():
        if path.name not in _SPLITS or not path.is_dir():
            yield path
            continue
        for child in sorted(path.iterdir()):
            if not _is_ours(child):
                yield child


def _is_ours(path: Path) -> bool:
    name = path.name.removeprefix(_UNFINISHED).removeprefix(_DISCARDED)
    if name != path.name:
        return name == "list.txt" or bool(_VIDEO.fullmatch(name))
    if name == "list.txt":
        return all(
            _VIDEO.fullmatch(line) for line in path.read_text("utf-8", "replace").splitlines()
        )
    return bool(_VIDEO.fullmatch(name)) and bool(_written_identity(path))


def _written_identity(folder: Path) -> dict[str, str]:
    """The identity recorded in a video folder; empty for folders that are not demo videos."""
    meta = folder / _META
    if not meta.is_file():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(meta.read_text("utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        return {}
    if parser.has_section("DEMO"):  # as it was written once; toolkits stumble over it
        return {"renderer": "drawn again"}
    values = dict(parser["METAINFO"]) if parser.has_section("METAINFO") else {}
    own = {k: v for k, v in values.items() if k.startswith(_OWN)}
    return {k.removeprefix(_OWN): v for k, v in own.items()}


def _write_split(split: Path, videos: list[_Video], progress: Callable[[int], None] | None) -> None:
    split.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(split)
    names = {video.folder.name for video in videos}
    surplus = [path for path in split.iterdir() if path.is_dir() and path.name not in names]
    missing = [video for video in videos if _written_identity(video.folder) != video.identity]
    listing = split / "list.txt"
    text = "".join(f"{video.folder.name}\n" for video in videos)
    if missing or surplus:
        # No list means an unfinished split; an old one would name videos about to be replaced.
        listing.unlink(missing_ok=True)
    for path in surplus:
        _discard(path)
    for video in videos:
        if video in missing:
            _write_video(video)
        if progress is not None:
            progress(1)
    if not listing.is_file() or listing.read_text("utf-8") != text:
        unfinished = split / f"{_UNFINISHED}list.txt"
        unfinished.write_text(text, "utf-8")
        unfinished.replace(listing)


def _remove_leftovers(split: Path) -> None:
    for path in list(split.iterdir()):
        if path.name.startswith((_UNFINISHED, _DISCARDED)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _discard(folder: Path) -> None:
    """Delete a video in such a way that no half-deleted folder keeps its name."""
    discarded = folder.with_name(_DISCARDED + folder.name)
    folder.rename(discarded)
    shutil.rmtree(discarded)


def _write_video(video: _Video) -> None:
    folder = video.folder.with_name(_UNFINISHED + video.folder.name)
    folder.mkdir()
    scene = build_scene(video.settings, video.seed)
    labels = []
    for number in range(video.settings.frames):
        frame = scene.render(number)
        _write_jpeg(folder / f"{number + 1:08d}.jpg", frame)
        labels.append(_labels(frame))
    files = ("groundtruth.txt", "absence.label", "cover.label", "cut_by_image.label")
    for name, lines in zip(files, zip(*labels, strict=True), strict=True):
        (folder / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    (folder / _META).write_text(_meta_text(video, scene), "utf-8")
    if video.folder.exists():
        _discard(video.folder)
    folder.rename(video.folder)


def _write_jpeg(path: Path, frame: RenderedFrame) -> None:
    bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not encode {path.name} as JPEG.")
    # Unlike cv2.imwrite, this raises on a full disk.
    path.write_bytes(data.tobytes())


def _labels(frame: RenderedFrame) -> tuple[str, str, str, str]:
    """A frame's lines in groundtruth, absence, cover and cut files."""
    box = ",".join(f"{value:.4f}" for value in frame.box)
    cover = 0 if frame.absent else max(1, int(np.floor(frame.visible * 8 + 0.5)))
    return box, str(int(frame.absent)), str(cover), str(int(frame.cut))


def _meta_text(video: _Video, scene: Scene) -> str:
    """The GOT-10k section, with keys of our own that GOT-10k readers never ask for.

    One section and no empty line: the GOT-10k toolkit takes each line after the first for a key.
    """
    seconds = video.settings.frames // 10
    meta = {
        "url": "procedural",
        "begin": "00:00:00",
        "end": f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        "anno_fps": "10Hz",
        "object_class": scene.kind,
        "motion_class": "moving",
        "major_class": "procedural object",
        "root_class": "object",
        "motion_adverb": "smoothly",
        "resolution": f"({video.settings.width}, {video.settings.height})",
    }
    meta |= {_OWN + key: value for key, value in video.identity.items()}
    return "[METAINFO]\n" + "".join(f"{key}: {value}\n" for key, value in meta.items())
