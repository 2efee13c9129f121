"""One-pass evaluation (OPE): success and precision of a track, as in OTB, UAV123 and LaSOT.

A tracker starts from the first true box and is never reset. Definitions are those of Wu, Lim and
Yang, "Object Tracking Benchmark", TPAMI 2015, in the form of its Matlab toolkit and of LaSOT's:

* success at t: share of frames whose IoU is **above** t, for 21 thresholds; AUC is their mean, so
  a perfect track scores 20/21 (no IoU is above 1);
* precision at t: share of frames whose centre error is **at most** t pixels, for 51 thresholds;
  the score is the value at 20 px;
* normalised precision: the same with the error divided, in x and y, by the size of the true box
  (LaSOT; Mueller et al., "TrackingNet", ECCV 2018), for 51 thresholds; the score is the value at
  0.20;
* the first frame counts, and its prediction is replaced by the truth;
* a prediction that is not finite or has no area is replaced by that of the frame before; frames
  from a tracker's crash on have no prediction and fail;
* sequences have equal weight, whatever their length. LaSOT's Matlab code leaves out sequences
  whose whole curve is zero: with a first frame that counts there are none.

Toolkits disagree on frames whose truth is absent or invalid, and on more; see `CONVENTIONS`.

Boxes are float x, y, w, h in pixels, 0-based, one row a frame. Nothing here reads files or writes
into its arguments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from socl_pipeline import boxes
from socl_pipeline.benchmarks.counts import ERROR, HIT, LEFT_OUT, OVERLAP, count_frames
from socl_pipeline.benchmarks.tracks import (
    Score,
    Track,
    TrackerScore,
    box_rows,
    fitting,
)
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.video import Video
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

NORM_PRECISION_THRESHOLDS: FloatArray = np.arange(51) / 100
"""Thresholds (0:50)/100 (51,) of the error in sizes of the true box, of LaSOT's Matlab toolkit.
`linspace` rounds three of them otherwise."""
NORM_PRECISION_THRESHOLDS.flags.writeable = False

NORM_PRECISION_SCORE_INDEX = 20
"""Where among them 0.20 is, whose value LaSOT's toolkit, pysot and pytracking report."""

_TO_ONE_BASED = np.array([1.0, 1.0, 0.0, 0.0])
_NO_START = "The truth has no box in its first frame: a tracker cannot start there."
_FLAGGED = ("lasot", "got10k")  # layouts with files of flags; elsewhere a box is there or not


@dataclass(frozen=True)
class Rules:
    """What a toolkit does where toolkits differ; see docs/evaluation.md for how much it matters.

    valid: which truth is a box: `positive` (all four 1-based numbers above 0), `size` (width and
    height above 0, for the overlap, and a 1-based centre above 0, for the error), `area` (finite
    and of positive size), `number` (not NaN).
    invalid: what a frame without one is: `fail` (a failure in both), `hit` (a failure for success,
    a hit for precision), `leave_out`.
    absent: what frames are whose truth is flagged as absent: the same, or `use` (no flag is read).
    first_is_truth, repair: the first prediction is the truth; a broken one is the one before.
    norm_precision: the `value` at 0.20, or the `mean` of the 51 thresholds.
    """

    valid: Literal["positive", "size", "area", "number"] = "positive"
    invalid: Literal["fail", "hit", "leave_out"] = "hit"
    absent: Literal["fail", "leave_out", "use"] = "fail"
    first_is_truth: bool = True
    repair: bool = True
    norm_precision: Literal["value", "mean"] = "value"


CONVENTIONS: dict[str, Rules] = {
    # the Matlab toolkits of OTB (TPAMI 2015) and LaSOT
    "official": Rules(),
    # got10k toolkit 0.1.3: experiments/otb.py, uav123.py; lasot.py of its repository
    "got10k": Rules(
        valid="number", invalid="leave_out", absent="use", repair=False, norm_precision="mean"
    ),
    # STVIR/pysot: toolkit/utils/statistics.py
    "pysot": Rules(valid="size", first_is_truth=False, repair=False),
    # pytracking; on UAV123 an invalid frame is a hit for precision, see `_rules`
    "pytracking": Rules(invalid="fail"),
    # our own: only frames in which there is a target to be found
    "drop": Rules(valid="area", invalid="leave_out", absent="leave_out"),
}
"""The conventions by name; the first is the default."""


@dataclass(frozen=True, eq=False)
class OpeScore:
    """Scores of a track, or their mean over sequences; all are shares in [0, 1].

    Attributes:
        auc: mean of the success curve.
        precision: share of frames with a centre error of at most 20 px.
        norm_precision: share of frames with an error of at most 0.20 sizes of the true box, or
            the mean over thresholds, as the convention has it.
        success_curve: (21,) at `SUCCESS_THRESHOLDS`.
        precision_curve: (51,) at `PRECISION_THRESHOLDS`.
        norm_precision_curve: (51,) at `NORM_PRECISION_THRESHOLDS`.
        mean_iou: average overlap; invalid frames count 0 unless they are left out.
        frames: frames that the shares divide by.
    """

    auc: float
    precision: float
    norm_precision: float
    success_curve: FloatArray
    precision_curve: FloatArray
    norm_precision_curve: FloatArray
    mean_iou: float
    frames: int

    def score(self) -> Score:
        """Return it in the form of all protocols."""
        values = ("auc", "precision", "norm_precision", "mean_iou")
        curves = ("success_curve", "precision_curve", "norm_precision_curve")
        return Score(
            values={name: getattr(self, name) for name in values},
            curves={name: getattr(self, name) for name in curves},
            frames=self.frames,
        )


