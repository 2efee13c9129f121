import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.benchmarks.protocols import PROTOCOLS
from socl_pipeline.benchmarks.vot import measures
from socl_pipeline.benchmarks.vot.conventions import CONVENTIONS
from socl_pipeline.errors import InputError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/vot_runs.json").read_text())
SKIP = 5
BOX = [10.0, 10, 20, 20]
HALF = [10.0, 10, 20, 10]


def score(manifest, videos, tracks, convention="official"):
    return PROTOCOLS["vot"].score(manifest, videos, tracks, convention)


def slow_expected_overlap(runs, interval, closing):
    """Return the EAO frame by frame, as the definition reads.

    runs: overlaps (NaN: none), states and weight. closing: of `VotConvention`.
    """
    longest = max(len(overlap) for overlap, _, _ in runs)
    expected = []
    for n in range(interval[0], interval[1] + 1):
        total = weights = 0.0
        for overlap, states, weight in runs:
            for start in [i for i, s in enumerate(states) if s == 1]:
                ends = [i for i, s in enumerate(states) if i > start and s == 2]
                later = [i for i, s in enumerate(states) if i > start and s == 1]
                failed = bool(ends) and (not later or ends[0] < later[0])
                room = len(states) - ends[0] if failed else 0
                closed = failed and (
                    closing == "always" or room > SKIP or (closing == "room" and room == SKIP)
                )
                end = ends[0] if failed else len(states)
                if n > longest or (not closed and start + n > len(states)):
                    continue
                values = [
                    overlap[i] if i < end and not np.isnan(overlap[i]) else 0.0
                    for i in range(start + 1, start + n)
                ]
                total += weight * sum(values) / (n - 1)
                weights += weight
        if weights:
            expected.append(total / weights)
    return sum(expected) / len(expected) if expected else np.nan


@st.composite
def simulated_runs(draw):
    """Overlaps and states of a run, with restarts five frames after each failure."""
    length = draw(st.integers(2, 40))
    lost = draw(st.sets(st.integers(1, 39)))
    states, restart = [], 0
    for index in range(length):
        if states and states[-1] in (0, 1):
            states.append(2 if index in lost else 0)
            restart = index + SKIP
        else:
            states.append(1 if index >= restart else 3)
    values = draw(st.lists(st.floats(0.01, 1) | st.just(np.nan), min_size=length, max_size=length))
    return np.array(values), np.array(states, np.int8)


@given(st.lists(simulated_runs(), min_size=1, max_size=4), st.sampled_from([*CONVENTIONS]))
def test_expected_overlap_is_that_of_its_definition(runs, name):
    rules = CONVENTIONS[name]
    parts, weights = [], []
    for k, (overlap, states) in enumerate(runs):
        own = measures.fragments(overlap, states, SKIP, rules)
        parts, weights = parts + own, weights + [1 / (k + 1)] * len(own)
    length = max(len(states) for _, states in runs)
    curve = measures.expected_overlap_curve(parts, weights, length)
    weighted = [(overlap, states, 1 / (k + 1)) for k, (overlap, states) in enumerate(runs)]
    shift = rules.first_length
    expected = slow_expected_overlap(weighted, (4 + shift, 20 + shift), rules.closing)
    found = measures.expected_average_overlap(curve, (4, 20), rules)
    assert found == pytest.approx(expected, nan_ok=True)


def table_of_fragments(overlap, states, pysot):
    """Return rows of overlaps and their weights as the toolkits lay them out for tag `all`.

    Facts from votchallenge/toolkit-legacy, estimate_expected_overlap.m at 16e4de9, and STVIR/pysot,
    eao_benchmark.py at c7fd71c. The former counts frames from 1: a failure in frame f makes a cut
    at f + skip if that is at most the length. The latter does the same with frames from 0. A row
    is cut to the next start, which it includes, and goes on with zeros; the last one ends with the
    sequence. Its weight is the share of its frames with a tag.
    """
    length = len(states)
    lost = np.flatnonzero(states == 2)
    cuts = [0, *(f + SKIP for f in lost if f + SKIP + (0 if pysot else 1) <= length)]
    rows, weights = [], []
    for start, stop in zip(cuts, [*cuts[1:], None], strict=True):
        row = np.full(40, np.nan if stop is None else 0.0)
        shown = overlap[start:] if stop is None else overlap[start : stop + 1]
        row[: len(shown)] = np.nan_to_num(shown) if len(lost) else shown
        frames = length - start if stop is None else stop - start + 1
        rows.append(row)
        weights.append(len(shown) / frames if frames else 0.0)
    return rows, weights


