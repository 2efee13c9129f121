"""What each protocol does with a predicted box that is none, or is nowhere near the image."""

import warnings

import numpy as np
import pytest

from socl_pipeline.benchmarks.got10k import frame_overlaps
from socl_pipeline.benchmarks.ope import CONVENTIONS, score_sequence
from socl_pipeline.benchmarks.trackingnet import score_sequence as trackingnet
from socl_pipeline.benchmarks.vot.raster import overlaps

TRUTH = np.tile([10.0, 10, 20, 20], (4, 1))
WIDTH, HEIGHT = 96, 72
ODD = {
    "nan": [np.nan] * 4,
    "half": [10, 10, np.nan, 20],
    "endless": [-np.inf, -np.inf, np.inf, np.inf],
    "nowhere": [np.inf, 1, 2, 3],
    "far": [500, 500, 10, 10],
    "huge": [1e200, 1, 1e200, 1e200],
    "largest": [1e308] * 4,
    "flat": [10, 10, 0, 0],
    "turned": [10, 10, -5, 20],
}
REPEATED = {"nan", "half", "endless", "nowhere", "flat", "turned"}  # by conventions that repair


@pytest.fixture(autouse=True)
def silence():
    """A user sees no warning of NumPy's, whatever a tracker returns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_box_costs_its_frame(kind):
    track = TRUTH.copy()
    track[2] = ODD[kind]
    for name, rules in CONVENTIONS.items():
        found = score_sequence(track, TRUTH, convention=name)
        share = 1 if rules.repair and kind in REPEATED else 3 / 4
        assert found.success_curve[0] == found.mean_iou == share
        assert np.isfinite(found.precision)
    found = trackingnet(track, TRUTH)
    assert found.values["mean_iou"] == 3 / 4
    assert all(np.isfinite(value) for value in found.values.values())
    if not np.isfinite(ODD[kind]).all():
        assert found.values["precision"] == found.values["auc"] == 3 / 4
    assert frame_overlaps(track, TRUTH, np.full(4, 8), WIDTH, HEIGHT).tolist() == [1, 0, 1]
    (overlap,) = overlaps(track[2:3], TRUTH[2:3], (WIDTH - 1, HEIGHT - 1))
    assert not overlap > 0
