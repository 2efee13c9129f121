"""Reading the objectness release, and what its own output for one photo says about our maps."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import loadmat, savemat
from scipy.stats import spearmanr

from socl_pipeline.cli import cli
from socl_pipeline.datasets.images import image_size
from socl_pipeline.errors import InputError
from socl_pipeline.top.cues.image import CUES, CueSettings, window_cues
from socl_pipeline.top.maps import score_map
from socl_pipeline.top.objectness.boxed_frames import csv_frames
from socl_pipeline.top.objectness.clicked import frame_source
from socl_pipeline.top.objectness.fit import FitOptions, fit_windows
from socl_pipeline.top.objectness.model import load_objectness
from socl_pipeline.top.objectness.release import read_release
from socl_pipeline.top.objectness.reliability import held_out, within_object_auc

SIZES = {"MS": 501, "CC": 201, "ED": 101}


def params(**changes):
    ms = {"scale": [16.0, 32.0], "theta": [0.4, 0.3]}
    return {"pobj": 0.1, "MS": ms, "CC": {"theta": 150.0}, "ED": {"theta": 20.0}} | changes


@pytest.fixture
def folder(tmp_path):
    """A made-up release: random tables with empty bins, and other thetas than ours."""
    rng = np.random.default_rng(3)
    for cue, size in SIZES.items():
        table = rng.random((2, size)) + 0.01
        table[0, 7] = table[1, 9] = 0
        table /= table.sum(axis=1, keepdims=True)
        savemat(tmp_path / f"{cue}likelihood.mat", {"likelihood": table})
    savemat(tmp_path / "params.mat", {"params": params()})
    return tmp_path


def looked_up(folder, cue, value, rate):
    """The release's rule, a value at a time: bin ceil(rate v + 0.5), counted from 1."""
    table = loadmat(folder / f"{cue}likelihood.mat")["likelihood"]
    column = min(int(np.ceil(rate * value + 0.5)), SIZES[cue]) - 1
    return table[:, column] + np.finfo(float).eps


@pytest.mark.parametrize(("ed_bins", "rate"), [("as_shipped", 2), ("corrected", 20)])
def test_posterior_follows_the_bin_rules(folder, ed_bins, rate):
    model = read_release(folder, ed_bins)
    rng = np.random.default_rng(0)
    cues = rng.random((300, 3)) * [600, 2, 6]
    cues[0] = 0
    expected = []
    for ms, cc, ed in cues:
        likelihoods = [
            looked_up(folder, "MS", ms, 1),
            looked_up(folder, "CC", cc, 100),
            looked_up(folder, "ED", ed, rate),
        ]
        positive, negative = np.prod(likelihoods, axis=0) * [0.1, 0.9]
        expected.append(positive / (positive + negative))
    np.testing.assert_allclose(model.posterior(cues), expected, rtol=1e-9)


def test_thetas_and_prior_come_from_the_parameters(folder):
    model = read_release(folder, "corrected")
    assert (model.prior, model.cues) == (0.1, CUES)
    assert model.thetas.ms_scales == (16, 32) and model.thetas.ms_thresholds == (0.4, 0.3)
    assert (model.thetas.cc_theta, model.thetas.ed_theta) == (150, 20)
    assert "no commercial use" in model.provenance["licence"]


def test_empty_bins_stay_finite(folder):
    assert all(np.isfinite(r).all() for r in read_release(folder, "corrected").log_ratio.values())


def test_the_command_converts_a_folder(folder):
    out = folder / "released.json"
    options = ["--release", folder, "--ed-bins", "as_shipped", "--out", out]
    CliRunner().invoke(cli, ["fit-objectness", *map(str, options)], catch_exceptions=False)
    converted, model = load_objectness(out), read_release(folder, "as_shipped")
    assert converted.provenance["ed_bins"] == "as_shipped" and converted.thetas == model.thetas
    cues = np.random.default_rng(1).random((200, 3)) * [60, 2, 3]
    np.testing.assert_allclose(converted.posterior(cues), model.posterior(cues), atol=1e-3)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("params.mat", None, "no such file; --release takes the release's folder"),
        ("CClikelihood.mat", {"other": 1}, "has no variable 'likelihood'"),
        ("EDlikelihood.mat", {"likelihood": np.ones((2, 100))}, r"expected \(2, 101\)"),
        ("MSlikelihood.mat", {"likelihood": np.full((2, 501), -1.0)}, "no probabilities"),
        ("params.mat", {"params": params(CC={"other": 1})}, "not the parameters of release 2.2"),
        ("params.mat", {"params": 3}, "not the parameters of release 2.2"),
        ("params.mat", b"no MATLAB file", "not a MATLAB file that SciPy reads"),
    ],
)
def test_what_is_no_release_is_named(folder, name, content, expected):
    path = folder / name
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        savemat(path, content)
    with pytest.raises(InputError, match=expected) as caught:
        read_release(folder, "corrected")
    assert str(caught.value).startswith(f"{path}: ")


