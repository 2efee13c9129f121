"""Priors that are not TOP: each is a function of frame and click that gives scored boxes."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.errors import InputError
from socl_pipeline.settings import TopMapSettings
from socl_pipeline.top.maps import score_map
from socl_pipeline.top.priors import FrameInfo, boxes_of_map, load_prior

IMAGE = np.zeros((120, 160, 3), np.uint8)
POINT = np.array([80.0, 60.0])
INFO = FrameInfo("clip", 3)


def rendered(boxes, scores, shape=(120, 160)):
    return score_map(boxes, scores, np.array([0, 0, shape[1], shape[0]]), *shape)


def test_the_gaussian_prior_falls_like_a_gaussian_around_the_click():
    prior = load_prior(TopMapSettings(prior="gaussian", gaussian_sigma=0.1))
    scores = rendered(*prior(IMAGE, POINT, INFO))
    sigma = 0.1 * np.sqrt(160 * 120)
    x = np.arange(160) + 0.5
    np.testing.assert_allclose(scores[60], np.exp(-((x - 80) ** 2) / (2 * sigma**2)), atol=0.03)
    np.testing.assert_allclose(scores[:, 80], scores[::-1, 80], atol=1e-9)


def test_the_box_prior_is_the_true_box_and_needs_one():
    prior = load_prior(TopMapSettings(prior="boxes"))
    boxes, scores = prior(IMAGE, POINT, FrameInfo("clip", 3, np.array([70.0, 50, 20, 200])))
    np.testing.assert_array_equal(boxes, [[70, 50, 20, 70]])
    assert scores.tolist() == [1]
    with pytest.raises(InputError, match="clip, frame 3: no true box"):
        prior(IMAGE, POINT, INFO)


@given(
    st.floats(20, 140), st.floats(20, 100), st.floats(6, 60), st.floats(6, 60), st.integers(16, 64)
)
def test_boxes_of_a_mask_cover_the_mask(x, y, a, b, count):
    rows, columns = np.mgrid[:120, :160] + 0.5
    mask = ((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 <= 1
    boxes, scores = boxes_of_map(mask.astype(float), count)
    assert len(boxes) <= count
    covered = rendered(boxes, scores) > 0.5
    assert (covered & mask).sum() / (covered | mask).sum() > 0.85


def test_boxes_of_a_graded_map_rise_with_it():
    rows, columns = np.mgrid[:120, :160] + 0.5
    scores = np.exp(-((columns - 80) ** 2 / 800 + (rows - 60) ** 2 / 200))
    boxes, weights = boxes_of_map(scores, 64)
    assert np.abs(rendered(boxes, weights) - scores).max() < 0.3
    assert np.abs(rendered(boxes, weights) - scores).mean() < 0.03


def test_a_map_of_nothing_is_refused():
    with pytest.raises(ValueError, match="positive values"):
        boxes_of_map(np.zeros((4, 4)), 8)


@pytest.fixture
def provider(tmp_path, monkeypatch):
    """Write a module `my_prior`; returns a function that puts a body into it and loads it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(body: str):
        sys.modules.pop("my_prior", None)
        text = f"import numpy as np\n\ndef segment(frame, point, info):\n    return {body}\n"
        (tmp_path / "my_prior.py").write_text(text)
        return load_prior(TopMapSettings(prior="my_prior:segment", top_k=8))

    yield write
    sys.modules.pop("my_prior", None)


def test_a_users_function_may_return_boxes_or_a_map(provider):
    boxes, scores = provider("np.array([[1., 2, 3, 4]]), np.array([0.5])")(IMAGE, POINT, INFO)
    assert boxes.tolist() == [[1, 2, 3, 4]] and scores.tolist() == [1]
    boxes, scores = provider("frame[..., 0] == 0")(IMAGE, POINT, INFO)
    assert (rendered(boxes, scores) > 0).all()


def test_the_best_boxes_of_a_users_function_are_kept(provider):
    prior = provider("np.tile([[1., 2, 30, 40]], (20, 1)), np.arange(1., 21)")
    boxes, scores = prior(IMAGE, POINT, INFO)
    assert len(boxes) == 8
    np.testing.assert_allclose(scores, np.arange(20, 12, -1) / 20)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("np.zeros((3, 3))", r"returned \(3, 3\), expected boxes"),
        ("np.zeros(frame.shape[:2])", "greater somewhere"),
        ("-np.ones(frame.shape[:2])", "must be >= 0"),
        ("np.full(frame.shape[:2], np.nan)", "finite map"),
        ("(np.zeros((2, 3)), np.ones(2))", r"expected \(n, 4\) and \(n,\)"),
        ("(np.zeros((0, 4)), np.ones(0))", "n > 0"),
        ("(np.ones((2, 4)), np.zeros(2))", "scores positive"),
        ("(np.full((1, 4), np.nan), np.ones(1))", "finite numbers"),
        ("(np.array([[500., 2, 3, 4]]), np.ones(1))", "no box with an area in the frame"),
        ("(np.array([[5., 2, 0, 4]]), np.ones(1))", "no box with an area in the frame"),
        ("(np.ones((1, 4)), 0.5)", r"returned boxes \(1, 4\) and scores \(\)"),
        ("(np.ones((1, 4)),)", r"expected boxes \(n, 4\) and scores \(n,\)"),
    ],
)
def test_what_a_users_function_returns_wrongly_is_said(provider, body, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        provider(body)(IMAGE, POINT, INFO)
    assert "my_prior:segment (clip, frame 3)" in str(error.value)


def test_a_thin_mask_still_gives_boxes():
    boxes, _ = boxes_of_map(np.eye(120), 64)
    assert len(boxes) > 20
    assert boxes[:, 2:].min() > 0


def test_a_small_graded_map_is_graded_wherever_it_lies():
    rows, columns = np.mgrid[:1080, :300] + 0.5
    found = []
    for row in (544, 552):
        cone = np.maximum(6 - np.hypot(rows - row, columns - 150), 0)
        found.append(boxes_of_map(cone, 64)[0] - [0, row, 0, 0])
    np.testing.assert_allclose(*found)
    assert len(found[0]) > 10


@pytest.mark.parametrize("peak", [1e-7, 1e6])
def test_scores_of_any_scale_fit_the_store(provider, peak):
    boxes, scores = provider(f"(frame[..., 0] == 0) * {peak}")(IMAGE, POINT, INFO)
    assert scores.max() == 1
    boxes, scores = provider(f"[np.array([[1., 2, 30, 40]]), np.array([{peak}])]")(
        IMAGE, POINT, INFO
    )
    assert scores.tolist() == [1] and len(boxes) == 1


def test_a_module_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_prior.py").write_text("def segment(:\n")
    with pytest.raises(InputError, match="'broken_prior:segment' cannot be imported"):
        load_prior(TopMapSettings(prior="broken_prior:segment"))


@pytest.mark.parametrize("name", ["no_such_module:f", "json:no_such_function"])
def test_a_function_that_cannot_be_imported_is_named(name):
    with pytest.raises(InputError, match=f"'{name}' cannot be imported"):
        load_prior(TopMapSettings(prior=name))
