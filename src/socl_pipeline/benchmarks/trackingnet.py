"""TrackingNet's protocol: one-pass evaluation in whole pixels, with areas under three curves.

Definitions are those of the benchmark's devkit (metrics.py of TrackingNet-devkit; Mueller et al.,
"TrackingNet", ECCV 2018):

* true and predicted boxes are rounded to whole pixels, halves to even;
* the first prediction is replaced by the truth; no other is repaired;
* success at t: share of frames whose IoU is **at least** t, for 21 thresholds from 0 to 1;
* precision at t: share with a centre error of at most t pixels, for 21 thresholds from 0 to 50;
  normalised: at most t sizes of the true box, for 21 thresholds from 0 to 0.5;
* a score is the area under its curve, of trapezoids, the axis scaled to [0, 1];
* videos have equal weight.

Convention `strict` counts an IoU above t, as another revision of the devkit does: a perfect track
then scores 0.975 instead of 1.

The test set's truth is with the benchmark's server; this scores data whose truth one has. A frame
without a true box is a failure in all three.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from socl_pipeline import boxes
from socl_pipeline.benchmarks.tracks import Score, Track, TrackerScore, fitting, mean_values
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.video import Video
from socl_pipeline.errors import InputError

FloatArray = NDArray[np.float64]

SUCCESS_THRESHOLDS: FloatArray = np.linspace(0, 1, 21)
"""IoU thresholds (21,) of the devkit."""

PRECISION_THRESHOLDS: FloatArray = np.linspace(0, 50, 21)
"""Centre error thresholds (21,) in pixels of the devkit."""

NORM_PRECISION_THRESHOLDS: FloatArray = np.linspace(0, 0.5, 21)
"""Thresholds (21,) of the devkit, in sizes of the true box."""

for _thresholds in (SUCCESS_THRESHOLDS, PRECISION_THRESHOLDS, NORM_PRECISION_THRESHOLDS):
    _thresholds.flags.writeable = False


def score(
    manifest: Manifest, videos: Sequence[Video], tracks: Mapping[str, Track], convention: str
) -> TrackerScore:
    """Score a tracker on a benchmark (`protocols.Protocol.score`).

    Repetitions count as the mean of their scores.
    """
    sequences = {v.name: _video_score(v, tracks[v.name], convention) for v in videos}
    overall = mean_values(list(sequences.values()))
    frames = sum(s.frames for s in sequences.values())
    return TrackerScore(replace(overall, frames=frames), sequences)


def score_sequence(
    predicted: ArrayLike, truth: ArrayLike, *, convention: str = "official"
) -> Score:
    """Score a track (n, 4) against the truth (n, 4), x, y, w, h as the benchmark's files have them.

    Raises InputError for misshapen boxes or a truth without frames.
    """
    track, target = (np.rint(rows) for rows in fitting(predicted, truth))
    if not len(target):
        raise InputError("The truth has no frame: score at least one.")
    track = np.concatenate([target[:1], track[1:]])
    track[~np.isfinite(track).all(axis=1)] = np.nan
    # a true box without a size; a predicted one beyond the range of numbers
    with np.errstate(all="ignore"):
        overlap = np.nan_to_num(boxes.iou(track, target), nan=-1.0)  # without a box: below all
        gap = boxes.centers(track) - boxes.centers(target)
        distance = np.sqrt((gap * gap).sum(axis=1))
        # in the devkit's order of operations, so that ties fall alike
        ratios = gap / target[:, 2:] * gap / target[:, 2:]
    reached = np.greater if convention == "strict" else np.greater_equal
    curves = {
        "success_curve": np.mean(reached(overlap[:, None], SUCCESS_THRESHOLDS), axis=0),
        "precision_curve": _within(distance, PRECISION_THRESHOLDS),
        "norm_precision_curve": _within(np.sqrt(ratios.sum(axis=1)), NORM_PRECISION_THRESHOLDS),
    }
    values = {
        "auc": _area(curves["success_curve"]),
        "precision": _area(curves["precision_curve"]),
        "norm_precision": _area(curves["norm_precision_curve"]),
        "mean_iou": float(np.maximum(overlap, 0).mean()),
    }
    return Score(values, curves, len(target))


def _video_score(video: Video, track: Track, convention: str) -> Score:
    try:
        return mean_values(
            [score_sequence(run.boxes, video.boxes, convention=convention) for run in track.runs]
        )
    except InputError as error:
        raise InputError(f"{video.name}: {error}") from None


def _within(errors: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Return the share (t,) of errors (n,) at most each threshold; NaN is none of them."""
    return np.asarray(np.mean(errors[:, None] <= thresholds, axis=0))


def _area(curve: FloatArray) -> float:
    """Return the area under a curve at even steps over [0, 1], of trapezoids."""
    return float((curve[1:] + curve[:-1]).mean() / 2)
