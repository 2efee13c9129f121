"""Fit the objectness tables on procedural scenes, or on a user's images with boxes.

The release's own tables assume windows drawn uniformly over the image; ours are learnt on the
windows that this pipeline scores: centred near the click. Label: IoU with the clicked object's
box of at least 0.5. The shipped tables come from scenes: no photograph, no licence in the way.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from socl_pipeline import __version__
from socl_pipeline.boxes import iou
from socl_pipeline.errors import InputError
from socl_pipeline.settings import EdgeBoxSettings, RandomWindowSettings
from socl_pipeline.top.clicked_objects import CLICK_ERROR, FIT_SEED, ClickedObject
from socl_pipeline.top.cues import CUES, CueSettings, window_cues
from socl_pipeline.top.edgeboxes import edge_boxes_near
from socl_pipeline.top.edges import shrink
from socl_pipeline.top.objectness import (
    POSITIVE_IOU,
    ObjectnessModel,
    Provenance,
    fit_objectness,
    fit_table,
    relative_log_side,
)
from socl_pipeline.top.windows import random_windows, window_templates, within_frame

Float = NDArray[np.floating]

WORKING_SIDE = 480  # long side of the images that the cues see, the default of `top_maps`
WINDOWS_PER_OBJECT = 400
MIN_SIDE = 5.0  # working pixels
NEAR = EdgeBoxSettings(min_box_area_px=150)  # EdgeBoxes to learn from; in working pixels
BORDER_LOSS = 0.1  # windows losing more at the frame's border are dropped, as in `top_maps`

CC_THETAS = (25.0, 50.0, 75.0, 100.0, 125.0, 150.0, 200.0)  # the release: 100 to 200
ED_THETAS = (5.0, 10.0, 17.0, 25.0, 40.0, 60.0, 100.0)  # the release: 1 to 100


@dataclass(frozen=True)
class LabelledWindows:
    """n windows around clicks: cues (n, 3), log_side (n,) and is_object (n,).

    object: (n,) number of the object that each surrounds. group: (n,) number of its video or
    image, which is what held-out figures must not part.
    """

    cues: Float
    log_side: Float
    is_object: NDArray[np.bool_]
    object: NDArray[np.integer]
    group: NDArray[np.integer]

    def take(self, chosen: NDArray[np.bool_]) -> "LabelledWindows":
        """Return the windows where `chosen` (n,) holds."""
        return LabelledWindows(
            self.cues[chosen],
            self.log_side[chosen],
            self.is_object[chosen],
            self.object[chosen],
            self.group[chosen],
        )

    def counts(self) -> dict[str, int]:
        """Return how many videos or images, boxes and windows these are."""
        groups, boxes = len(np.unique(self.group)), len(np.unique(self.object))
        return {"videos_or_images": groups, "boxes": boxes, "windows": len(self.is_object)}


def object_windows(
    target: ClickedObject, templates: Float, working_side: int
) -> tuple[NDArray[np.uint8], Float, NDArray[np.bool_]]:
    """Return the working image, the windows (n, 4) around the click in it, and labels (n,)."""
    image, scale = shrink(target.image, working_side)
    height, width = image.shape[:2]
    box, point = np.asarray(target.box) * scale, target.click * scale
    found, _ = edge_boxes_near(image, point, NEAR, working_side)
    windows = random_windows(templates, point, width, height, MIN_SIDE)
    windows = within_frame(np.concatenate([windows, found]), width, height, BORDER_LOSS)
    return image, windows, iou(windows, box) >= POSITIVE_IOU


def labelled_windows(
    objects: Iterable[ClickedObject],
    working_side: int = WORKING_SIDE,
    thetas: Sequence[CueSettings] = (CueSettings(),),
    seed: int = FIT_SEED,
    advance: Callable[[], None] = lambda: None,
) -> list[LabelledWindows]:
    """Return the windows around all objects, once for each entry of `thetas`.

    advance: called after each object. Raises InputError if there is no object.
    """
    templates = window_templates(RandomWindowSettings(count=WINDOWS_PER_OBJECT, seed=seed))
    groups: dict[str, int] = {}
    parts: list[list[LabelledWindows]] = []
    for number, target in enumerate(objects):
        image, windows, is_object = object_windows(target, templates, working_side)
        size = len(windows)
        first = LabelledWindows(
            window_cues(image, windows, thetas[0]),
            relative_log_side(windows, image.shape[1], image.shape[0]),
            is_object,
            np.full(size, number),
            np.full(size, groups.setdefault(target.group, len(groups))),
        )
        others = [window_cues(image, windows, t) for t in thetas[1:]]
        parts.append([first, *(replace(first, cues=cues) for cues in others)])
        advance()
    if not parts:
        raise InputError("no object to learn from: no scene shows one and no image can be read")
    return [_joined(column) for column in zip(*parts, strict=True)]


def _joined(parts: Sequence[LabelledWindows]) -> LabelledWindows:
    return LabelledWindows(
        np.concatenate([p.cues for p in parts]),
        np.concatenate([p.log_side for p in parts]),
        np.concatenate([p.is_object for p in parts]),
        np.concatenate([p.object for p in parts]),
        np.concatenate([p.group for p in parts]),
    )


def theta_grid() -> list[CueSettings]:
    """Return the settings that `search_thetas` compares: the i-th of CC and of ED together.

    Each cue is judged alone, so the two grids need no product.
    """
    return [
        CueSettings(cc_theta=cc, ed_theta=ed) for cc, ed in zip(CC_THETAS, ED_THETAS, strict=True)
    ]


def search_thetas(
    windows: Sequence[LabelledWindows], thetas: Sequence[CueSettings]
) -> tuple[LabelledWindows, CueSettings]:
    """Return the windows with the best theta of CC and ED, and these thetas.

    windows: one entry for each of `thetas`. The release's criterion: largest sum, over the
    windows that hold an object, of the log posterior by that cue alone.
    """
    cc, ed = CUES.index("cc"), CUES.index("ed")
    best_cc = int(np.argmax([_positive_log_posterior(w, cc) for w in windows]))
    best_ed = int(np.argmax([_positive_log_posterior(w, ed) for w in windows]))
    cues = windows[0].cues.copy()
    cues[:, cc] = windows[best_cc].cues[:, cc]
    cues[:, ed] = windows[best_ed].cues[:, ed]
    chosen = CueSettings(cc_theta=thetas[best_cc].cc_theta, ed_theta=thetas[best_ed].ed_theta)
    return replace(windows[0], cues=cues), chosen


def _positive_log_posterior(windows: LabelledWindows, column: int) -> float:
    values, prior = windows.cues[:, column], windows.is_object.mean()
    edges, log_ratio = fit_table(values, windows.is_object)
    bins = np.searchsorted(edges, values[windows.is_object], side="right")
    odds = prior / (1 - prior) * np.exp(log_ratio[bins])
    return float(np.log(odds / (1 + odds)).sum())


@dataclass(frozen=True)
class FitOptions:
    """How tables are fitted.

    working_side: long side in pixels at which the cues are computed. size_cue: also fit the
    windows' size, which belongs to one dataset. theta_search: see `search_thetas`.
    """

    working_side: int = WORKING_SIDE
    size_cue: bool = False
    theta_search: bool = False
    seed: int = FIT_SEED


def fit_windows(
    objects: Iterable[ClickedObject],
    options: FitOptions,
    advance: Callable[[], None] = lambda: None,
) -> tuple[LabelledWindows, CueSettings]:
    """Return the windows to learn from and the thetas of their cues."""
    thetas = theta_grid() if options.theta_search else [CueSettings()]
    windows = labelled_windows(objects, options.working_side, thetas, options.seed, advance)
    return search_thetas(windows, thetas)


def fit_tables(
    windows: LabelledWindows, thetas: CueSettings, source: str, options: FitOptions
) -> ObjectnessModel:
    """Return tables fitted on windows, with their provenance; source: what the images were."""
    provenance: Provenance = {
        "source": source,
        **windows.counts(),
        "seed": options.seed,
        "working_side": options.working_side,
        "positive_iou": POSITIVE_IOU,
        "click_error": CLICK_ERROR,
        "windows_per_object": WINDOWS_PER_OBJECT,
        "radius_px": NEAR.radius_px,
        "version": __version__,
    }
    log_side = windows.log_side if options.size_cue else None
    return fit_objectness(windows.cues, windows.is_object, provenance, log_side, thetas)
