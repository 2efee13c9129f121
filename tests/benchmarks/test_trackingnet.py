from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from socl_pipeline.benchmarks.protocols import PROTOCOLS
from socl_pipeline.benchmarks.trackingnet import score_sequence
from socl_pipeline.benchmarks.tracks import Run, Track
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.video import Video
from socl_pipeline.errors import InputError

BENCHMARK = Manifest(
    name="trackingnet", title="t", layout="otb", protocol="trackingnet", root="r", licence="l"
)
HALVES = st.integers(-8, 120).map(lambda v: v / 4)


def slow_scores(predicted, truth):
    """Return success, precision and normalised precision, as the definition reads."""
    n = len(truth)
    counts = np.zeros((3, 21))
    for frame in range(n):
        target = [round(v) for v in truth[frame].tolist()]
        guess = target if frame == 0 else [round(v) for v in predicted[frame].tolist()]
        left, top = max(guess[0], target[0]), max(guess[1], target[1])
        right = min(guess[0] + guess[2], target[0] + target[2])
        bottom = min(guess[1] + guess[3], target[1] + target[3])
        shared = max(right - left, 0) * max(bottom - top, 0)
        overlap = shared / (guess[2] * guess[3] + target[2] * target[3] - shared)
        dx = guess[0] + guess[2] / 2 - target[0] - target[2] / 2
        dy = guess[1] + guess[3] / 2 - target[1] - target[3] / 2
        for k in range(21):
            counts[0, k] += overlap >= np.linspace(0, 1, 21)[k]
            counts[1, k] += (dx * dx + dy * dy) ** 0.5 <= 2.5 * k
            # the order of these decides on which side of a threshold a tie falls
            near = dx / target[2] * dx / target[2] + dy / target[3] * dy / target[3]
            counts[2, k] += near**0.5 <= np.linspace(0, 0.5, 21)[k]
    return [np.trapezoid(c / n, dx=1 / 20) for c in counts]


@settings(max_examples=60)
@given(hnp.arrays(float, (6, 4), elements=HALVES), hnp.arrays(float, (6, 4), elements=HALVES))
def test_agrees_with_the_slow_definition(guess, truth):
    guess[:, 2:], truth[:, 2:] = np.abs(guess[:, 2:]) + 1, np.abs(truth[:, 2:]) + 1
    found = score_sequence(guess, truth).values
    success, precision, near = slow_scores(guess, truth)
    assert found["auc"] == pytest.approx(success)
    assert found["precision"] == pytest.approx(precision)
    assert found["norm_precision"] == pytest.approx(near)


def shifted(track, right):
    return track + np.array([right, 0, 0, 0])


def fixed_track(frames=5):
    t = np.arange(frames, dtype=float)
    return np.stack([10 + 3 * t, 20 + 2 * t, np.full(frames, 40.0), np.full(frames, 30.0)], axis=1)


@pytest.mark.parametrize(("convention", "auc"), [("official", 1), ("strict", 0.975)])
def test_perfect_tracks_score_what_the_convention_implies(convention, auc):
    found = score_sequence(fixed_track(), fixed_track(), convention=convention)
    assert found.values["auc"] == pytest.approx(auc)
    assert found.values["precision"] == found.values["norm_precision"] == 1


def test_boxes_are_rounded_halves_to_even():
    truth = fixed_track()
    assert score_sequence(truth + 0.49, truth).values["auc"] == 1
    assert score_sequence(shifted(truth, 0.5), truth).values["auc"] < 1  # 13.5 becomes 14
    assert score_sequence(shifted(truth[::2], 0.5), truth[::2]).values["auc"] == 1  # 10.5: 10


def test_one_frame_is_the_truth_and_perfect():
    assert score_sequence(fixed_track(1) + 99, fixed_track(1)).values["auc"] == 1


@pytest.mark.parametrize("side", ["guess", "truth"])
def test_frames_without_a_box_fail_in_all(side):
    guess, truth = fixed_track(), fixed_track()
    {"guess": guess, "truth": truth}[side][3:] = np.nan
    found = score_sequence(guess, truth).values
    assert found == pytest.approx(dict.fromkeys(found, 3 / 5))


def test_videos_weigh_equally_and_repetitions_are_averaged():
    videos, tracks = [], {}
    for name, n, off in (("long", 30, 0), ("short", 3, 1000)):
        truth = fixed_track(n)
        videos.append(
            Video(
                name=name,
                frames=[Path(f"{i}.jpg") for i in range(n)],
                width=640,
                height=480,
                boxes=truth,
                points=np.full((n, 2), np.nan),
                absent=np.zeros(n, bool),
                cover=np.full(n, 8, np.int8),
            )
        )
        runs = [shifted(truth, off), truth]
        zeros = np.zeros(n, np.int8)
        tracks[name] = Track(tuple(Run(r, np.ones(n), zeros) for r in runs))
    found = PROTOCOLS["trackingnet"].score(BENCHMARK, videos, tracks)
    assert found.sequences["short"].values["precision"] == pytest.approx((1 / 3 + 1) / 2)
    assert found.overall.values["precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found.overall.frames == 33
    tracks["short"] = Track((Run(fixed_track(4), np.ones(4), np.zeros(4, np.int8)),))
    with pytest.raises(InputError, match="short: The track has 4 boxes but the truth has 3"):
        PROTOCOLS["trackingnet"].score(BENCHMARK, videos, tracks)


def test_an_empty_truth_is_refused():
    with pytest.raises(InputError, match="no frame"):
        score_sequence(np.zeros((0, 4)), np.zeros((0, 4)))
