import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.benchmarks import got10k
from socl_pipeline.benchmarks.ope import CONVENTIONS, Targets
from socl_pipeline.benchmarks.protocols import PROTOCOLS
from socl_pipeline.benchmarks.tracks import Run, Track
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.video import Video
from socl_pipeline.errors import InputError

GOLDEN = Path(__file__).with_name("golden") / "got10k.json"
ONE_BASED = np.array([1, 1, 0, 0])
BENCHMARK = Manifest(
    name="got10k", title="t", layout="got10k", protocol="got10k", root="r", licence="l"
)


def as_video(truth, cover=None, name="v", size=(320, 240)):
    n = len(truth)
    return Video(
        name=name,
        frames=[Path(f"{i}.jpg") for i in range(n)],
        width=size[0],
        height=size[1],
        boxes=truth,
        points=np.full((n, 2), np.nan),
        absent=np.zeros(n, bool),
        cover=np.full(n, 8) if cover is None else np.asarray(cover),
    )


def as_track(*runs, failed=None):
    zeros = [Run(r, np.ones(len(r)), np.zeros(len(r), np.int8)) for r in runs]
    return Track(tuple(zeros), failed)


def score(videos, tracks):
    return PROTOCOLS["got10k"].score(BENCHMARK, videos, tracks)


def fixed_truth(frames=5):
    return np.tile([100.0, 100, 40, 40], (frames, 1))


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text())


def boxes_of(rows):
    return np.array([[np.nan if v is None else v for v in row] for row in rows])


@pytest.mark.parametrize(("report", "truths"), [("otb", "truth"), ("uav", "hidden")])
@pytest.mark.parametrize("tracker", ["near", "far"])
def test_one_pass_scores_are_the_toolkits(golden, report, truths, tracker):
    """Its OTB and UAV123 experiments, version 0.1.3, under convention got10k."""
    found = golden[report][tracker]
    names = list(golden[truths])
    truth = [boxes_of(golden[truths][name]) - ONE_BASED for name in names]
    tracks = [boxes_of(golden["tracks"][tracker][name]) - ONE_BASED for name in names]
    scores = Targets(truth, CONVENTIONS["got10k"]).score(tracks)
    everyone = [(scores.mean(), found["overall"])]
    everyone += [(scores.sequence(i), found["seq_wise"][n]) for i, n in enumerate(names)]
    for ours, theirs in everyone:
        assert ours.auc == pytest.approx(theirs["success_score"], abs=1e-6)
        assert ours.precision == pytest.approx(theirs["precision_score"], abs=1e-6)
        np.testing.assert_allclose(ours.success_curve, theirs["success_curve"], atol=1e-6)
        np.testing.assert_allclose(ours.precision_curve, theirs["precision_curve"], atol=1e-6)
    other = Targets(truth, CONVENTIONS["official"]).score(tracks)
    assert abs(other.mean().auc - found["overall"]["success_score"]) > 1e-3, (
        "no test of conventions"
    )


@pytest.mark.parametrize("tracker", ["near", "far"])
def test_pooled_scores_are_the_toolkits(golden, tracker):
    """Its GOT-10k experiment: cover, clipping, pooling, one and two repetitions."""
    found = golden["got10k"][tracker]
    videos = [
        as_video(boxes_of(rows), golden["cover"][name], name, golden["size"])
        for name, rows in golden["truth"].items()
    ]
    runs = golden["repeated"][tracker]
    ours = score(videos, {n: as_track(*map(boxes_of, r)) for n, r in runs.items()})
    overall = ours.overall
    assert overall.values["ao"] == pytest.approx(found["overall"]["ao"], abs=1e-6)
    assert overall.values["sr_50"] == pytest.approx(found["overall"]["sr"], abs=1e-6)
    theirs = found["overall"]["succ_curve"]
    assert overall.values["sr_75"] == pytest.approx(theirs[75], abs=1e-6)  # its curve at 0.75
    np.testing.assert_allclose(overall.curves["success_curve"], theirs, atol=1e-6)
    for name, every in ours.sequences.items():
        assert every.values["ao"] == pytest.approx(found["seq_wise"][name]["ao"], abs=1e-6)
        assert every.values["sr_50"] == pytest.approx(found["seq_wise"][name]["sr"], abs=1e-6)
    means = [s.values["ao"] for s in ours.sequences.values()]
    assert abs(np.mean(means) - overall.values["ao"]) > 1e-4, "videos are not averaged"