@dataclass(frozen=True, eq=False)
class OpeScores:
    """Scores of s sequences as arrays: (s,), and (s, thresholds) of the curves; see `OpeScore`."""

    auc: FloatArray
    precision: FloatArray
    norm_precision: FloatArray
    success_curve: FloatArray
    precision_curve: FloatArray
    norm_precision_curve: FloatArray
    mean_iou: FloatArray
    frames: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.auc)

    def sequence(self, index: int) -> OpeScore:
        """Return the score of one sequence."""
        return OpeScore(
            auc=float(self.auc[index]),
            precision=float(self.precision[index]),
            norm_precision=float(self.norm_precision[index]),
            success_curve=self.success_curve[index],
            precision_curve=self.precision_curve[index],
            norm_precision_curve=self.norm_precision_curve[index],
            mean_iou=float(self.mean_iou[index]),
            frames=int(self.frames[index]),
        )

    def grouped(self, sizes: Sequence[int]) -> "OpeScores":
        """Return the mean of each of g groups of neighbours, such as repetitions of a sequence.

        sizes: (g,) of the groups, none of them empty; their scores are over the same frames.
        """
        counts = np.array(sizes)
        starts = np.cumsum(counts) - counts

        def means(values: FloatArray) -> FloatArray:
            return np.add.reduceat(values, starts) / counts.reshape(-1, *[1] * (values.ndim - 1))

        return OpeScores(
            auc=means(self.auc),
            precision=means(self.precision),
            norm_precision=means(self.norm_precision),
            success_curve=means(self.success_curve),
            precision_curve=means(self.precision_curve),
            norm_precision_curve=means(self.norm_precision_curve),
            mean_iou=means(self.mean_iou),
            frames=self.frames[starts],
        )

    def mean(self) -> OpeScore:
        """Return the mean over sequences, each with equal weight; `frames` is their sum."""
        return OpeScore(
            auc=float(self.auc.mean()),
            precision=float(self.precision.mean()),
            norm_precision=float(self.norm_precision.mean()),
            success_curve=self.success_curve.mean(axis=0),
            precision_curve=self.precision_curve.mean(axis=0),
            norm_precision_curve=self.norm_precision_curve.mean(axis=0),
            mean_iou=float(self.mean_iou.mean()),
            frames=int(self.frames.sum()),
        )


class Targets:
    """The true boxes of sequences under a convention: what tracks are scored against."""

    def __init__(
        self,
        truths: Sequence[ArrayLike],
        rules: Rules = CONVENTIONS["official"],
        absent: Sequence[NDArray[np.bool_]] | None = None,
    ) -> None:
        """Take the true boxes (n, 4) of each sequence, and the flags (n,) of absent frames.

        The first row must be a box, since the tracker starts from it; its flag is not read.
        Raises InputError if it is none, or for misshapen arrays.
        """
        checked = [box_rows(truth, "true") for truth in truths]
        for truth in checked:
            if not len(truth) or not _is_box(truth[:1])[0]:
                raise InputError(_NO_START)
        self.rules = rules
        self.starts = np.cumsum([0, *(len(truth) for truth in checked)])
        self.boxes = np.concatenate(checked) if checked else np.zeros((0, 4))
        flags = np.zeros(len(self.boxes), bool) if absent is None else np.concatenate(absent)
        flags[self.starts[:-1]] = False
        self.kinds = _kinds(self.boxes, flags, rules)

    def score(
        self, tracks: Sequence[ArrayLike], crashes: Sequence[int | None] | None = None
    ) -> OpeScores:
        """Score a track (n, 4) of each sequence.

        crashes: of each sequence the frame from which on the tracker had crashed, or None. Raises
        InputError for arrays that are not (n, 4) or differ in length from the truth.
        """
        lengths = np.diff(self.starts)
        if len(tracks) != len(lengths):
            raise InputError(f"{len(tracks)} tracks for {len(lengths)} sequences: give each one.")
        parts = np.split(self.boxes, self.starts[1:-1])
        checked = [fitting(track, truth)[0] for track, truth in zip(tracks, parts, strict=True)]
        given = crashes if crashes is not None else [None] * len(checked)
        limits = [n if c is None else c for c, n in zip(given, lengths, strict=True)]
        thresholds = (SUCCESS_THRESHOLDS, PRECISION_THRESHOLDS, NORM_PRECISION_THRESHOLDS)
        overlaps, errors, ratios, sums, frames = count_frames(
            np.concatenate(checked) if checked else np.zeros((0, 4)),
            self.boxes,
            self.kinds,
            self.starts,
            np.array(limits, np.int64),
            self.rules.first_is_truth,
            self.rules.repair,
            thresholds,
        )
        success = overlaps[:, :0:-1].cumsum(axis=1)[:, ::-1] / frames[:, None]
        precision = errors[:, :-1].cumsum(axis=1) / frames[:, None]
        near = ratios[:, :-1].cumsum(axis=1) / frames[:, None]
        value = self.rules.norm_precision == "value"
        return OpeScores(
            auc=success.mean(axis=1),
            precision=precision[:, PRECISION_SCORE_PX],
            norm_precision=near[:, NORM_PRECISION_SCORE_INDEX] if value else near.mean(axis=1),
            success_curve=success,
            precision_curve=precision,
            norm_precision_curve=near,
            mean_iou=sums / frames,
            frames=frames,
        )


