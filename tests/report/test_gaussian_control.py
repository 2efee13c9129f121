"""The prior against a Gaussian at the click: who wins, and how sure that is."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from socl_pipeline.report.gaussian_control import Measure, compare_with_gaussian, spread
from socl_pipeline.statistics import Estimate

FRAMES, VIDEOS, SIZE = 24, 6, 100
SIDES = np.linspace(10, 40, FRAMES)  # no one square fits them all


class Store:
    """A store of one kept box a frame, in shards of seven frames."""

    shards = tuple((i, min(i + 7, FRAMES)) for i in range(0, FRAMES, 7))

    def __init__(self, boxes):
        self.boxes = boxes

    def column(self, name):
        return np.ones(FRAMES, np.int64)

    def rows(self, start, stop, *, maps):
        n = stop - start
        return SimpleNamespace(
            boxes=self.boxes[start:stop, None].astype(np.float32),
            scores=np.full((n, 1), 0.5, np.float32),
            count=np.ones(n, np.int64),
            sizes=np.full((n, 2), SIZE),
        )


def true_boxes():
    return np.stack([50 - SIDES / 2, 50 - SIDES / 4, SIDES, SIDES / 2], axis=1)


def points_table(boxes, clicks, videos=VIDEOS):
    names = [f"v{i % videos}" for i in range(FRAMES)]
    columns = {"video": pa.array(names).dictionary_encode()}
    columns |= {f"box_{c}": boxes[:, i] for i, c in enumerate("xywh")}
    columns |= {"x": clicks[:, 0], "y": clicks[:, 1]}
    return pa.table(columns | {name: np.full(FRAMES, SIZE) for name in ("width", "height")})


@pytest.fixture
def compared():
    """A function that compares a prior of boxes with a Gaussian at clicks that are 3 px off."""

    def run(kept, *, prior="top", **options):
        clicks = np.full((FRAMES, 2), [53.0, 50.0])
        return compare_with_gaussian(points_table(true_boxes(), clicks, **options), kept, prior)

    return run


def test_a_prior_that_knows_the_boxes_wins_in_everything(compared):
    test = compared(Store(true_boxes()))
    assert (test.n, test.available, test.videos, test.better) == (FRAMES, FRAMES, VIDEOS, 1)
    overlap, area, error = test.measures
    assert overlap.prior.mean == pytest.approx(1, abs=1e-6) == area.prior.mean
    assert error.prior.mean == pytest.approx(0, abs=1e-5)
    assert error.gaussian == Estimate(3, 3, 3)
    assert error.difference.mean == pytest.approx(-3, abs=1e-5)
    for measure in test.measures:
        assert measure.verdict == "better"
        low, high = sorted((measure.difference.low, measure.difference.high))
        assert low <= measure.difference.mean <= high
    assert test.sentence == (
        "TOP beats the Gaussian in box IoU, area precision and centre error: the interval of the "
        "difference excludes 0."
    )


def test_a_prior_of_other_places_loses(compared):
    test = compared(Store(true_boxes() + np.array([30, 30, 0, 0])), prior="mine:segment")
    assert [m.verdict for m in test.measures] == ["worse"] * 3
    assert test.sentence.startswith("mine:segment loses to it in")


def test_what_differs_by_chance_is_open(compared):
    kept = true_boxes()
    kept[:, 0] += np.where(np.arange(FRAMES) % VIDEOS < VIDEOS / 2, 2, 4)  # the click: 3
    test = compared(Store(kept))
    assert test.measures[2].verdict == "open"
    assert test.sentence.endswith("Who wins in centre error is open: the interval holds 0.")


def test_one_video_leaves_it_open(compared):
    test = compared(Store(true_boxes()), videos=1)
    assert {m.verdict for m in test.measures} == {"open"}
    assert "one video" in test.sentence


@pytest.mark.parametrize(("prior", "said"), [("boxes", "upper bound"), ("gaussian", "itself")])
def test_priors_that_are_no_guess_are_said_to_be_none(compared, prior, said):
    test = compared(Store(true_boxes()), prior=prior)
    assert said in test.remark
    assert ("beats" in test.sentence) == (prior == "boxes")
    assert not compared(Store(true_boxes())).remark


def test_without_boxes_there_is_no_test():
    nothing = points_table(np.full((FRAMES, 4), np.nan), np.full((FRAMES, 2), 50.0))
    assert compare_with_gaussian(nothing, Store(true_boxes()), "top") is None


def test_only_frames_with_a_box_are_tested():
    boxes = true_boxes()
    boxes[::2] = np.nan
    clicks = np.full((FRAMES, 2), 50.0)
    test = compare_with_gaussian(points_table(boxes, clicks), Store(true_boxes()), "top")
    assert test.n == FRAMES // 2
    assert "clicks are at box centres" in test.sentence
    assert test.measures[0].prior.mean == pytest.approx(1, abs=1e-6)


def test_a_smaller_error_is_better():
    videos, low, high = np.arange(5), np.arange(5.0), np.arange(5.0) + 1
    assert Measure.of("e", low, high, videos, higher_is_better=False).verdict == "better"
    assert Measure.of("e", low, high, videos).verdict == "worse"
    assert Measure.of("e", low, low, videos).verdict == "open"


def test_spread_takes_all_or_an_even_share():
    np.testing.assert_array_equal(spread(3, 10), [0, 1, 2])
    np.testing.assert_array_equal(spread(10, 5), [0, 2, 4, 6, 8])


def test_pseudo_boxes_have_a_name(compared):
    assert compared(Store(true_boxes()), prior="pseudo_boxes/csrt").name == (
        "The prior of pseudo boxes (csrt)"
    )
