import itertools
import json

import numpy as np
import pytest

from socl_pipeline.errors import InputError
from socl_pipeline.top.cues.image import CUES, CueSettings
from socl_pipeline.top.objectness.fit import default_thetas, fit_views
from socl_pipeline.top.objectness.model import (
    BINS,
    FORMAT,
    SIZE,
    fit_objectness,
    load_objectness,
    relative_log_side,
)


@pytest.fixture(scope="module")
def data():
    """Cues (n, 3) and labels (n,): ms says nothing, cc says much, ed a little."""
    rng = np.random.default_rng(0)
    labels = rng.random(6000) < 0.2
    cues = rng.gamma(2, 1, (6000, 3))
    cues[:, 1] += 2 * labels
    cues[:, 2] += 0.5 * labels
    return cues, labels


@pytest.fixture(scope="module")
def model(data):
    return fit_objectness(*data, {"source": "test data", "boxes": 3})


def slow_posterior(model, cue_values):
    """Bayes' rule with probabilities instead of logarithms, a window at a time."""
    result = []
    for window in cue_values:
        odds = model.prior / (1 - model.prior)
        for cue, value in zip(CUES, window, strict=True):
            bin_ = sum(value >= edge for edge in model.edges[cue])
            odds *= np.exp(model.log_ratio[cue][bin_])
        result.append(odds / (1 + odds))
    return np.array(result)


def test_tables_are_smoothed_histograms(data, model):
    cues, labels = data
    for i, cue in enumerate(CUES):
        edges = [-np.inf, *model.edges[cue], np.inf]
        assert len(edges) == BINS + 1
        positive, negative = [], []
        for low, high in itertools.pairwise(edges):
            inside = (cues[:, i] >= low) & (cues[:, i] < high)
            positive.append((inside & labels).sum() + 1)
            negative.append((inside & ~labels).sum() + 1)
        expected = np.log(np.divide(positive, sum(positive)) / np.divide(negative, sum(negative)))
        np.testing.assert_allclose(model.log_ratio[cue], expected)
    assert model.prior == pytest.approx(labels.mean())


def test_bins_hold_equally_many_windows(data, model):
    counts = np.bincount(np.searchsorted(model.edges["ms"], data[0][:, 0], side="right"))
    assert counts.min() >= 6000 / BINS - 2 and counts.max() <= 6000 / BINS + 2


def test_a_cue_of_few_values_makes_few_bins():
    cues = np.tile([[0.0, 1, 2], [0, 3, 2]], (50, 1))[:-1]
    fitted = fit_objectness(cues, cues[:, 1] == 3, {"source": "few values"})
    assert len(fitted.log_ratio["ms"]) == 1 and fitted.log_ratio["ms"][0] == 0
    assert fitted.edges["cc"].tolist() == [3]
    np.testing.assert_allclose(np.exp(fitted.log_ratio["cc"]), [52 / 51 / 51, 50 / 51 * 52])
    assert fitted.posterior(np.array([[0, 3, 2]]))[0] > 0.95


def test_posterior_is_naive_bayes(data, model):
    values = np.concatenate([data[0][:50], [[-1, -1, -1], [1e6, 1e6, 1e6]]])
    np.testing.assert_allclose(model.posterior(values), slow_posterior(model, values))
    boundary = np.array([[model.edges[c][3] for c in CUES]])
    np.testing.assert_allclose(model.posterior(boundary), slow_posterior(model, boundary))


def test_the_posterior_separates_and_is_calibrated(data, model):
    cues, labels = data
    posterior = model.posterior(cues)
    assert posterior[labels].mean() > posterior[~labels].mean() + 0.2
    assert posterior.mean() == pytest.approx(labels.mean(), abs=0.02)


def test_json_round_trip(tmp_path, data, model):
    path = tmp_path / "model.json"
    path.write_text(model.to_json())
    loaded = load_objectness(path)
    assert loaded.provenance == {"source": "test data", "boxes": 3}
    np.testing.assert_allclose(
        loaded.posterior(data[0][:500]), model.posterior(data[0][:500]), atol=2e-3
    )
    assert loaded.to_json() == model.to_json()


def test_a_model_of_some_cues_ignores_the_others(tmp_path, data, model):
    content = json.loads(model.to_json())
    del content["cues"]["ms"]
    path = tmp_path / "two.json"
    path.write_text(json.dumps(content))
    two = load_objectness(path)
    assert two.cues == ("cc", "ed")
    values = data[0][:50].copy()
    expected = two.posterior(values)
    values[:, 0] = 1e3
    np.testing.assert_array_equal(two.posterior(values), expected)
    assert np.abs(expected - model.posterior(data[0][:50])).max() > 0.001


