"""GOT-10k's protocol: average overlap (AO) and success rates (SR) over all frames at once.

Definitions are those of Huang, Zhao and Huang, "GOT-10k", TPAMI 2019, as its toolkit (0.1.3,
experiments/got10k.py) computes them:

* the first frame, where the tracker was told the box, does not count;
* nor do frames whose label `cover` is 0: nothing of the target is to be seen;
* boxes are brought into the image before they are compared, see `into_image`;
* frames of all videos and repetitions are pooled, so long videos weigh more. The toolkit runs a
  tracker as often over every video; where repetitions are missing, those that are there weigh as
  much as all;
* AO is the mean overlap, SR the share of overlaps **above** 0.5 and 0.75; the success curve has 101
  thresholds.

Where the target is absent the reader gives no box: such frames do not count either. A frame
without a prediction, or with one that is not finite, has overlap 0.
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

SUCCESS_THRESHOLDS: FloatArray = np.linspace(0, 1, 101)
"""IoU thresholds (101,) of the toolkit's success curve."""
SUCCESS_THRESHOLDS.flags.writeable = False

SUCCESS_RATES = {"sr_50": 0.5, "sr_75": 0.75}
"""The overlaps above which a frame is a success; the toolkit gives the first, the server both."""


def score(
    manifest: Manifest, videos: Sequence[Video], tracks: Mapping[str, Track], convention: str
) -> TrackerScore:
    """Score a tracker on a benchmark (`protocols.Protocol.score`).

    A video in which no frame counts, such as one of a single frame, has NaN for its values.
    Raises InputError if that holds for all of them: a test set's truth is not published.
    """
    sequences = {v.name: _score(_video_overlaps(v, tracks[v.name])) for v in videos}
    counted = {name: s for name, s in sequences.items() if s.frames}
    if not counted:
        raise InputError(
            f"{manifest.name}: no frame has a true box after the first; the test set is scored "
            "by the benchmark's server (docs/evaluation.md)"
        )
    lengths = [s.frames / len(tracks[name].runs) for name, s in counted.items()]
    overall = mean_values(list(counted.values()), lengths)
    frames = sum(s.frames for s in counted.values())
    return TrackerScore(replace(overall, frames=frames), sequences)


def frame_overlaps(
    predicted: ArrayLike, truth: ArrayLike, cover: ArrayLike, width: float, height: float
) -> FloatArray:
    """Return the overlaps (frames that count,) of a track (n, 4) with the truth (n, 4).

    cover: (n,) labels, 0 to 8. width, height: of the image in pixels. Raises InputError for
    misshapen boxes.
    """
    track, target = fitting(predicted, truth)
    shown = (np.asarray(cover) > 0) & ~np.isnan(target).any(axis=1)
    shown[:1] = False
    overlap = boxes.iou(
        into_image(track[shown], width, height), into_image(target[shown], width, height)
    )
    return np.where(np.isfinite(track[shown]).all(axis=1), overlap, 0.0)


def into_image(rows: FloatArray, width: float, height: float) -> FloatArray:
    """Return boxes (n, 4) as the toolkit brings them into an image; the input is untouched.

    The corner x, y is moved to the border, and only then the size cut there: a box that reaches
    out at the left keeps its width. (`boxes.clip_boxes` would keep its right edge.)
    """
    limit = np.array([width, height], dtype=np.float64)
    corner = np.clip(rows[:, :2], 0, limit)
    return np.concatenate([corner, np.clip(rows[:, 2:], 0, limit - corner)], axis=1)


def _video_overlaps(video: Video, track: Track) -> FloatArray:
    try:
        return np.concatenate(
            [
                frame_overlaps(run.boxes, video.boxes, video.cover, video.width, video.height)
                for run in track.runs
            ]
        )
    except InputError as error:
        raise InputError(f"{video.name}: {error}") from None


def _score(overlaps: FloatArray) -> Score:
    if not len(overlaps):
        nothing = {"ao": np.nan, **dict.fromkeys(SUCCESS_RATES, np.nan)}
        return Score(nothing, {"success_curve": np.full(len(SUCCESS_THRESHOLDS), np.nan)}, 0)
    # of sorted overlaps, those behind the last that is not above a threshold
    below = np.searchsorted(np.sort(overlaps), SUCCESS_THRESHOLDS, side="right")
    rates = {name: float(np.mean(overlaps > t)) for name, t in SUCCESS_RATES.items()}
    return Score(
        values={"ao": float(overlaps.mean()), **rates},
        curves={"success_curve": 1 - below / len(overlaps)},
        frames=len(overlaps),
    )
