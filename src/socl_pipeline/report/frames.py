"""Pictures of single frames and whole videos of a TOP-map store, for `socl inspect`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image as Pillow

from socl_pipeline.annotation.table import frame_rows, true_boxes
from socl_pipeline.errors import InputError
from socl_pipeline.report.pictures import Image, png
from socl_pipeline.report.top_examples import top_strip
from socl_pipeline.top.store.store import SCORED, STATUS_MEANINGS, TopStore

FRAME_RATE = 10  # of videos made here, frames a second: slow enough to look at each
# MPEG-4 is in every build of OpenCV's wheels; players that refuse it show .avi with Motion JPEG
CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


def picture(table: pa.Table, store: TopStore, root: Path, row: int) -> Image:
    """Return one row as three panels: click (and box), kept boxes, TOP map.

    table: the points table that the store was built from. root: of the dataset. Raises
    InputError if the frame was left out or cannot be read.
    """
    (frame,) = frame_rows(table.slice(row, 1), root)
    if not store.group["count"][row]:
        status = int(store.group["status"][row])
        meaning = "it has no box" if status == SCORED else f"it is {STATUS_MEANINGS[status]}"
        raise InputError(f"frame {frame.frame} of {frame.video} has no TOP map: {meaning}")
    box = true_boxes(table.slice(row, 1))[0]
    truth = None if np.isnan(box[0]) else box
    return top_strip(frame.read(), frame.point, truth, store, row)


def pictures(
    table: pa.Table, store: TopStore, root: Path, rows: Iterable[int]
) -> Iterator[tuple[int, Image]]:
    """Yield (frame index, picture) of the rows that were not left out."""
    count = store.column("count")
    for row in rows:
        if count[row]:
            yield int(table["frame"][row].as_py()), picture(table, store, root, row)


def save_frames(frames: Iterator[tuple[int, Image]], out: Path) -> int:
    """Write pictures as .mp4, .avi or .gif, or else into a folder of PNG; returns how many.

    Raises InputError if there is no picture, or OpenCV cannot write that kind of video.
    """
    if out.suffix in CODECS:
        count = _save_video((image for _, image in frames), out)
    elif out.suffix == ".gif":
        count = _save_gif([image for _, image in frames], out)
    elif out.suffix:
        raise InputError(f"{out}: expected a name that ends in .mp4, .avi or .gif, or a folder")
    else:
        count = _save_folder(frames, out)
    if not count:
        raise InputError(f"{out}: nothing to show, every frame of the video was left out")
    return count


def _save_video(images: Iterator[Image], out: Path) -> int:
    writer, count = None, 0
    for image in map(_even, images):
        writer = writer or _open_writer(out, (image.shape[1], image.shape[0]))
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        count += 1
    if writer is not None:
        writer.release()
    return count


def _open_writer(out: Path, size: tuple[int, int]) -> cv2.VideoWriter:
    out.parent.mkdir(parents=True, exist_ok=True)
    code = CODECS[out.suffix]
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*code), FRAME_RATE, size)
    if not writer.isOpened():
        raise InputError(
            f"{out}: this build of OpenCV cannot write {code} video there; give a folder, or a "
            "name that ends in .avi or .gif"
        )
    return writer


def _even(image: Image) -> Image:
    """Return an image with even sides, which codecs ask for; a white row or column is added."""
    height, width = image.shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    return np.pad(image, padding, constant_values=255)


def _save_gif(images: list[Image], out: Path) -> int:
    if images:
        out.parent.mkdir(parents=True, exist_ok=True)
        first, *others = [Pillow.fromarray(image) for image in images]
        duration = 1000 // FRAME_RATE  # ms
        first.save(out, save_all=True, append_images=others, duration=duration, loop=0)
    return len(images)


def _save_folder(frames: Iterator[tuple[int, Image]], out: Path) -> int:
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for index, image in frames:
        (out / f"{index:08d}.png").write_bytes(png(image))
        count += 1
    return count