def test_thetas_are_kept(tmp_path, data):
    thetas = CueSettings((8, 16), (0.5, 0.25), 50.0, 40.0)
    path = tmp_path / "model.json"
    fitted = fit_objectness(*data, {"source": "x"}, thetas=thetas)
    path.write_text(fitted.to_json())
    assert load_objectness(path).thetas == thetas


def test_a_table_of_sizes(tmp_path, data):
    cues, labels = data
    log_side = np.where(labels, -1.0, -3.0) + np.random.default_rng(4).normal(0, 1, len(labels))
    fitted = fit_objectness(cues, labels, {"source": "x"}, log_side)
    path = tmp_path / "model.json"
    path.write_text(fitted.to_json())
    loaded = load_objectness(path)
    assert loaded.cues == (*CUES, SIZE)
    same = np.tile(cues[:1], (2, 1))
    small, large = loaded.posterior(same, np.array([-4.0, 0.0]))
    assert large > small + 0.1
    with pytest.raises(KeyError, match=SIZE):
        loaded.posterior(same)


def test_relative_side_is_the_root_of_the_share():
    windows = np.array([[3.0, 4, 20, 10], [0, 0, 40, 20]])
    np.testing.assert_allclose(np.exp(relative_log_side(windows, 40, 20)), [0.5, 1])


@pytest.mark.parametrize("labels", [[True] * 3, [False] * 3])
def test_there_must_be_objects_and_background(labels):
    with pytest.raises(InputError, match="both objects and background"):
        fit_objectness(np.zeros((3, 3)), np.array(labels), {"source": "x"})


@pytest.mark.parametrize("kind", ["context", "frame"])
def test_the_shipped_tables(kind):
    shipped, views = load_objectness(views=kind), fit_views(kind, None)
    assert 0.02 < shipped.prior < 0.3 and "procedural" in shipped.provenance["source"]
    assert shipped.cues == CUES and shipped.thetas == default_thetas(views)
    assert shipped.provenance["views"] == kind
    assert shipped.provenance["working_side"] == views.working_side
    for cue in CUES:
        assert (np.diff(shipped.edges[cue]) > 0).all()
        assert len(shipped.log_ratio[cue]) == len(shipped.edges[cue]) + 1
        assert np.abs(shipped.log_ratio[cue]).max() < 10
    assert trend(shipped, "cc") > 0.8, "more contrast, more object"


def trend(model, cue):
    """Rank correlation of a table with its bins."""
    ratio = model.log_ratio[cue]
    return np.corrcoef(np.argsort(np.argsort(ratio)), np.arange(len(ratio)))[0, 1]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m.update(format="other"), f"format 'other', expected {FORMAT!r}"),
        (
            lambda m: m.update(format="socl-objectness-1"),
            "make the file with `socl fit-objectness`",
        ),
        (lambda m: m["cues"].update(ss=m["cues"].pop("cc")), "unknown cue 'ss'; known: ms, cc"),
        (lambda m: m["cues"].clear(), "there is no table in `cues`"),
        (lambda m: m["cues"]["cc"]["edges"].reverse(), "cue cc needs rising edges"),
        (lambda m: m.update(prior=1.0), "prior 1 is not between 0 and 1"),
        (lambda m: m.update(provenance="photos"), "not a fitted objectness model"),
        (lambda m: m["provenance"].update(source=3), "provenance.source is not a text"),
        (lambda m: m.pop("thetas"), "not a fitted objectness model"),
        (lambda m: m["thetas"]["ms_scales"].pop(), "one ms_threshold for each of the ms_scales"),
        (lambda m: m["thetas"].update(cc_theta=0), "every theta must be greater than 0"),
        (lambda m: m["cues"]["ed"]["edges"].pop(), "cue ed needs one more log_ratio than edges"),
        (lambda m: m.pop("prior"), "not a fitted objectness model"),
        (lambda m: m["cues"]["ms"].update(edges=["a"]), "not a fitted objectness model"),
    ],
)
def test_files_that_are_no_model_are_named(tmp_path, model, change, expected):
    content = json.loads(model.to_json())
    change(content)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        load_objectness(path)
    assert str(caught.value).startswith(f"{path}: ") and expected in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "[1]", "{"])
def test_unreadable_models_are_named(tmp_path, text):
    path = tmp_path / "model.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r"model\.json: not a fitted objectness model"):
        load_objectness(path)