@given(st.lists(simulated_runs(), min_size=1, max_size=4), st.sampled_from(["official", "pysot"]))
def test_expected_overlap_is_that_of_the_toolkits_tables(runs, name):
    rules = CONVENTIONS[name]
    parts, weights, rows, table_weights = [], [], [], []
    for k, (drawn, states) in enumerate(runs):
        overlap = np.where(states == 0, np.nan_to_num(drawn), np.nan)
        own = measures.fragments(overlap, states, SKIP, rules)
        shares = measures.fragment_weights(own, states, SKIP, rules)
        parts, weights = parts + own, weights + [w / (k + 1) for w in shares]
        table, shares = table_of_fragments(overlap, states, name == "pysot")
        rows, table_weights = rows + table, table_weights + [w / (k + 1) for w in shares]
    length = max(len(states) for _, states in runs)
    found = measures.expected_overlap_curve(parts, weights, length)
    table = np.array(rows)
    for n in range(2, length + 1):
        alive = ~np.isnan(table[:, n - 1])
        means = table[alive, 1:n].mean(axis=1)
        expected = np.average(means, weights=np.array(table_weights)[alive])
        assert found[n - 1] == pytest.approx(expected)


@given(simulated_runs(), st.integers(0, 12))
def test_accuracy_counts_tracked_frames_after_each_burn_in(run, burn_in):
    overlap, states = run
    counted, since = [], None
    for value, state in zip(overlap, states, strict=True):
        since = 0 if state == 1 else None if since is None else since + 1
        if state == 0 and since >= burn_in:
            counted.append(0.0 if np.isnan(value) else value)
    frames = measures.accuracy_frames(overlap, states, burn_in)
    assert frames[~np.isnan(frames)] == pytest.approx(counted)


@pytest.fixture
def simulated(make_video, make_track, make_manifest):
    """The golden runs: manifest, videos and tracks; files are 1-based, we are not."""

    def moved(box):
        return [np.nan] * 4 if box is None else [box[0] - 1, box[1] - 1, *box[2:]]

    entries = GOLDEN["sequences"].items()
    videos = [make_video(n, np.array(e["truth"]) - 1, GOLDEN["size"]) for n, e in entries]
    tracks = {
        name: make_track(*(([moved(b) for b in r["boxes"]], r["states"]) for r in entry["runs"]))
        for name, entry in entries
    }
    manifest = make_manifest(eao_interval=GOLDEN["eao_interval"], burn_in=GOLDEN["burn_in"])
    return manifest, videos, tracks


def test_scores_are_those_of_vot_toolkit(simulated):
    expected = GOLDEN["scores"]
    found = score(*simulated, convention="toolkit")
    assert found.overall.values["eao"] == pytest.approx(expected["eao"], abs=1e-6)
    assert found.overall.curves["eao_curve"][1:] == pytest.approx(
        expected["eao_curve"][1:], abs=1e-6
    )
    for name in ("accuracy", "robustness"):
        assert found.overall.values[name] == pytest.approx(expected[name], abs=1e-12)
    for name, values in expected["sequences"].items():
        for metric, value in values.items():
            assert found.sequences[name].values[metric] == pytest.approx(value, abs=1e-12)


def test_conventions_differ_where_they_say(simulated):
    figures = {name: score(*simulated, convention=name).overall.values for name in CONVENTIONS}
    differ = {round(figures[name]["eao"], 6) for name in ("official", "legacy", "toolkit")}
    assert len(differ) == 3
    assert len({values["failures"] for values in figures.values()}) == 1
    frames = sum(len(entry["truth"]) for entry in GOLDEN["sequences"].values())
    per_100 = 100 * figures["official"]["failures"] / frames
    assert figures["official"]["robustness"] == pytest.approx(per_100)
    assert figures["pysot"]["robustness"] == pytest.approx(per_100)
    assert figures["official"]["reliability"] == pytest.approx(np.exp(-30 * per_100 / 100))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_truth_itself_is_perfect(make_video, make_track, make_manifest, convention):
    corners = [9.5, 10.25, 29.5, 12.25, 28.5, 32.25, 8.5, 30.25]
    videos = [make_video("box", [BOX] * 40), make_video("rotated", [corners] * 40)]
    tracks = {v.name: make_track((v.boxes, [1] + [0] * 39)) for v in videos}
    tracks["rotated"] = make_track((np.array([corners] * 40), [1] + [0] * 39))
    found = score(make_manifest(), videos, tracks, convention).overall.values
    assert found["eao"] == found["accuracy"] == found["reliability"] == 1
    assert found["robustness"] == found["failures"] == 0


@pytest.mark.parametrize("convention", ["official", "pysot"])
def test_accuracy_counts_a_pixel_beyond_the_image(
    make_video, make_track, make_manifest, convention
):
    """In 1-based files, columns 11 to 20 of the truth and 11 to 19: the image ends with 19."""
    videos = [make_video("a", [[10.0, 10, 9, 9]] * 40, size=(20, 40))]
    tracks = {"a": make_track(([[10.0, 10, 8, 9]] * 40, [1] + [0] * 39))}
    found = score(make_manifest(), videos, tracks, convention).overall.values
    assert found["eao"] == pytest.approx(1)
    assert found["accuracy"] == pytest.approx(0.9)


