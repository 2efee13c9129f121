"""Priors of the target around a click: what may stand in the place of the TOP boxes.

A prior is a function of a frame and its click that returns scored boxes, or a map of the frame
from which they are made, so that everything after it (store, patches, training, report) is the
same for all. `gaussian` looks at no image and is the control that a prior has to beat; `boxes` is
the true box, the upper bound and what Box-Siam learns from; `package.module:function` is the
user's own, such as a segmenter. The prior of the paper, `top`, is in `top.scoring`.
"""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.boxes import centered_boxes, clip_boxes
from socl_pipeline.errors import InputError
from socl_pipeline.settings import TopMapSettings

Float = NDArray[np.floating]
ScoredBoxes = tuple[Float, Float]

LEVELS = 4  # level sets that a graded map is cut into
TINY = 1e-9  # less than any pixel's share of a strip


@dataclass(frozen=True)
class FrameInfo:
    """What a prior may know of a frame besides its pixels and its click.

    box: (4,) the true box; None for every prior but `boxes`, which must not see it.
    """

    video: str
    frame: int
    box: Float | None = None


Prior = Callable[[NDArray[np.uint8], Float, FrameInfo], ScoredBoxes]


def load_prior(settings: TopMapSettings) -> Prior:
    """Return the prior that the settings name, other than `top`.

    Raises InputError if it is a function that cannot be imported.
    """
    if settings.prior == "gaussian":
        return partial(gaussian_prior, share=settings.gaussian_sigma, count=settings.top_k)
    if settings.prior == "boxes":
        return box_prior
    module, _, name = settings.prior.partition(":")
    try:
        provider = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever the user's module does when it is imported
        raise InputError(
            f"top_maps.prior: {settings.prior!r} cannot be imported ({error!r}); expected "
            "package.module:function, importable where the stage runs (PYTHONPATH)"
        ) from None
    return partial(_checked, provider, settings.prior, settings.top_k)


def prior_source(prior: str) -> Path | None:
    """Return the file that holds a user's prior; None for one that is not a Python file."""
    module, found, _ = prior.partition(":")
    try:
        spec = importlib.util.find_spec(module) if found else None
    except ImportError:
        return None  # `load_prior` says so
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def gaussian_prior(
    image: NDArray[np.uint8], point: Float, info: FrameInfo, *, share: float, count: int
) -> ScoredBoxes:
    """Return `count` nested squares around the click whose summed scores fall like a Gaussian.

    share: the standard deviation over the root of the frame's area. At a distance r along an axis
    the sum is exp(-r^2 / 2 sigma^2), in `count` equal steps.
    """
    height, width = image.shape[:2]
    levels = (np.arange(count)[::-1] + 0.5) / count
    radius = share * np.sqrt(width * height) * np.sqrt(-2 * np.log(levels))
    squares = centered_boxes(point, np.repeat(2 * radius[:, None], 2, axis=1))
    return clip_boxes(squares, width, height), np.full(count, 1 / count)


def box_prior(image: NDArray[np.uint8], point: Float, info: FrameInfo) -> ScoredBoxes:
    """Return the true box of the frame with score 1. Raises InputError if there is none."""
    if info.box is None or not np.isfinite(info.box).all():
        raise InputError(
            f"{info.video}, frame {info.frame}: no true box, which `prior: boxes` needs; "
            "take another prior, or leave this frame out with --on-bad-frame skip"
        )
    height, width = image.shape[:2]
    return clip_boxes(info.box[None], width, height), np.ones(1)


def boxes_of_map(scores: Float, count: int) -> ScoredBoxes:
    """Return at most `count` boxes (k, 4) whose scores (k,) sum up to about a map (H, W) >= 0.

    The map is cut into level sets (a mask is its own only one), each of them into horizontal
    strips, and a strip into the runs of columns that lie in the set for half of its rows, or for
    as many as any column does. The largest boxes are kept. Raises ValueError for a map without
    positive values.
    """
    highest = float(scores.max(initial=0))
    if scores.ndim != 2 or not highest > 0:
        raise ValueError(f"a map (H, W) with positive values is expected, not {scores.shape}")
    levels = 1 if scores[scores > 0].min() == highest else LEVELS
    strips = max(1, count // levels)
    boxes = np.concatenate(
        [
            _strips(scores >= highest * (level + 0.5) / levels, strips).reshape(-1, 4)
            for level in range(levels)
        ]
    )
    largest = np.sort(np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")[:count])
    return boxes[largest], np.full(len(largest), highest / levels)


def _strips(inside: NDArray[np.bool_], count: int) -> Float:
    """Return boxes (k, 4) that cover a set (H, W) by at most `count` strips."""
    rows = np.flatnonzero(inside.any(axis=1))
    edges = np.linspace(rows[0], rows[-1] + 1, min(count, int(np.ptp(rows)) + 1) + 1)
    bounds = np.rint(edges).astype(int)
    boxes = []
    for top, bottom in pairwise(bounds):
        share = inside[top:bottom].mean(axis=0)
        covered = share >= min(0.5, max(share.max(), TINY))
        steps = np.flatnonzero(np.diff(covered, prepend=False, append=False))
        for left, right in zip(steps[::2], steps[1::2], strict=True):
            boxes.append([left, top, right - left, bottom - top])
    return np.array(boxes, np.float64)


def _checked(
    provider: Callable[..., object],
    name: str,
    count: int,
    image: NDArray[np.uint8],
    point: Float,
    info: FrameInfo,
) -> ScoredBoxes:
    """Call a user's prior; what it returns is checked, because it is nobody else's mistake."""
    found = provider(image, point, info)
    where = f"{name} ({info.video}, frame {info.frame})"
    if isinstance(found, tuple | list):
        return _checked_boxes(found, where, count, image)
    scores = np.asarray(found, np.float64)
    if scores.shape != image.shape[:2] or not np.isfinite(scores).all():
        raise InputError(
            f"{where}: returned {scores.shape}, expected boxes (n, 4) and scores (n,), "
            f"or a finite map {image.shape[:2]}"
        )
    if scores.min() < 0 or scores.max() <= 0:
        raise InputError(f"{where}: the map must be >= 0, and greater somewhere")
    return boxes_of_map(scores / scores.max(), count)


def _checked_boxes(
    found: Sequence[object], where: str, count: int, image: NDArray[np.uint8]
) -> ScoredBoxes:
    """Return the best boxes of a user's prior, cut at the frame, and scores of at most 1."""
    try:
        boxes, scores = (np.asarray(part, np.float64) for part in found)
    except (TypeError, ValueError):
        raise InputError(f"{where}: expected boxes (n, 4) and scores (n,)") from None
    if scores.ndim != 1 or boxes.shape != (len(scores), 4):
        raise InputError(
            f"{where}: returned boxes {boxes.shape} and scores {scores.shape}, "
            "expected (n, 4) and (n,) with n > 0"
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all() and (scores > 0).all()):
        raise InputError(f"{where}: boxes must be finite numbers and scores positive ones")
    kept = clip_boxes(boxes, image.shape[1], image.shape[0])
    visible = np.flatnonzero(kept[:, 2:].min(axis=1, initial=np.inf) > 0)
    if not len(visible):
        raise InputError(f"{where}: returned no box with an area in the frame, expected n > 0")
    best = visible[np.argsort(-scores[visible], kind="stable")[:count]]
    return kept[best], scores[best] / scores[best[0]]