def score(
    manifest: Manifest, videos: Sequence[Video], tracks: Mapping[str, Track], convention: str
) -> TrackerScore:
    """Score a tracker on a benchmark (`protocols.Protocol.score`).

    A sequence counts as the mean of the scores of its repetitions, however many there are.
    """
    rules = _rules(manifest, convention)
    for video in videos:
        if not _is_box(video.boxes[:1]).all():
            raise InputError(f"{video.name}: {_NO_START}")
    passes = [(v, tracks[v.name], run) for v in videos for run in tracks[v.name].runs]
    targets = Targets(
        [v.boxes for v, _, _ in passes], rules, [_flags(v, manifest) for v, _, _ in passes]
    )
    scores = targets.score(
        [run.boxes for _, _, run in passes], [track.crash(run) for _, track, run in passes]
    ).grouped([len(tracks[v.name].runs) for v in videos])
    sequences = {v.name: scores.sequence(i).score() for i, v in enumerate(videos)}
    return TrackerScore(scores.mean().score(), sequences)


def _rules(manifest: Manifest, convention: str) -> Rules:
    """Return a convention's rules; pytracking knows one dataset by its name."""
    rules = CONVENTIONS[convention]
    if convention == "pytracking" and manifest.name.startswith("uav"):
        return replace(rules, invalid="hit")
    return rules


def _flags(video: Video, manifest: Manifest) -> NDArray[np.bool_]:
    """Return which frames (n,) the benchmark's files flag as absent.

    UAV123 and VOT flag none: their truth has no box there, which toolkits take as invalid.
    """
    return video.absent if manifest.layout in _FLAGGED else np.zeros(len(video.boxes), bool)


def score_sequence(
    predicted: ArrayLike, truth: ArrayLike, *, convention: str = "official"
) -> OpeScore:
    """Score a track (n, 4) against the truth (n, 4).

    Truth rows of absent targets are NaN, or any box that the convention calls invalid. The first
    row must be a box, since the tracker starts from it.

    Raises:
        InputError: arrays that are not (n, 4) or differ in length, a truth without a first box,
            or an unknown convention.
    """
    if convention not in CONVENTIONS:
        *others, last = CONVENTIONS
        raise InputError(
            f"Unknown convention {convention!r} of one-pass evaluation: use {', '.join(others)} "
            f"or {last}."
        )
    return Targets([truth], CONVENTIONS[convention]).score([predicted]).sequence(0)


def center_error(pred: ArrayLike, truth: ArrayLike) -> FloatArray:
    """Return the distance (...,) in pixels between the centres of boxes (..., 4)."""
    gap = np.asarray(boxes.centers(pred) - boxes.centers(truth), dtype=np.float64)
    return np.hypot(gap[..., 0], gap[..., 1])


def _kinds(truth: FloatArray, absent: NDArray[np.bool_], rules: Rules) -> NDArray[np.uint8]:
    """Return what each frame (n,) is good for under some rules (`counts`)."""
    overlap, error = _valid(truth, rules)
    invalid = {"fail": 0, "hit": HIT, "leave_out": LEFT_OUT}
    kinds = np.where(overlap, OVERLAP, 0) + np.where(error, ERROR, invalid[rules.invalid])
    if rules.absent != "use":
        kinds = np.where(absent, invalid[rules.absent], kinds)
    return kinds.astype(np.uint8)


def _valid(truth: FloatArray, rules: Rules) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the frames (n,) whose truth is a box to overlap with, and one with a centre."""
    with np.errstate(invalid="ignore"):  # of infinite boxes
        one_based = truth + _TO_ONE_BASED
        if rules.valid == "size":
            centers = one_based[:, :2] + (one_based[:, 2:] - 1) / 2
            return np.all(truth[:, 2:] > 0, axis=1), np.all(centers > 0, axis=1)
    valid = {
        "positive": _is_box(truth) & (one_based > 0).all(axis=1),
        "area": _is_box(truth),
        "number": ~np.isnan(truth).any(axis=1),
    }[rules.valid]
    return valid, valid


def _is_box(rows: FloatArray) -> NDArray[np.bool_]:
    return np.all(np.isfinite(rows), axis=1) & np.all(rows[:, 2:] > 0, axis=1)
