"""A tracker that repeats itself: crashes among its runs, and sequences that it ran over less."""

from pathlib import Path

import numpy as np
import pytest

from socl_pipeline.benchmarks.protocols import PROTOCOLS
from socl_pipeline.benchmarks.tracks import FAILED, INITIALISED, TRACKED, Run, Track
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.video import Video

TRUTH = np.tile([30.0, 20, 20, 16], (12, 1))
NEAR = TRUTH + np.array([4, 0, 0, 0])
CRASH = 5
SENTENCE = "MemoryError: no"


def as_video(name):
    n = len(TRUTH)
    return Video(
        name=name,
        frames=[Path(f"{i}.jpg") for i in range(n)],
        width=96,
        height=72,
        boxes=TRUTH,
        points=np.full((n, 2), np.nan),
        absent=np.zeros(n, bool),
        cover=np.full(n, 8),
    )


def as_run(boxes, crash=None):
    """Return a pass; from the crash on it has no boxes, as those of stage `track`."""
    found, states = boxes.copy(), np.full(len(boxes), TRACKED, np.int8)
    states[0] = INITIALISED
    if crash is not None:
        found[crash:], states[crash] = np.nan, FAILED
    return Run(found, np.ones(len(found)), states)


def overall(protocol, tracks, convention="official"):
    numbers = {"eao_interval": [4, 10], "burn_in": 1} if protocol == "vot" else {}
    place = {"name": "b", "title": "t", "layout": "otb", "root": "r", "licence": "l"}
    manifest = Manifest(**place, protocol=protocol, constants=numbers)
    videos = [as_video(name) for name in tracks]
    return PROTOCOLS[protocol].score(manifest, videos, tracks, convention).overall


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_sequence_weighs_the_same_however_often_it_was_run(protocol):
    fine, broken = as_run(NEAR), as_run(NEAR, CRASH)
    few = {"a": Track((fine, broken), SENTENCE), "b": Track((fine,) * 3)}
    many = {"a": Track((fine, broken) * 3, SENTENCE), "b": Track((fine,) * 6)}
    found, expected = overall(protocol, few), overall(protocol, many)
    assert found.values == pytest.approx(expected.values)
    for name, curve in expected.curves.items():
        np.testing.assert_allclose(found.curves[name], curve)
    whole = overall(protocol, {"a": Track((fine,)), "b": Track((fine,))})
    better = PROTOCOLS[protocol].headline[0]
    assert found.values[better] < whole.values[better]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_crash_costs_the_run_that_it_ended(place):
    """Of three runs any may crash; the frames from its crash on fail in that run alone."""
    runs = [as_run(NEAR)] * 3
    runs[place] = as_run(NEAR, CRASH)
    whole = overall("ope", {"a": Track((as_run(NEAR),))}).values["precision"]
    found = overall("ope", {"a": Track(tuple(runs), SENTENCE)}).values["precision"]
    assert found == pytest.approx(whole * (2 + CRASH / len(TRUTH)) / 3)


def test_an_honest_end_without_a_box_is_no_crash():
    """The box before it counts on, in the runs of a sequence that crashed in another, too."""
    gone = TRUTH.copy()
    gone[-3:] = np.nan
    fine = overall("ope", {"a": Track((as_run(gone),))}).values["mean_iou"]
    assert fine == pytest.approx(1)
    both = Track((as_run(TRUTH, CRASH), as_run(gone)), SENTENCE)
    assert overall("ope", {"a": both}).values["mean_iou"] == pytest.approx(
        (1 + CRASH / len(TRUTH)) / 2
    )


def test_frames_without_a_box_before_a_crash_are_none_of_it():
    gone = TRUTH.copy()
    gone[CRASH - 2 :] = np.nan
    found = overall("ope", {"a": Track((as_run(gone, CRASH),), SENTENCE)})
    assert found.values["mean_iou"] == pytest.approx(CRASH / len(TRUTH))