def test_repetitions_share_the_weight_of_their_sequence(make_video, make_track, make_manifest):
    videos = [make_video("a", [BOX] * 40), make_video("b", [BOX] * 40)]
    good, bad = ([BOX] * 40, [1] + [0] * 39), ([HALF] * 40, [1] + [0] * 39)
    tracks = {"a": make_track(good), "b": make_track(bad, bad, bad)}
    half = 11 / 21  # of rows, both ends count
    official = score(make_manifest(), videos, tracks).overall.values
    assert official["eao"] == pytest.approx((1 + half) / 2)
    assert official["accuracy"] == pytest.approx((1 + half) / 2)
    toolkit = score(make_manifest(), videos, tracks, "toolkit").overall.values
    assert toolkit["eao"] == pytest.approx((1 + 3 * 0.5) / 4)


def test_late_failures_end_with_their_sequence_in_official_code(
    make_video, make_track, make_manifest
):
    """15 frames, lost at index 10: the start of index 15 would be the frame after the last."""
    videos = [make_video("late", [BOX] * 15), make_video("long", [HALF] * 30)]
    states = [1] + [0] * 9 + [2] + [3] * 4
    late = [BOX] * 10 + [[np.nan] * 4] * 5
    tracks = {"late": make_track((late, states)), "long": make_track(([HALF] * 30, [1] + [0] * 29))}
    manifest = make_manifest(eao_interval=(20, 20))
    assert score(manifest, videos, tracks).overall.values["eao"] == pytest.approx(1)
    weight = 15 / 16  # the frame of that start has no tag, not even `all`
    closed = (1 + weight * 9 / 19) / (1 + weight)
    assert score(manifest, videos, tracks, "pysot").overall.values["eao"] == pytest.approx(closed)


def test_a_crash_is_a_failure_without_an_end(make_video, make_track, make_manifest):
    videos = [make_video("a", [BOX] * 40)]
    boxes = np.full((40, 4), np.nan)
    boxes[:20] = BOX
    found = score(
        make_manifest(), videos, {"a": make_track((boxes, [1] + [0] * 19 + [2] + [0] * 19))}
    ).overall.values
    assert found["failures"] == 1
    assert found["accuracy"] == pytest.approx(10 / 29)
    lengths = np.arange(12, 31)
    assert found["eao"] == pytest.approx(np.mean(np.minimum(19 / (lengths - 1), 1)))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_crash_when_it_is_started_counts_for_expected_overlap(
    make_video, make_track, make_manifest, convention
):
    videos = [make_video("a", [BOX] * 40), make_video("b", [BOX] * 40)]
    fine, crashed = ([BOX] * 40, [1] + [0] * 39), (np.full((40, 4), np.nan), [2] + [0] * 39)
    tracks = {"a": make_track(fine), "b": make_track(crashed)}
    found = score(make_manifest(), videos, tracks, convention).overall.values
    assert found["eao"] == pytest.approx(1 / 2)
    assert found["accuracy"] == pytest.approx(30 / 69 if convention != "toolkit" else 1 / 2)
    alone = score(make_manifest(), videos[1:], {"b": tracks["b"]}, convention).overall.values
    assert alone["eao"] == 0 or (convention == "toolkit" and np.isnan(alone["eao"]))

    # lost in frame 10, and crashed when it was started again in 15
    states = np.array([1] + [0] * 9 + [2] + [3] * 4 + [2] + [0] * 24, np.int8)
    parts = measures.fragments(np.ones(40), states, SKIP, CONVENTIONS[convention])
    assert [(len(values), failed) for values, failed in parts] == [(10, True), (0, True)]


def test_a_single_frame_has_no_accuracy_and_no_expected_overlap(
    make_video, make_track, make_manifest
):
    videos, tracks = [make_video("one", [BOX])], {"one": make_track(([BOX], [1]))}
    found = score(make_manifest(), videos, tracks).overall.values
    assert np.isnan(found["eao"])
    assert np.isnan(found["accuracy"])
    assert found["robustness"] == 0


def test_bad_input_is_refused(make_video, make_track, make_manifest):
    video = make_video("a", [BOX] * 3)
    with pytest.raises(InputError, match="a: 2 boxes, its truth has 3 regions"):
        score(make_manifest(), [video], {"a": make_track(([BOX] * 2, [1, 0]))})
    with pytest.raises(InputError, match="a: a box in the first frame where VOT's runs have"):
        score(make_manifest(), [video], {"a": make_track(([BOX] * 3, [0, 0, 0]))})
    other = make_manifest().model_copy(update={"constants": None})
    with pytest.raises(InputError, match="needs numbers that depend on the data"):
        score(other, [video], {"a": make_track(([BOX] * 3, [1, 0, 0]))})
