"""Weight maps of a trained model, as in the paper's Fig. 11: where soft samples look.

GST weights are the TOP map at feature resolution (Eq. 1), SNS weights the hard-negative map
h^{ab} of frame a's template over frame b (Eq. 2, 3, 5, 6), made with the model's own options.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from socl_pipeline.models import Backbone
from socl_pipeline.patches.augment import boxes_in_windows, cut_windows, middle_windows
from socl_pipeline.patches.loader import PatchBatch
from socl_pipeline.patches.patch_set import Rows
from socl_pipeline.report.pictures import (
    Image,
    draw_click,
    draw_outline,
    overlay_heat,
    place_map,
    resize,
    strip,
)
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.socl.prior import CellGrid, feature_grid, score_maps, top_probability
from socl_pipeline.socl.samples import (
    background_selection,
    global_soft_template,
    hard_negative_maps,
    similarity_maps,
)

Float = NDArray[np.floating]

WINDOW_PANEL = 264  # px: four of them fill the page


@dataclass(frozen=True)
class WeightMaps:
    """Weights of P pairs of frames on the feature grid, S = grid.cells.

    windows: (P, 2, W, W, 3) uint8. gst: (P, 2, S, S), each map sums to 1. sns: (P, S, S), of
    frame a's template over frame b. background: (P, S, S) bool, where frame b may give negatives.
    """

    windows: NDArray[np.uint8]
    gst: Float
    sns: Float
    background: NDArray[np.bool_]
    grid: CellGrid


def shown_videos(wanted: Sequence[str], packed: Collection[str], count: int) -> list[str]:
    """Return the wanted videos that have patches, or else the first `count` that have.

    A video whose frames broke after its TOP maps were made has none.
    """
    return [v for v in wanted if v in packed] or sorted(packed)[:count]


def spread_pair(frames: NDArray[np.integer], rows: Rows, max_gap: int) -> tuple[int, int]:
    """Return two rows of a video as far apart as a training pair may be.

    frames: (n,) the frame of each of the rows. The first row is the one after a quarter of the
    video; a video of one frame is paired with itself.
    """
    first = len(rows) // 4
    gaps = np.abs(np.asarray(frames, np.int64) - int(frames[first]))
    second = int(np.where(gaps <= max_gap, gaps, -1).argmax())
    return int(rows[first]), int(rows[second])


def weight_maps(
    backbone: Backbone, batch: PatchBatch, settings: SoclModelSettings, clip: float
) -> WeightMaps:
    """Return the weight maps of a trained backbone on pairs of patches.

    batch: 2P patches, the two of a pair one after the other. clip: the share of the feature grid
    at which the model's training clipped its TOP maps (statistic `top_clip` of stage `train`).
    """
    window, count = settings.window, len(batch.images)
    windows = middle_windows(count, batch.images.shape[1], window, batch.images.device)
    with _one_thread(), torch.inference_mode():
        grid = feature_grid(backbone, window)
        images = cut_windows(batch.images, windows, window)
        boxes = boxes_in_windows(batch.boxes, windows, window)
        maps = score_maps(boxes, batch.scores, grid)
        top = top_probability(maps, clip, settings.top_gain).unflatten(0, (-1, 2))
        features = backbone(images).flatten(2).unflatten(0, (-1, 2))
        similarities = similarity_maps(
            global_soft_template(features, top),
            features,
            settings.sns_similarity,
            settings.sns_temperature or settings.temperature,
        )
        background = background_selection(top, settings.background_mass)
        sns = hard_negative_maps(similarities, background)[:, 0, 1]
    cells = (grid.cells, grid.cells)
    shown = images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return WeightMaps(
        windows=shown.unflatten(0, (-1, 2)).numpy(),
        gst=top.unflatten(-1, cells).numpy(),
        sns=sns.unflatten(-1, cells).numpy(),
        background=background[:, 1].unflatten(-1, cells).numpy(),
        grid=grid,
    )


def weight_strip(maps: WeightMaps, pair: int) -> Image:
    """Return four panels of a pair: frame a, its GST weights, frame b, its SNS weights h^{ab}."""
    window_a, window_b = maps.windows[pair]
    scale = WINDOW_PANEL / window_a.shape[0]
    first, second = resize(window_a, scale), resize(window_b, scale)
    side = len(first)
    region = np.array([maps.grid.start, maps.grid.start, *[maps.grid.step * maps.grid.cells] * 2])
    gst = overlay_heat(first, place_map(maps.gst[pair, 0], region * scale, side, side))
    sns = overlay_heat(second, place_map(maps.sns[pair], region * scale, side, side))
    target = _cells_in_picture(~maps.background[pair], region * scale, side)
    click = np.array([side / 2, side / 2])
    panels = [draw_click(first, click), gst, draw_click(second, click), draw_outline(sns, target)]
    return strip(panels, WINDOW_PANEL)


def _cells_in_picture(cells: NDArray[np.bool_], region: Float, side: int) -> NDArray[np.bool_]:
    """Return a mask (side, side) of whole cells (S, S) that divide a square region (4,)."""
    index = np.floor((np.arange(side) + 0.5 - region[0]) * len(cells) / region[2]).astype(int)
    inside = (index >= 0) & (index < len(cells))
    index = np.clip(index, 0, len(cells) - 1)
    return np.asarray(cells[np.ix_(index, index)] & inside & inside[:, None])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: sums in another order would change the last bits of a picture."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
