import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.benchmarks.tracks import FAILED, INITIALISED, SKIPPED, TRACKED
from socl_pipeline.errors import InputError
from socl_pipeline.trackers.repetitions import repeat
from socl_pipeline.trackers.run import run_once, run_sequence, run_with_restarts

BOX = np.array([10.0, 10, 20, 20])
AWAY = np.array([70.0, 50, 10, 10])
SKIP = 5


class Scripted:
    """A tracker that answers frame k with script[k]; frames carry their number in each pixel."""

    def __init__(self, script):
        self._script, self.started = script, []

    def init(self, image, box):
        self.started.append((int(image[0, 0, 0]), box))
        self._answer(image)

    def update(self, image):
        return self._answer(image)

    def _answer(self, image):
        answer = self._script[int(image[0, 0, 0])]
        if isinstance(answer, Exception):
            raise answer
        return answer


def numbered(count):
    return [np.full((72, 96, 3), k, np.uint8) for k in range(count)]


def restarted(script, truth=None):
    tracker, count = Scripted(script), len(script)
    truth = np.tile(BOX, (count, 1)) if truth is None else truth
    return tracker, run_with_restarts(tracker, numbered(count), truth, truth, SKIP)


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_restarts_follow_each_failure_by_five_frames(lost):
    tracker, result = restarted([AWAY if away else BOX for away in lost])
    expected, restart, running = [], 0, False
    for index, away in enumerate(lost):
        if running:
            expected.append(FAILED if away else TRACKED)
            running, restart = not away, index + SKIP
        else:
            expected.append(INITIALISED if index >= restart else SKIPPED)
            running = index >= restart
    assert result.run.states.tolist() == expected
    assert [index for index, _ in tracker.started] == [
        index for index, state in enumerate(expected) if state == INITIALISED
    ]
    boxless = np.isnan(result.run.boxes).any(axis=1)
    assert boxless.tolist() == [state == SKIPPED for state in expected]
    assert ((result.run.seconds > 0) == ~boxless).all()


def test_a_failure_is_no_common_pixel_inside_the_image():
    """Rounded to pixels, a gap of half a pixel is none; outside the image nothing is common."""
    touching = np.array([30.4, 10, 20, 20])
    _, result = restarted([BOX, touching, BOX], np.tile([10.2, 10, 20.0, 20], (3, 1)))
    assert result.run.states.tolist() == [INITIALISED, TRACKED, TRACKED]
    border, beyond = np.array([90.0, 10, 20, 20]), np.array([98.0, 10, 20, 20])
    _, result = restarted([border, beyond], np.tile(border, (2, 1)))
    assert result.run.states.tolist() == [INITIALISED, FAILED]


def test_frames_without_truth_are_no_failures_and_no_starts():
    truth = np.tile(BOX, (10, 1))
    truth[[1, 7]] = np.nan
    _, result = restarted([BOX, AWAY, AWAY, *[BOX] * 7], truth)
    assert result.run.states.tolist() == [1, 0, 2, 3, 3, 3, 3, 3, 1, 0]


def test_a_box_that_is_none_is_a_failure():
    _, result = restarted([BOX, np.full(4, np.nan), BOX])
    assert result.run.states.tolist() == [INITIALISED, FAILED, SKIPPED]


@pytest.mark.parametrize("at", [0, 2])
def test_a_crash_ends_the_pass_and_is_kept(at):
    script = [BOX, BOX + 1, BOX + 2, BOX + 3]
    script[at] = RuntimeError("no more memory")
    once = run_once(Scripted(script), numbered(4), BOX)
    _, with_restarts = restarted(script)
    for result in (once, with_restarts):
        assert result.crash is script[at]
        assert np.isnan(result.run.boxes[at:]).all()
        assert np.isfinite(result.run.boxes[:at]).all()
        assert result.run.states.tolist() == [1, 0, 0, 0][:at] + [FAILED] + [TRACKED] * (3 - at)
        assert (result.run.seconds[at:] == 0).all()
    with pytest.raises(RuntimeError, match="no more memory"):
        run_sequence(Scripted(script), numbered(4), BOX)


def test_an_answer_that_is_no_box_is_a_crash():
    result = run_once(Scripted([BOX, (1, 2, 3)]), numbered(2), BOX)
    assert "returned (1, 2, 3), not four numbers" in str(result.crash)


def test_bad_data_is_no_crash():
    with pytest.raises(InputError, match="frame is broken"):
        run_once(Scripted([BOX, InputError("frame is broken")]), numbered(2), BOX)
    with pytest.raises(InputError, match="has no frames"):
        restarted([])


def runs_of(*shifts):
    return [run_once(Scripted([BOX, BOX + s]), numbered(2), BOX).run for s in shifts]


@pytest.mark.parametrize(
    ("shifts", "deterministic", "made"),
    [
        ([1, 1, 1, 2, 3], False, 3),
        ([1, 1, 2, 2, 2], False, 5),
        ([1, 2, 3, 4, 5], True, 1),
    ],
)
def test_repetitions_end_when_the_first_three_are_the_same(shifts, deterministic, made):
    runs = runs_of(*shifts)
    assert repeat(lambda k: runs[k], 5, deterministic) == runs[:made]
