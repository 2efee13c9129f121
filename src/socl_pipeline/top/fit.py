"""Fit the objectness tables on procedural scenes: no photograph, no licence in the way.

The release's own tables assume windows drawn uniformly over the image; ours are learnt on the
windows that this pipeline scores: centred near the click. Label: IoU with the object's box of at
least 0.5.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centers, iou
from socl_pipeline.datasets.scenes import SceneSettings, build_scene
from socl_pipeline.settings import EdgeBoxSettings, RandomWindowSettings
from socl_pipeline.top.cues import window_cues
from socl_pipeline.top.edgeboxes import edge_boxes_near
from socl_pipeline.top.objectness import POSITIVE_IOU, ObjectnessModel, fit_objectness
from socl_pipeline.top.windows import random_windows, window_templates, within_frame

FRAME_SIZES = ((480, 270), (480, 360))  # working resolution of wide and of classic video
CLICK_ERROR = 0.05  # standard deviation over the object's side: how far off the training clicks are
WINDOWS_PER_SCENE = 400
MIN_SIDE = 5.0  # working pixels
MIN_SIZE, MAX_SIZE = 0.02, 0.7  # of the frame: from drone targets to whole animals
FIT_SEED = 1_000_003  # scenes that no demo dataset uses


def scene_windows(
    scenes: int, seed: int = FIT_SEED
) -> Iterator[tuple[NDArray[np.floating], NDArray[np.bool_]]]:
    """Yield the cues (n, 3) and labels (n,) of windows around the target of each scene."""
    templates = window_templates(RandomWindowSettings(count=WINDOWS_PER_SCENE, seed=seed))
    for i in range(scenes):
        rng = np.random.default_rng([seed, i])
        width, height = FRAME_SIZES[i % len(FRAME_SIZES)]
        settings = SceneSettings(
            width=width, height=height, frames=8, min_size=MIN_SIZE, max_size=MAX_SIZE
        )
        frame = build_scene(settings, (seed, i)).render(int(rng.integers(settings.frames)))
        if frame.absent:
            continue
        side = np.sqrt(frame.box[2] * frame.box[3])
        point = centers(frame.box) + rng.normal(0, CLICK_ERROR * side, 2)
        point = np.clip(point, 0, [width, height])
        found, _ = edge_boxes_near(frame.image, point, EdgeBoxSettings(min_box_area_px=150), width)
        windows = random_windows(templates, point, width, height, MIN_SIDE)
        windows = within_frame(np.concatenate([windows, found]), width, height, border_loss=0.1)
        yield window_cues(frame.image, windows), iou(windows, frame.box) >= POSITIVE_IOU


def fit_on_scenes(scenes: int, seed: int = FIT_SEED) -> ObjectnessModel:
    """Return tables fitted on so many procedural scenes."""
    cues, labels = zip(*scene_windows(scenes, seed), strict=True)
    provenance = (
        f"{scenes} procedural scenes, seed {seed}, windows centred near the target, "
        f"positive at IoU >= {POSITIVE_IOU}"
    )
    return fit_objectness(np.concatenate(cues), np.concatenate(labels), provenance)
