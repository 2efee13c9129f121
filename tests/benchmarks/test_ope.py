import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from socl_pipeline import boxes
from socl_pipeline.benchmarks import ope
from socl_pipeline.errors import InputError

PERFECT = 20 / 21
TOLERANCE_PERCENT = 0.1


def tracks(min_frames=1, max_frames=12):
    corner = st.floats(0, 500)
    side = st.floats(4, 200)
    box = st.tuples(corner, corner, side, side)
    return st.lists(box, min_size=min_frames, max_size=max_frames).map(np.array)


def fixed_track(frames=10):
    t = np.arange(frames, dtype=float)
    return np.stack([10 + 3 * t, 20 + 2 * t, np.full(frames, 40.0), np.full(frames, 30.0)], axis=1)


def shifted(track, right):
    return track + np.array([right, 0, 0, 0])


def slow_iou(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def slow_official(predicted, truth):
    """Return success and precision frame by frame, as the definition reads."""
    success, precision = [0] * 21, [0] * 51
    last = truth[0]
    for frame, (guess, target) in enumerate(zip(predicted, truth, strict=True)):
        guess = target if frame == 0 else guess
        if any(np.isnan(guess)) or guess[2] <= 0 or guess[3] <= 0:
            guess = last
        last = guess
        x, y, w, h = target
        if x + 1 > 0 and y + 1 > 0 and w > 0 and h > 0:
            overlap = slow_iou(guess, target)
            dx = guess[0] + (guess[2] - 1) / 2 - x - (w - 1) / 2
            dy = guess[1] + (guess[3] - 1) / 2 - y - (h - 1) / 2
            error = (dx * dx + dy * dy) ** 0.5
        else:
            overlap = error = -1
        for k in range(21):
            success[k] += overlap > ope.SUCCESS_THRESHOLDS[k]
        for k in range(51):
            precision[k] += error <= k
    return np.array(success) / len(truth), np.array(precision) / len(truth)


@given(tracks())
def test_perfect_track_misses_only_the_last_threshold(truth):
    score = ope.score_sequence(truth, truth)
    assert score.auc == pytest.approx(PERFECT)
    assert score.success_curve[-1] == 0
    assert score.precision == 1
    assert score.mean_iou == pytest.approx(1)
    assert score.frames == len(truth)


@given(tracks(min_frames=2), st.floats(0, 60), st.floats(0, 6.28))
def test_shift_moves_precision(truth, distance, angle):
    shift = distance * np.array([np.cos(angle), np.sin(angle), 0, 0])
    curve = ope.score_sequence(truth + shift, truth).precision_curve
    first_only = 1 / len(truth)
    tolerance = 1e-6  # the rounding of coordinates up to some hundred pixels
    assert curve[distance + tolerance < ope.PRECISION_THRESHOLDS] == pytest.approx(1)
    assert curve[distance - tolerance > ope.PRECISION_THRESHOLDS] == pytest.approx(first_only)


@given(tracks(), st.data(), st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_success_does_not_depend_on_scale(truth, data, scale):
    guess = data.draw(tracks(len(truth), len(truth)))
    plain = ope.score_sequence(guess, truth)
    scaled = ope.score_sequence(guess * scale, truth * scale)
    np.testing.assert_array_equal(plain.success_curve, scaled.success_curve)
    assert plain.mean_iou == pytest.approx(scaled.mean_iou)


@given(tracks(), st.data())
def test_curves_are_monotone_shares(truth, data):
    score = ope.score_sequence(data.draw(tracks(len(truth), len(truth))), truth)
    assert np.all(np.diff(score.success_curve) <= 0)
    assert np.all(np.diff(score.precision_curve) >= 0)
    for curve in (score.success_curve, score.precision_curve):
        assert 0 <= curve.min() <= curve.max() <= 1
    assert score.auc == pytest.approx(score.success_curve.mean())
    assert score.precision == score.precision_curve[20]


@settings(max_examples=50)
@given(
    hnp.arrays(float, (8, 4), elements=st.integers(-3, 30).map(float) | st.just(np.nan)),
    hnp.arrays(float, (8, 4), elements=st.integers(-3, 30).map(float) | st.just(np.nan)),
)
def test_agrees_with_the_slow_definition(guess, truth):
    truth[0] = 5, 5, 10, 10
    score = ope.score_sequence(guess, truth)
    success, precision = slow_official(guess, truth)
    np.testing.assert_array_equal(score.success_curve, success)
    np.testing.assert_array_equal(score.precision_curve, precision)


def test_thresholds_are_strict_for_success_and_inclusive_for_precision():
    assert ope.success_curve([0.5])[10] == 0
    assert ope.success_curve([0.5])[9] == 1
    assert ope.precision_curve([20.0])[20] == 1
    assert ope.precision_curve([20.0])[19] == 0


def test_thresholds_cannot_be_changed():
    for thresholds in (ope.SUCCESS_THRESHOLDS, ope.PRECISION_THRESHOLDS):
        with pytest.raises(ValueError, match="read-only"):
            thresholds[0] = 1


def test_center_error_is_the_distance_of_centres():
    assert ope.center_error([[0, 0, 10, 10]], [[3, 4, 10, 10]]).tolist() == [5]
    assert ope.center_error([0, 0, 10, 10], [2, 2, 6, 6]) == 0


def test_first_prediction_is_replaced_by_the_truth():
    truth = fixed_track()
    guess = truth.copy()
    guess[0] = 400, 400, 5, 5
    assert ope.score_sequence(guess, truth).auc == pytest.approx(PERFECT)


@pytest.mark.parametrize("broken", [[np.nan] * 4, [5, 5, 0, 9], [5, 5, 9, -1], [np.inf, 5, 9, 9]])
def test_broken_prediction_repeats_the_frame_before(broken):
    truth = fixed_track()
    guess, repeated = truth.copy(), truth.copy()
    guess[4:6] = broken
    repeated[4:6] = truth[3]
    expected = ope.score_sequence(repeated, truth)
    score = ope.score_sequence(guess, truth)
    assert score.auc == expected.auc < PERFECT
    assert score.mean_iou == expected.mean_iou


@pytest.mark.parametrize("absent", [[np.nan] * 4, [5, 5, 0, 9], [-1, -1, 0, 0]])
def test_absent_truth_fails_success_and_passes_precision_unless_dropped(absent):
    truth = fixed_track(10)
    guess = shifted(truth, 100)
    truth[7:9] = absent
    official = ope.score_sequence(guess, truth)
    assert official.frames == 10
    assert official.success_curve[0] == pytest.approx(1 / 10)
    assert official.precision_curve[0] == pytest.approx(3 / 10)
    assert official.mean_iou == pytest.approx(1 / 10)
    dropped = ope.score_sequence(guess, truth, convention="drop")
    assert dropped.frames == 8
    assert dropped.success_curve[0] == dropped.precision_curve[0] == pytest.approx(1 / 8)
    assert dropped.mean_iou == pytest.approx(1 / 8)


@pytest.mark.parametrize(("x", "valid"), [(0.0, True), (-0.5, True), (-1.0, False), (-4.0, False)])
def test_official_truth_is_positive_in_one_based_numbers(x, valid):
    truth = fixed_track(4)
    truth[2, 0] = x
    official = ope.score_sequence(truth, truth)
    assert (official.auc == pytest.approx(PERFECT)) is valid
    dropped = ope.score_sequence(truth, truth, convention="drop")
    assert dropped.auc == pytest.approx(PERFECT)
    assert dropped.frames == 4


def test_mean_weighs_sequences_equally():
    long, short = fixed_track(30), fixed_track(3)
    scores = [ope.score_sequence(long, long), ope.score_sequence(shifted(short, 200), short)]
    mean = ope.mean_score(scores)
    for name in ("auc", "precision", "mean_iou"):
        assert getattr(mean, name) == pytest.approx(np.mean([getattr(s, name) for s in scores]))
    assert mean.auc == pytest.approx(mean.success_curve.mean())
    assert mean.precision == pytest.approx(mean.precision_curve[20])
    assert mean.frames == 33


def test_arguments_stay_untouched():
    truth, guess = fixed_track(), fixed_track() + 1
    guess[0], guess[3], truth[5] = 0, np.nan, np.nan
    copies = guess.copy(), truth.copy()
    guess.flags.writeable = truth.flags.writeable = False
    ope.score_sequence(guess, truth)
    ope.score_sequence(guess, truth, convention="drop")
    np.testing.assert_array_equal(guess, copies[0])
    np.testing.assert_array_equal(truth, copies[1])


@pytest.mark.parametrize(
    ("guess", "truth", "sentence"),
    [
        (fixed_track(3), fixed_track(4), "has 3 boxes but the truth has 4"),
        (np.zeros((3, 5)), fixed_track(3), r"predicted boxes have shape \(3, 5\)"),
        (fixed_track(3), np.zeros(4), r"true boxes have shape \(4,\)"),
        (np.zeros((0, 4)), np.zeros((0, 4)), "no box in its first frame"),
        (fixed_track(3), np.full((3, 4), np.nan), "no box in its first frame"),
    ],
)
def test_bad_arrays_are_refused(guess, truth, sentence):
    with pytest.raises(InputError, match=sentence):
        ope.score_sequence(guess, truth)


def test_other_bad_arguments_are_refused():
    with pytest.raises(InputError, match="use official or drop"):
        ope.score_sequence(fixed_track(), fixed_track(), convention="other")
    with pytest.raises(InputError, match="no sequence score"):
        ope.mean_score([])
    with pytest.raises(InputError, match="overlaps have shape"):
        ope.success_curve([])
    with pytest.raises(InputError, match="centre errors have shape"):
        ope.precision_curve([[1.0]])


@pytest.fixture(scope="module")
def struck():
    """Published boxes of Struck, the truth per casefolded target, and the scores it reported."""
    if "SOCL_TEST_DATA" not in os.environ:
        pytest.skip("SOCL_TEST_DATA is unset: no published results to compare with")
    folder = Path(os.environ["SOCL_TEST_DATA"]) / "results"
    published = json.loads((folder / "struck_otb100_ope.json").read_text())
    truth = json.loads((folder / "otb100_groundtruth.json").read_text())
    rects = {name.casefold().replace("_", "-"): t["gt_rect"] for name, t in truth.items()}
    return published["results"], rects, published["stored_scores"]


@pytest.mark.parametrize(("benchmark", "auc"), [("tb100", 46.17), ("tb50", 38.40)])
def test_published_struck_boxes_give_the_published_score(struck, benchmark, auc):
    results, rects, stored = struck
    one_based = np.array([1, 1, 0, 0])
    scores = []
    for name in stored[benchmark]["sequences"]:
        guess = np.array(results[name]["boxes_xywh_1based"]) - one_based
        # the published ClifBar track stops after 329 of the 472 frames
        truth = np.array(rects[name.casefold()], dtype=float)[: len(guess)] - one_based
        scores.append(ope.score_sequence(guess, truth))
    assert 100 * ope.mean_score(scores).auc == pytest.approx(auc, abs=TOLERANCE_PERCENT)
    assert auc == pytest.approx(stored[benchmark]["overlap_auc_percent"], abs=0.006)


def test_iou_of_boxes_is_the_one_scored():
    truth = fixed_track(2)
    guess = shifted(truth, 10)
    expected = (1 + boxes.iou(guess[1], truth[1])) / 2
    assert ope.score_sequence(guess, truth).mean_iou == pytest.approx(expected)
