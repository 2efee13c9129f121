"""TOP maps in the report: some frames with what the click became."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from socl_pipeline.annotation.table import frame_rows, true_boxes, video_codes
from socl_pipeline.report.pictures import (
    PANEL_WIDTH,
    Image,
    draw_boxes,
    draw_click,
    draw_truth,
    fit_scale,
    overlay_heat,
    place_map,
    resize,
    strip,
)
from socl_pipeline.top.store.store import TopStore

Float = NDArray[np.floating]

SHOWN_BOXES = 16  # all 64 would hide the frame


@dataclass(frozen=True)
class Example:
    """A frame of the report. picture: a strip of three panels; box: whether one is drawn."""

    video: str
    frame: int
    picture: Image
    box: bool


def choose_rows(
    videos: NDArray[np.integer], usable: NDArray[np.bool_], boxed: NDArray[np.bool_], count: int
) -> list[int]:
    """Return the middle row of each of `count` videos that are spread over the dataset.

    videos: (n,) the video of each row. usable, boxed: (n,) which rows may be shown, and which
    have a box; rows and videos with a box come first, if there are enough of those videos.
    """
    good = usable & boxed
    pool = np.unique(videos[good])
    if len(pool) < count:
        pool = np.unique(videos[usable])
    count = min(count, len(pool))
    picked = pool[((np.arange(count) + 0.5) * len(pool) / max(count, 1)).astype(int)]
    rows = []
    for video in picked:
        own = np.flatnonzero((videos == video) & good)
        own = own if len(own) else np.flatnonzero((videos == video) & usable)
        rows.append(int(own[len(own) // 2]))
    return rows


def top_examples(table: pa.Table, store: TopStore, root: Path, count: int) -> list[Example]:
    """Return pictures of `count` frames of different videos. Raises InputError for bad frames."""
    boxes = true_boxes(table)
    chosen = choose_rows(
        video_codes(table), store.column("count") > 0, ~np.isnan(boxes[:, 0]), count
    )
    examples = []
    for row in chosen:
        (frame,) = frame_rows(table.slice(row, 1), root)
        truth = None if np.isnan(boxes[row, 0]) else boxes[row]
        picture = top_strip(frame.read(), frame.point, truth, store, row)
        examples.append(Example(frame.video, frame.frame, picture, truth is not None))
    return examples


def top_strip(image: Image, point: Float, truth: Float | None, store: TopStore, row: int) -> Image:
    """Return three panels: the frame with click and box, the best kept boxes, the TOP map."""
    top = store.rows(row, row + 1)
    scale = fit_scale(image.shape[1], image.shape[0])
    small = resize(image, scale)
    shown = min(SHOWN_BOXES, int(top.count[0]))
    boxes = draw_boxes(small, top.boxes[0, :shown] * scale, top.scores[0, :shown])
    height, width = small.shape[:2]
    heat = overlay_heat(small, place_map(top.maps[0], top.regions[0] * scale, width, height))
    panels = [draw_click(panel, point * scale) for panel in (small, boxes, heat)]
    if truth is not None:  # over the click, which is larger than the smallest targets
        panels[0] = draw_truth(panels[0], truth * scale)
    return strip(panels, PANEL_WIDTH)
