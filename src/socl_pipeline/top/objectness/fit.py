"""Fit the objectness tables on procedural scenes, or on a user's images with boxes.

The release's own tables assume windows drawn uniformly over the image; ours are learnt on the
windows that this pipeline scores: centred near the click. Label: IoU with the clicked object's
box of at least 0.5. The shipped tables come from scenes: no photograph, no licence in the way.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from socl_pipeline import __version__
from socl_pipeline.boxes import iou
from socl_pipeline.errors import InputError
from socl_pipeline.settings import EdgeBoxSettings, RandomWindowSettings, ViewSettings
from socl_pipeline.top.cues.image import CUES, CueSettings
from socl_pipeline.top.edgeboxes.near import edge_boxes_near
from socl_pipeline.top.objectness.clicked import CLICK_ERROR, FIT_SEED, ClickedObject
from socl_pipeline.top.objectness.model import (
    POSITIVE_IOU,
    ObjectnessModel,
    Provenance,
    fit_objectness,
    fit_table,
    relative_log_side,
)
from socl_pipeline.top.scoring import frame_cues
from socl_pipeline.top.views import ViewedFrame
from socl_pipeline.top.windows import random_windows, window_templates, within_frame

Float = NDArray[np.floating]

WINDOWS_PER_OBJECT = 400
NEAR = EdgeBoxSettings()  # EdgeBoxes to learn from
FRAME_WORKING_SIDE = 480  # of the tables shipped for `kind: frame`
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
    target: ClickedObject, templates: Float, views: ViewSettings
) -> tuple[ViewedFrame, Float, NDArray[np.bool_]]:
    """Return the viewed image, the windows (n, 4) around the click in it, and labels (n,)."""
    frame = ViewedFrame.of(target.image, target.click, views)
    found, _ = edge_boxes_near(frame, NEAR)
    windows = random_windows(templates, target.click, *frame.size, views.min_side_px)
    windows = within_frame(np.concatenate([windows, found]), *frame.size, BORDER_LOSS)
    return frame, windows, iou(windows, target.box) >= POSITIVE_IOU


def labelled_windows(
    objects: Iterable[ClickedObject],
    views: ViewSettings,
    thetas: Sequence[CueSettings],
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
        frame, windows, is_object = object_windows(target, templates, views)
        size = len(windows)
        first = LabelledWindows(
            frame_cues(frame, windows, thetas[0]),
            relative_log_side(windows, *frame.size),
            is_object,
            np.full(size, number),
            np.full(size, groups.setdefault(target.group, len(groups))),
        )
        others = [frame_cues(frame, windows, t) for t in thetas[1:]]
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


def fit_views(kind: Literal["context", "frame"], working_side: int | None) -> ViewSettings:
    """Return the views to fit in; working_side None: that of the shipped tables of the kind."""
    if working_side is None:
        return ViewSettings() if kind == "context" else fit_views(kind, FRAME_WORKING_SIDE)
    return ViewSettings(kind=kind, working_side=working_side)


def default_thetas(views: ViewSettings) -> CueSettings:
    """Return the thetas of the shipped tables: the release's.

    In context views only the finest saliency map is used. The release has five for objects of all
    sizes; here the views see to that, and the others change no result by more than its noise.
    """
    released = CueSettings()
    if views.kind == "frame":
        return released
    finest = slice(-1, None)
    return replace(
        released,
        ms_scales=released.ms_scales[finest],
        ms_thresholds=released.ms_thresholds[finest],
    )


def theta_grid(views: ViewSettings) -> list[CueSettings]:
    """Return the settings that `search_thetas` compares: the i-th of CC and of ED together.

    Each cue is judged alone, so the two grids need no product.
    """
    return [
        replace(default_thetas(views), cc_theta=cc, ed_theta=ed)
        for cc, ed in zip(CC_THETAS, ED_THETAS, strict=True)
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
    chosen = replace(thetas[best_cc], ed_theta=thetas[best_ed].ed_theta)
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

    views: in which the cues are computed. size_cue: also fit the windows' size, which belongs to
    one dataset. theta_search: see `search_thetas`.
    """

    views: ViewSettings = field(default_factory=ViewSettings)
    size_cue: bool = False
    theta_search: bool = False
    seed: int = FIT_SEED


def fit_windows(
    objects: Iterable[ClickedObject],
    options: FitOptions,
    advance: Callable[[], None] = lambda: None,
) -> tuple[LabelledWindows, CueSettings]:
    """Return the windows to learn from and the thetas of their cues."""
    views = options.views
    thetas = theta_grid(views) if options.theta_search else [default_thetas(views)]
    windows = labelled_windows(objects, views, thetas, options.seed, advance)
    return search_thetas(windows, thetas)


def fit_tables(
    windows: LabelledWindows, thetas: CueSettings, source: str, options: FitOptions
) -> ObjectnessModel:
    """Return tables fitted on windows, with their provenance; source: what the images were."""
    provenance: Provenance = {
        "source": source,
        **windows.counts(),
        "seed": options.seed,
        "views": options.views.kind,
        "working_side": options.views.working_side,
        "positive_iou": POSITIVE_IOU,
        "click_error": CLICK_ERROR,
        "windows_per_object": WINDOWS_PER_OBJECT,
        "radius_px": NEAR.radius_px,
        "version": __version__,
    }
    log_side = windows.log_side if options.size_cue else None
    return fit_objectness(windows.cues, windows.is_object, provenance, log_side, thetas)