def test_the_first_frame_and_covered_ones_do_not_count():
    guess = fixed_truth()
    guess[[0, 2]] += 500
    found = score([as_video(fixed_truth(), [8, 8, 0, 1, 8])], {"v": as_track(guess)}).overall
    assert found.values == pytest.approx({"ao": 1, "sr_50": 1, "sr_75": 1})
    assert found.frames == 3


def test_frames_without_truth_do_not_count():
    truth = fixed_truth()
    truth[3] = np.nan
    assert score([as_video(truth)], {"v": as_track(fixed_truth())}).overall.frames == 3


@given(st.floats(-300, 300), st.floats(-200, 200))
def test_perfect_tracks_score_one_wherever_they_are(right, down):
    truth = fixed_truth() + np.array([right, down, 0, 0])
    found = score([as_video(truth, size=(640, 480))], {"v": as_track(truth)}).overall
    outside = 100 + right >= 640 or 100 + down >= 480
    assert found.values["ao"] == pytest.approx(0 if outside else 1)
    assert found.values["sr_75"] == (0 if outside else 1)
    assert found.curves["success_curve"][-1] == 0


def test_boxes_are_brought_into_the_image_corner_first():
    rows = np.array([[-10.0, 5, 30, 20], [310, 230, 30, 20], [400, 5, 10, 10]])
    kept = rows.copy()
    found = got10k.into_image(rows, 320, 240)
    np.testing.assert_array_equal(found, [[0, 5, 30, 20], [310, 230, 10, 10], [320, 5, 0, 10]])
    np.testing.assert_array_equal(rows, kept)


def test_arguments_stay_untouched():
    aside = np.array([200, 0, 0, 0])
    guess, truth = fixed_truth() - aside, fixed_truth() + aside
    guess.flags.writeable = truth.flags.writeable = False
    assert got10k.frame_overlaps(guess, truth, np.full(5, 8), 320, 240).tolist() == [0] * 4


def test_rates_are_above_their_overlap():
    guess = fixed_truth(3)
    guess[1:, 2] = [20, 30]  # overlaps of exactly 0.5 and 0.75
    found = score([as_video(fixed_truth(3))], {"v": as_track(guess)}).overall
    assert found.values == pytest.approx({"ao": 0.625, "sr_50": 0.5, "sr_75": 0})


def test_a_crash_counts_nothing_from_its_frame_on():
    guess = fixed_truth()
    guess[3:] = np.nan
    found = score([as_video(fixed_truth())], {"v": as_track(guess, failed="no")}).overall
    assert found.values["ao"] == found.values["sr_50"] == pytest.approx(2 / 4)


def test_a_video_of_one_frame_has_no_score_and_no_weight():
    videos = [as_video(fixed_truth(1), name="one"), as_video(fixed_truth())]
    found = score(videos, {"one": as_track(fixed_truth(1)), "v": as_track(fixed_truth())})
    assert np.isnan(found.sequences["one"].values["ao"]) and found.sequences["one"].frames == 0
    assert found.overall.values["ao"] == pytest.approx(1)


def test_a_test_set_is_refused_in_one_sentence():
    truth = fixed_truth()
    truth[1:] = np.nan
    with pytest.raises(InputError, match=r"got10k: no frame has a true box .* server"):
        score([as_video(truth)], {"v": as_track(fixed_truth())})


def test_a_track_of_another_length_is_refused_by_name():
    with pytest.raises(InputError, match="v: The track has 4 boxes but the truth has 5"):
        score([as_video(fixed_truth())], {"v": as_track(fixed_truth(4))})