@pytest.fixture(scope="module")
def release():
    """A real copy of the release, which may not be shipped."""
    if not (data := os.environ.get("SOCL_TEST_DATA")):
        pytest.skip("SOCL_TEST_DATA is not set: no copy of the objectness release")
    return Path(data) / "models/objectness_v2.2"


@pytest.fixture(scope="module")
def output(release):
    """Its own output for one photo: image, whole-pixel boxes (1000, 4), scores and heat map."""
    content = loadmat(release / "output.mat")
    corners = np.floor(content["boxes"][:, :4] + 0.5)  # MATLAB rounds halves up
    x0, y0, x1, y1 = corners.T  # 1-based, both ends inside
    boxes = np.stack([x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1], axis=1)
    return content["img"], boxes, content["boxes"][:, 4], content["objHeatMap"]


def jet():
    """The 256 colours of MATLAB's jet: ramps of 64 steps, in multiples of 1/64."""
    ramp = np.concatenate([np.arange(1, 65), np.full(63, 64), np.arange(64, 0, -1)])
    colours = np.zeros((256 + 2 * 96, 3), int)
    for channel, start in enumerate((96 + 96, 96 + 32, 96 - 32)):
        colours[start : start + len(ramp), channel] = ramp
    return colours[96 : 96 + 256]


def test_the_released_heat_map_is_our_score_map(output):
    image, boxes, scores, heat = output
    height, width = image.shape[:2]
    ours = score_map(boxes, scores, np.array([0, 0, width, height]), height, width)
    levels = np.floor(255 * ours / ours.max() + 0.5).astype(int)
    np.testing.assert_array_equal(jet()[levels], np.rint(heat * 64).astype(int))


def test_our_cues_explain_much_of_the_released_scores(release, output):
    """The release used MS, CC and superpixels, and the MS of one random colour and scale."""
    image, boxes, scores, _ = output
    model = read_release(release, "corrected")
    cues = window_cues(np.ascontiguousarray(image), boxes, model.thetas)
    evidence = {
        cue: model.log_ratio[cue][np.searchsorted(model.edges[cue], values, side="right")]
        for cue, values in zip(CUES, cues.T, strict=True)
    }
    together = spearmanr(evidence["ms"] + evidence["cc"], scores)[0]
    assert together > 0.55
    assert together > spearmanr(evidence["ms"], scores)[0] + 0.03
    odds = np.log(scores / (1 - scores))
    design = np.stack([evidence["ms"], evidence["cc"], np.ones(len(odds))], axis=1)
    weight = np.linalg.lstsq(design, odds)[0]
    assert 0.7 < weight[1] < 1.1, "CC enters the released score with weight 1"


def test_the_released_thetas_and_tables(release):
    model = read_release(release, "corrected")
    assert model.thetas == CueSettings()
    assert model.prior == pytest.approx(0.0797)
    ratio, edges = model.log_ratio["cc"], model.edges["cc"]
    assert ratio[np.searchsorted(edges, 0.02)] < -0.7 and ratio[np.searchsorted(edges, 1)] > 1.5


@pytest.fixture(scope="module")
def training_boxes(release, tmp_path_factory):
    """The boxes that the release was fitted on as a CSV; 1-based corners and .png there."""
    content = loadmat(
        release / "training_images/structGT.mat", squeeze_me=True, struct_as_record=False
    )
    lines = [
        f"{Path(entry.img).with_suffix('.jpg')},{x0 - 1},{y0 - 1},{x1 - x0 + 1},{y1 - y0 + 1}"
        for entry in content["structGT"]
        for x0, y0, x1, y1 in np.atleast_2d(entry.boxes).astype(int)
    ]
    table = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    table.write_text("\n".join(["image,x,y,w,h", *lines]) + "\n")
    return table


def test_the_training_images_can_be_fitted_on(release, training_boxes):
    frames = csv_frames(training_boxes, release / "training_images")
    assert len(frames) == 50 and sum(len(frame.boxes) for frame in frames) == 291
    for frame in frames:
        width, height = image_size(frame.path)
        assert (frame.boxes[:, :2] >= 0).all()
        assert (frame.boxes[:, :2] + frame.boxes[:, 2:] <= [width, height]).all()
    some = [replace(frame, boxes=frame.boxes[:1]) for frame in frames[::5]]
    options = FitOptions()
    windows, thetas = fit_windows(frame_source("some", some).objects, options)
    assert windows.counts()["boxes"] == 10
    assert held_out(windows, thetas, options).object_auc > 0.55
    assert within_object_auc(load_objectness().posterior(windows.cues), windows) > 0.6
