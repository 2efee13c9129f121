"""One-pass evaluation (OPE): success and precision of a track, as in OTB, UAV123 and LaSOT.

A tracker starts from the first true box and is never reset. Definitions are those of Wu, Lim and
Yang, "Object Tracking Benchmark", TPAMI 2015, in the form of its Matlab toolkit and of LaSOT's:

* success at t: share of frames whose IoU is **above** t, for 21 thresholds; AUC is their mean, so
  a perfect track scores 20/21 (no IoU is above 1);
* precision at t: share of frames whose centre error is **at most** t pixels, for 51 thresholds;
  the score is the value at 20 px;
* the first frame counts, and its prediction is replaced by the truth;
* a prediction that is not finite or has no area is replaced by that of the frame before;
* sequences have equal weight, whatever their length. Unlike LaSOT's Matlab code, ours keeps a
  sequence whose whole curve is zero: dropping the worst failures would flatter a tracker.

Toolkits disagree on frames whose truth is absent or invalid; see `Convention`.

Boxes are float x, y, w, h in pixels, 0-based, one row a frame. Nothing here reads files or writes
into its arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from socl_pipeline import boxes
from socl_pipeline.errors import InputError

FloatArray = NDArray[np.float64]

SUCCESS_THRESHOLDS: FloatArray = np.linspace(0, 1, 21)
"""IoU thresholds 0:0.05:1 (21,) of TPAMI 2015. Use these very numbers: other roundings tie."""
SUCCESS_THRESHOLDS.flags.writeable = False

PRECISION_THRESHOLDS: FloatArray = np.arange(51, dtype=np.float64)
"""Centre error thresholds 0:1:50 (51,) in pixels, TPAMI 2015."""
PRECISION_THRESHOLDS.flags.writeable = False

PRECISION_SCORE_PX = 20
"""The threshold, in pixels, whose precision ranks trackers (TPAMI 2015)."""

Convention = Literal["official", "drop"]
"""What to do with frames whose truth is no box.

`official` (Matlab toolkits of OTB and LaSOT): a frame is valid where all four numbers of its
1-based box are above 0. An invalid one is a failure for success (IoU -1) and a hit for precision
(error -1); both divide by all frames.

