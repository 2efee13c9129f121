import cv2
import numpy as np
import pytest

from socl_pipeline.datasets.scenes import SceneSettings, build_scene
from socl_pipeline.errors import InputError
from socl_pipeline.settings import EdgeBoxSettings, ViewSettings
from socl_pipeline.top.edgeboxes.edges import gradient_edges, thin
from socl_pipeline.top.edgeboxes.forest import forest_edges
from socl_pipeline.top.edgeboxes.near import edge_boxes_near
from socl_pipeline.top.views import ViewedFrame

TRIANGLE = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25


def step_image(angle=0.0, low=(40, 40, 40), high=(200, 200, 200), side=64):
    """A straight edge through the middle; `angle` is that of its normal, in degrees."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    mask = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle)) > 0
    return np.where(mask[..., None], np.uint8(high), np.uint8(low)).astype(np.uint8)


def scene(seed=5, width=160, height=120):
    settings = SceneSettings(width=width, height=height, frames=2, min_size=0.2, max_size=0.5)
    return build_scene(settings, (seed, 0)).render(1).image


def plain_gradient(image):
    """Edge strength and normal angle (H, W), the way one would write them down."""
    padded = np.pad(image.astype(float), ((4, 4), (4, 4), (0, 0)), "symmetric")
    rows = sum(k * padded[i : i + image.shape[0]] for i, k in enumerate(TRIANGLE))
    smooth = sum(k * rows[:, i : i + image.shape[1]] for i, k in enumerate(TRIANGLE))
    framed = np.pad(smooth, ((1, 1), (1, 1), (0, 0)), "edge")
    dx, dy = framed[1:-1, 2:] - framed[1:-1, :-2], framed[2:, 1:-1] - framed[:-2, 1:-1]
    strength = np.hypot(dx, dy)
    channel = strength.argmax(axis=2)[..., None]
    gx, gy, best = (np.take_along_axis(a, channel, axis=2)[..., 0] for a in (dx, dy, strength))
    return best / max(best.max(), 1e-2), np.arctan2(gy, gx) % np.pi


def beside(strength, angle, step):
    """`strength` (H, W) moved by `step` along the normal, bilinear, 0 beyond the border."""
    y, x = np.indices(strength.shape)
    x, y = x + step * np.cos(angle), y + step * np.sin(angle)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    framed = np.pad(strength, 4)
    total = np.zeros(strength.shape)
    for i, k in np.ndindex(2, 2):
        part = np.abs(1 - i - (y - top)) * np.abs(1 - k - (x - left))
        total += part * framed[top + i + 4, left + k + 4]
    return total


def assert_thinned(edges, strength, angle):
    """`edges` are the maxima of `strength` along its normals, where rounding does not decide."""
    margin = np.min([strength - beside(strength, angle, s) for s in (-2, -1, 1, 2)], axis=0)
    inside = np.zeros(strength.shape, bool)
    inside[1:-1, 1:-1] = True
    strong = inside & (strength > 0.1 + 1e-4)
    assert (edges.strength[strong & (margin > 1e-4)] > 0).all()
    assert (edges.strength[~inside | (strength < 0.1 - 1e-4) | (margin < -1e-4)] == 0).all()
    kept = edges.strength > 0
    np.testing.assert_allclose(edges.strength[kept], strength[kept], atol=1e-5)
    difference = np.abs(edges.angle[kept] - angle[kept])
    assert np.minimum(difference, np.pi - difference).max(initial=0) < 1e-3
    assert (edges.angle >= 0).all() and (edges.angle < np.float32(np.pi)).all()


@pytest.mark.parametrize("make", [scene, lambda: step_image(30), lambda: scene(9, 64, 81)])
def test_gradient_edges_are_the_thinned_plain_gradient(make):
    image = make()
    assert_thinned(gradient_edges(image), *plain_gradient(image))


def test_thinning_of_any_strength_and_angle():
    """The angles of a learnt model need not be those of the gradient."""
    rng = np.random.default_rng(3)
    strength = cv2.GaussianBlur(rng.random((50, 70)).astype(np.float32), (0, 0), 1.5)
    strength = cv2.normalize(strength, None, 0, 1, cv2.NORM_MINMAX)
    angle = (rng.random(strength.shape) * np.pi).astype(np.float32)
    edges = thin(strength, angle)
    assert 0.01 < (edges.strength > 0).mean() < 0.5
    assert_thinned(edges, strength, angle)


@pytest.mark.parametrize("angle", [0, 30, 90, 135, 170])
def test_edges_of_a_step_are_thin_in_place_and_along_its_normal(angle):
    strength, normal = gradient_edges(step_image(angle))
    assert strength.shape == normal.shape == (64, 64)
    assert strength.dtype == normal.dtype == np.float32
    y, x = np.nonzero(strength[8:-8, 8:-8])
    assert 40 <= len(x) <= 130
    x, y = x + 8, y + 8
    assert strength[y, x].max() == pytest.approx(1)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    assert np.abs((x - 31.5) * cos + (y - 31.5) * sin).max() <= 1
    difference = np.abs(np.degrees(normal[y, x]) - angle) % 180
    assert np.minimum(difference, 180 - difference).max() < 15


def test_an_edge_between_colours_of_equal_grey_is_seen():
    strength, _ = gradient_edges(step_image(low=(200, 60, 100), high=(60, 131, 100)))
    assert strength[32].argmax() in (31, 32)


@pytest.mark.parametrize("shape", [(20, 30), (1, 1), (2, 3), (1, 9)])
def test_an_image_without_edges(shape):
    strength, normal = gradient_edges(np.full((*shape, 3), 77, np.uint8))
    assert strength.shape == normal.shape == shape
    assert (strength == 0).all() and (normal == 0).all()


def write_forest(path):
    """A forest of one stump: a column of edge pixels in every patch that is bright."""
    options = {
        "stride": 2,
        "shrinkNumber": 2,
        "patchSize": 32,
        "patchInnerSize": 16,
        "numberOfGradientOrientations": 4,
        "gradientSmoothingRadius": 0,
        "regFeatureSmoothingRadius": 2,
        "ssFeatureSmoothingRadius": 8,
        "gradientNormalizationRadius": 4,
        "selfsimilarityGridSize": 5,
        "numberOfTrees": 1,
        "numberOfTreesToEvaluate": 1,
        "numberOfOutputChannels": 1,
    }
    tree = {
        "childs": [2, 0, 0],  # counted from 1
        "featureIds": [0, 0, 0],
        "thresholds": [0.2, 0.0, 0.0],
        "edgeBoundaries": [0, 0, 0, 16],
        "edgeBins": [16 * row + 8 for row in range(16)],
    }
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.startWriteStruct("options", cv2.FILE_NODE_MAP)
    for key, value in options.items():
        storage.write(key, value)
    storage.endWriteStruct()
    for key, values in tree.items():
        storage.startWriteStruct(key, cv2.FILE_NODE_SEQ)
        for value in values:
            storage.write("", value)
        storage.endWriteStruct()
    storage.release()


def test_edges_of_a_forest(tmp_path):
    path = tmp_path / "model.yml.gz"
    write_forest(path)
    image = np.full((64, 96, 3), 50, np.uint8)
    image[:, 48:] = 230
    strength, normal = forest_edges(image, path)
    detector = cv2.ximgproc.createStructuredEdgeDetection(str(path))
    unthinned = detector.detectEdges(image.astype(np.float32) / 255)
    kept = strength > 0
    assert kept[:, 48:].any() and not kept[:, :48].any()
    np.testing.assert_allclose(strength[kept], unthinned[kept])
    assert kept.sum() < (unthinned > 0.1).sum()
    assert (normal >= 0).all() and (normal < np.pi).all()


BROKEN = {
    "missing": None,
    "empty": b"",
    "garbage": b"\x00\x01garbage",
    "a picture": cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes(),
    "another YAML": b"%YAML:1.0\n---\na: 1\n",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_is_no_forest_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "model.yml.gz"
    if content is not None:
        path.write_bytes(content)
    settings = EdgeBoxSettings(model=path)
    frame = ViewedFrame.of(step_image(), np.array([32.0, 32.0]), ViewSettings())
    with pytest.raises(InputError, match=r"model\.yml\.gz: not usable as proposals\.edgeboxes"):
        edge_boxes_near(frame, settings)
