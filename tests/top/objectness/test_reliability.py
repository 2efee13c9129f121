import numpy as np
import pytest

from socl_pipeline.top.cues.image import CueSettings
from socl_pipeline.top.objectness.fit import FitOptions, LabelledWindows
from socl_pipeline.top.objectness.model import fit_objectness
from socl_pipeline.top.objectness.reliability import (
    auc,
    held_out,
    objectness_plot,
    reliability,
    within_object_auc,
    write_plot,
)


def made(n=4000, groups=10, seed=0):
    """Windows whose first cue separates and whose group says nothing."""
    rng = np.random.default_rng(seed)
    is_object = rng.random(n) < 0.2
    cues = rng.normal(size=(n, 3))
    cues[:, 0] += 1.5 * is_object
    number = np.sort(rng.integers(0, groups, n))
    return LabelledWindows(cues, rng.normal(size=n), is_object, number, number)


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 6, 60), rng.random(60) < 0.3
    pairs = scores[labels][:, None] - scores[~labels][None, :]
    assert auc(scores, labels) == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())
    assert np.isnan(auc(scores, np.zeros(60, bool)))


def test_auc_within_objects_ignores_what_differs_between_them():
    windows = made(groups=4)
    within = within_object_auc(windows.cues[:, 0], windows)
    shifted = windows.cues[:, 0] + 100 * windows.object
    assert within_object_auc(shifted, windows) == pytest.approx(within)
    assert auc(shifted, windows.is_object) < within - 0.1
    parts = [
        auc(windows.cues[windows.object == i, 0], windows.is_object[windows.object == i])
        for i in range(4)
    ]
    assert within == pytest.approx(np.mean(parts))


def test_an_object_without_background_does_not_count():
    windows = made(groups=2)
    windows.is_object[windows.object == 1] = False
    only = windows.take(windows.object == 0)
    expected = auc(only.cues[:, 0], only.is_object)
    assert within_object_auc(windows.cues[:, 0], windows) == pytest.approx(expected)


def test_reliability_counts_what_happens():
    posterior = np.array([0.0, 0.04, 0.35, 0.31, 1.0])
    predicted, observed, count = reliability(posterior, np.array([0, 1, 1, 1, 0], bool))
    assert count.tolist() == [2, 0, 0, 2, 0, 0, 0, 0, 0, 1]
    np.testing.assert_allclose(predicted[[0, 3, 9]], [0.02, 0.33, 1])
    np.testing.assert_allclose(observed[[0, 3, 9]], [0.5, 1, 0])
    assert np.isnan(predicted[1]) and np.isnan(observed[1])


def test_held_out_figures_of_a_useful_cue():
    result = held_out(made(), CueSettings(), FitOptions())
    assert result.folds == 5
    assert 0.8 < result.auc < 0.9 and abs(result.object_auc - result.auc) < 0.03
    assert result.brier < 0.8 * result.prior_brier
    assert f"AUC {result.auc:.3f}" in result.sentence()


def test_held_out_means_that_the_image_was_not_seen():
    """A size that marks the objects of its own image only helps a fit that has seen the image."""
    windows = made(groups=40)
    windows.cues[:, 0] = np.random.default_rng(2).normal(size=len(windows.cues))
    side = np.where(windows.is_object, windows.group, -1 - windows.group)[:, None]
    windows.log_side[:] = side[:, 0] * np.where(windows.group % 2, 1, -1)
    options = FitOptions(size_cue=True)
    seen = fit_objectness(
        windows.cues, windows.is_object, {"source": "x"}, log_side=windows.log_side
    )
    one_each = held_out(windows, CueSettings(), options, folds=40)
    in_sample = auc(seen.posterior(windows.cues, windows.log_side), windows.is_object)
    assert in_sample > one_each.auc + 0.05


def test_a_single_image_has_no_held_out_figures(tmp_path):
    windows = made(groups=1)
    assert held_out(windows, CueSettings(), FitOptions()) is None
    model = fit_objectness(windows.cues, windows.is_object, {"source": "x"})
    write_plot(tmp_path / "p.png", model, None)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_plot_shows_each_table_and_the_held_out_figures():
    windows = made()
    result = held_out(windows, CueSettings(), FitOptions(size_cue=True))
    model = fit_objectness(
        windows.cues, windows.is_object, {"source": "x"}, log_side=windows.log_side
    )
    above, below = objectness_plot(model, result).subfigs
    assert above.get_suptitle() == result.sentence()
    line = above.axes[0].lines[1]
    predicted, observed, count = reliability(result.posterior, result.is_object)
    np.testing.assert_array_equal(line.get_xdata(), predicted[count > 0])
    np.testing.assert_array_equal(line.get_ydata(), observed[count > 0])
    assert [ax.get_xlabel()[:2] for ax in below.axes] == ["MS", "CC", "ED", "SZ"]