`drop` (got10k toolkit): frames without a finite box of positive size are left out. Boxes that
start outside the image are kept.
"""

_INVALID = -1.0  # below every threshold: fails `>` in success, passes `<=` in precision
_TO_ONE_BASED = np.array([1.0, 1.0, 0.0, 0.0])


@dataclass(frozen=True, eq=False)
class OpeScore:
    """Scores of a track, or their mean over sequences; all are shares in [0, 1].

    Attributes:
        auc: mean of the success curve.
        precision: share of frames with a centre error of at most 20 px.
        success_curve: (21,) at `SUCCESS_THRESHOLDS`.
        precision_curve: (51,) at `PRECISION_THRESHOLDS`.
        mean_iou: average overlap; invalid frames count 0 under `official`.
        frames: frames that the shares divide by.
    """

    auc: float
    precision: float
    success_curve: FloatArray
    precision_curve: FloatArray
    mean_iou: float
    frames: int


def success_curve(iou: ArrayLike) -> FloatArray:
    """Return the share (21,) of overlaps (n,) strictly above each of `SUCCESS_THRESHOLDS`.

    NaN is a failure. Raises InputError unless `iou` is a non-empty vector.
    """
    values = _vector(iou, "overlaps")
    return np.mean(values[:, None] > SUCCESS_THRESHOLDS, axis=0)


def precision_curve(error: ArrayLike) -> FloatArray:
    """Return the share (51,) of errors (n,), in pixels, at most each of `PRECISION_THRESHOLDS`.

    NaN is a failure. Raises InputError unless `error` is a non-empty vector.
    """
    values = _vector(error, "centre errors")
    return np.mean(values[:, None] <= PRECISION_THRESHOLDS, axis=0)


def center_error(pred: ArrayLike, truth: ArrayLike) -> FloatArray:
    """Return the distance (...,) in pixels between the centres of boxes (..., 4)."""
    gap = np.asarray(boxes.centers(pred) - boxes.centers(truth), dtype=np.float64)
    return np.hypot(gap[..., 0], gap[..., 1])


def score_sequence(
    predicted: ArrayLike, truth: ArrayLike, *, convention: Convention = "official"
) -> OpeScore:
    """Score a track (n, 4) against the truth (n, 4).

    Truth rows of absent targets are NaN, or any box that `Convention` calls invalid. The first
    row must be a box, since the tracker starts from it.

    Raises:
        InputError: arrays that are not (n, 4) or differ in length, a truth without a first box,
            or an unknown convention.
    """
    if convention not in get_args(Convention):
        known = " or ".join(get_args(Convention))
        raise InputError(f"Unknown convention {convention!r} for invalid frames: use {known}.")
    track, target = _checked_pair(predicted, truth)
    track = _repaired(track, target[0])
    overlap = boxes.iou(track, target)
    error = center_error(track, target)
    if convention == "drop":
        keep = _is_box(target)
        return _score(overlap[keep], error[keep])
    valid = _is_box(target) & (target + _TO_ONE_BASED > 0).all(axis=1)
    return _score(np.where(valid, overlap, _INVALID), np.where(valid, error, _INVALID))


def mean_score(scores: Sequence[OpeScore]) -> OpeScore:
    """Return the mean of sequence scores, each with equal weight; `frames` is their sum.

    Raises InputError for no scores.
    """
    if not scores:
        raise InputError("There is no sequence score to average: score at least one sequence.")
    return OpeScore(
        auc=float(np.mean([s.auc for s in scores])),
        precision=float(np.mean([s.precision for s in scores])),
        success_curve=np.mean([s.success_curve for s in scores], axis=0),
        precision_curve=np.mean([s.precision_curve for s in scores], axis=0),
        mean_iou=float(np.mean([s.mean_iou for s in scores])),
        frames=sum(s.frames for s in scores),
    )


def _score(overlap: NDArray[np.floating], error: NDArray[np.floating]) -> OpeScore:
    success, precision = success_curve(overlap), precision_curve(error)
    return OpeScore(
        auc=float(success.mean()),
        precision=float(precision[PRECISION_SCORE_PX]),
        success_curve=success,
        precision_curve=precision,
        mean_iou=float(np.maximum(overlap, 0).mean()),
        frames=len(overlap),
    )


def _repaired(track: FloatArray, first: FloatArray) -> FloatArray:
    """Return a copy that starts at `first` (4,) and whose broken rows repeat the row before."""
    fixed = np.concatenate([first[None], track[1:]])
    source = np.where(_is_box(fixed), np.arange(len(fixed)), 0)
    return fixed[np.maximum.accumulate(source)]


def _is_box(rows: FloatArray) -> NDArray[np.bool_]:
    return np.all(np.isfinite(rows), axis=1) & np.all(rows[:, 2:] > 0, axis=1)


def _checked_pair(predicted: ArrayLike, truth: ArrayLike) -> tuple[FloatArray, FloatArray]:
    track = np.asarray(predicted, dtype=np.float64)
    target = np.asarray(truth, dtype=np.float64)
    for name, array in (("predicted", track), ("true", target)):
        if array.ndim != 2 or array.shape[1] != 4:
            raise InputError(f"The {name} boxes have shape {array.shape}: expected (frames, 4).")
    if len(track) != len(target):
        raise InputError(
            f"The track has {len(track)} boxes but the truth has {len(target)}: "
            "give one predicted box for every frame of the truth."
        )
    if not len(target) or not _is_box(target[:1])[0]:
        raise InputError("The truth has no box in its first frame: a tracker cannot start there.")
    return track, target


def _vector(values: ArrayLike, name: str) -> FloatArray:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or not len(vector):
        raise InputError(f"The {name} have shape {vector.shape}: expected (frames,), not empty.")
    return vector
