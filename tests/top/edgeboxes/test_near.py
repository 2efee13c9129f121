import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socl_pipeline.boxes import centers, iou
from socl_pipeline.datasets.images import read_image
from socl_pipeline.datasets.scenes import SceneSettings, build_scene
from socl_pipeline.settings import EdgeBoxSettings, ViewSettings
from socl_pipeline.top.edgeboxes import near as near_module
from socl_pipeline.top.edgeboxes import search as search_module
from socl_pipeline.top.edgeboxes.edges import EdgeMap, gradient_edges
from socl_pipeline.top.edgeboxes.groups import group_edges
from socl_pipeline.top.edgeboxes.near import EdgeScorer, edge_boxes_near
from socl_pipeline.top.edgeboxes.scores import score_windows
from socl_pipeline.top.edgeboxes.search import window_shapes
from socl_pipeline.top.views import ViewedFrame

BOX = np.array([60.0, 40.0, 48.0, 64.0])
SETTINGS = EdgeBoxSettings(min_box_area_px=400)
WHOLE = ViewSettings(kind="frame", working_side="full")
DATA = os.environ.get("SOCL_TEST_DATA")

both = pytest.mark.parametrize("search", ["local", "opencv"])


@pytest.fixture(scope="module")
def image():
    """A bright rectangle at BOX on a dark frame of 192 x 144."""
    picture = np.full((144, 192, 3), 40, np.uint8)
    picture[40:104, 60:108] = (220, 180, 60)
    return picture


def settings_of(search="local", **changed):
    return EdgeBoxSettings(**{"search": search, "min_box_area_px": 400} | changed)


def find(image, point=None, settings=SETTINGS, views=WHOLE):
    point = centers(BOX) if point is None else np.asarray(point, np.float64)
    return edge_boxes_near(ViewedFrame.of(image, point, views), settings)


def scene(seed, width=160, height=120):
    scene_settings = SceneSettings(width=width, height=height, frames=2, min_size=0.1, max_size=0.6)
    return build_scene(scene_settings, (seed, 0)).render(1)


def random_edges(seed, share, height=90, width=120):
    rng = np.random.default_rng(seed)
    strength = np.where(rng.random((height, width)) < share, 0.1 + 0.9 * rng.random(), 0)
    angle = rng.random((height, width)) * np.pi
    return EdgeMap(strength.astype(np.float32), angle.astype(np.float32))


def bars():
    """Collinear edges of one exact direction: every decision of the grouping is a tie."""
    strength = np.zeros((90, 120), np.float32)
    strength[20:70:10, 20:100] = 0.8
    strength[20:70:5, 30:90:7] = 0.4
    return EdgeMap(strength, np.full((90, 120), np.pi / 2, np.float32))


def opencv_windows(edges, min_area=300):
    """OpenCV's boxes for some edges, as first and last pixels (n, 4), and their scores (n,)."""
    finder = cv2.ximgproc.createEdgeBoxes(maxBoxes=5000, minScore=0.005, minBoxArea=min_area)
    found, scores = finder.getBoundingBoxes(*edges)
    corners = np.asarray(found).reshape(-1, 4).astype(int)
    corners[:, :2] -= 1
    corners[:, 2:] += corners[:, :2]
    return corners, np.ravel(scores)


def crossed():
    """Every pixel is a group of its own, with links to all around it."""
    y, x = np.indices((60, 70))
    angle = np.where((x + y) % 2, 0.8, 0.8 + np.pi / 2) + np.where(y % 2, 0.7, 0)
    strength = np.zeros((60, 70), np.float32)
    strength[20:45, 20:50] = 0.9
    return EdgeMap(strength, angle.astype(np.float32))


SOURCES = {
    "scene": lambda: gradient_edges(scene(1).image),
    "small scene": lambda: gradient_edges(scene(2, 97, 131).image),
    "busy scene": lambda: gradient_edges(scene(3, 240, 180).image),
    "sparse noise": lambda: random_edges(0, 0.1),
    "noise": lambda: random_edges(1, 0.3),
    "bars": bars,
    "crossed": crossed,
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES.keys())
def test_scores_are_those_of_opencv(make):
    edges = make()
    windows, expected = opencv_windows(edges)
    assert len(windows) >= 5
    scores = score_windows(group_edges(edges), windows)
    np.testing.assert_allclose(scores, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(DATA is None, reason="SOCL_TEST_DATA is unset")
@pytest.mark.parametrize("clip", ["davis_camel", "davis_goat"])
def test_scores_are_those_of_opencv_on_real_frames(clip):
    frame = read_image(Path(str(DATA)) / "data/clips/train" / clip / "00000001.jpg")
    views = ViewSettings(kind="frame", working_side=320)
    edges = gradient_edges(ViewedFrame.of(frame, np.zeros(2), views).pictures[0])
    windows, expected = opencv_windows(edges)
    scores = score_windows(group_edges(edges), windows)
    # OpenCV sums in float32: thousands of strengths over the norm of the smallest windows
    np.testing.assert_allclose(scores, expected, atol=2e-4, rtol=0)


def test_what_a_score_is():
    """Groups inside count, less those in the middle and those that touch the border."""
    strength = np.zeros((60, 80), np.float32)
    strength[15, 20:24] = 0.5  # at the top
    strength[30, 38:42] = 0.25  # in the middle
    strength[44, 56:64] = 0.75  # crosses the right border of the window
    edges = EdgeMap(strength, np.full((60, 80), np.pi / 2, np.float32))
    windows = np.array([[10, 10, 60, 50], [10, 10, 70, 50], [12, 17, 70, 50]])
    norms = np.array([25 + 20, 30 + 20, 29 + 16]) ** 1.5
    expected = np.array([2, 2 + 6, 6]) / norms
    np.testing.assert_allclose(score_windows(group_edges(edges), windows), expected, rtol=1e-5)


def test_a_group_is_lost_in_part_if_one_that_continues_it_leaves_the_window():
    """Two groups along a line, the second turned by 45 degrees: affinity (1 cos 45)^2 = 1 / 2."""
    strength = np.zeros((60, 80), np.float32)
    strength[30, 20:30] = 0.5
    strength[30, 31:46] = 0.5
    angle = np.full((60, 80), np.pi / 2, np.float32)
    angle[:, 31:] = np.pi / 4
    groups = group_edges(EdgeMap(strength, angle))
    assert len(groups.magnitudes) == 2
    window = np.array([10, 26, 40, 58])
    score = score_windows(groups, window)[0]
    norm = (15 + 16) ** 1.5
    assert score * norm == pytest.approx(5 / 2, rel=1e-4)
    whole = score_windows(groups, [10, 26, 50, 58])[0]
    assert whole * (20 + 16) ** 1.5 == pytest.approx(5 + 7.5, rel=1e-4)


def test_scores_of_any_boxes(image):
    scorer = EdgeScorer(gradient_edges(image), SETTINGS)
    around, beside = (54, 34, 60, 76), (80, 40, 48, 64)
    boxes = np.array([around, beside, (-50, -50, 500, 500), (10, 10, 0, 0), (300,) * 4])
    scores = scorer.score(boxes)
    assert scores.shape == (5,)
    assert scores[0] > 0.05 and scores[1] < scores[0] / 2
    assert 0 < scores[2] < scores[0] and scores[3] == scores[4] == 0
    assert scorer.score(np.zeros((0, 4))).shape == (0,)


@both
def test_found_boxes_have_their_scores(image, search):
    boxes, scores = find(image, settings=settings_of(search))
    again = EdgeScorer(gradient_edges(image), SETTINGS).score(boxes)
    np.testing.assert_allclose(again, scores, atol=1e-4)


@both
def test_the_object_is_found_without_offset(image, search):
    boxes, scores = find(image, settings=settings_of(search))
    assert boxes.shape == (len(scores), 4) and (scores > 0).all()
    best = boxes[np.argmax(iou(boxes, BOX))].astype(float)
    assert iou(best, BOX) > 0.8
    assert np.abs(centers(best) - centers(BOX)).max() <= 1.5


@both
def test_no_offset_to_either_side(image, search):
    """The smallest windows around the rectangle, whose edges are 50 px apart, have its middle."""
    for mirrored in (False, True):
        picture = np.ascontiguousarray(image[:, ::-1]) if mirrored else image
        middle = 108.0 if mirrored else 84.0
        boxes, _ = find(picture, [middle, 72], settings_of(search))
        tight = boxes[boxes[:, 2] == 51]
        assert len(tight) and np.abs(centers(tight)[:, 0] - middle).min() == 0


def test_only_boxes_near_the_point(image):
    point = np.array([70.0, 60.0])
    boxes, _ = find(image, point, settings_of("opencv", radius_px=12))
    everywhere, _ = find(image, point, settings_of("opencv", radius_px=500))
    near = np.linalg.norm(centers(everywhere) - point, axis=1) <= 12
    np.testing.assert_array_equal(boxes, everywhere[near])
    assert 0 < near.sum() < len(near)


def test_the_local_search_finds_more_near_the_point_and_nothing_worse():
    """What it is for: no place is lost to the rest of the frame, as to the paper's search."""
    frames = [scene(seed, 480, 360) for seed in (1, 2, 4, 7)]
    counts, best = {}, {}
    paper = settings_of("opencv", min_box_area_px=1000)
    for search, chosen, views in (
        ("local", EdgeBoxSettings(), ViewSettings()),
        ("opencv", paper, WHOLE),
    ):
        found = [find(f.image, centers(f.box), chosen, views)[0] for f in frames]
        counts[search] = np.mean([len(boxes) for boxes in found])
        best[search] = np.mean(
            [iou(boxes, f.box).max(initial=0) for boxes, f in zip(found, frames, strict=True)]
        )
    assert counts["local"] > counts["opencv"]
    assert best["local"] >= best["opencv"] - 0.02 and best["local"] > 0.6


@both
def test_results_are_in_pixels_of_the_given_image(image, search):
    """A twofold image searched at the same working side gives twofold boxes."""
    large = np.kron(image, np.ones((2, 2, 1), np.uint8))
    boxes, scores = find(
        large,
        2 * centers(BOX),
        settings_of(search, min_box_area_px=1600, radius_px=60),
        ViewSettings(kind="frame", working_side=192),
    )
    once, once_scores = find(image, settings=settings_of(search))
    np.testing.assert_allclose(boxes, 2 * once, atol=1e-4)
    np.testing.assert_allclose(scores, once_scores, rtol=1e-3)


@both
def test_at_most_max_boxes(image, search):
    assert len(find(image, settings=settings_of(search, max_boxes=3, radius_px=500))[0]) <= 3
    none, scores = find(image, settings=settings_of(search, max_boxes=0))
    assert none.shape == (0, 4) and scores.shape == (0,)


def test_beta_is_the_largest_overlap(image):
    boxes, _ = find(image, settings=settings_of(beta=0.5))
    overlaps = iou(boxes[:, None], boxes[None])
    assert (overlaps[~np.eye(len(boxes), dtype=bool)] <= 0.5 + 1e-6).all()
    assert 0 < len(boxes) < len(find(image)[0])


@both
def test_an_image_without_edges_has_no_boxes(search):
    for shape in [(144, 192, 3), (1, 1, 3), (2, 3, 3)]:
        flat = np.full(shape, 90, np.uint8)
        boxes, scores = find(flat, [1, 1], settings_of(search))
        assert boxes.shape == (0, 4) and scores.shape == (0,)


@both
def test_nothing_near_a_far_point(image, search):
    boxes, scores = find(image, np.array([5000.0, 5000.0]), settings_of(search))
    assert boxes.shape == (0, 4) and scores.shape == (0,)


@given(
    seed=st.integers(0, 3),
    x=st.floats(-5, 165),
    y=st.floats(-5, 125),
    radius=st.floats(0.5, 300),
    sides_away=st.floats(0.05, 3),
    area=st.floats(1, 5000),
    side=st.sampled_from([64, 100, 160]),
    kind=st.sampled_from(["frame", "context"]),
)
@settings(max_examples=40, deadline=None)
def test_boxes_lie_near_the_point_in_the_image_best_first(
    seed, x, y, radius, sides_away, area, side, kind
):
    picture, point = scene(seed).image, np.array([x, y])
    frame = ViewedFrame.of(picture, point, ViewSettings(kind=kind, working_side=side))
    chosen = EdgeBoxSettings(radius_px=radius, radius_sides=sides_away, min_box_area_px=area)
    boxes, scores = edge_boxes_near(frame, chosen)
    assert boxes.dtype == scores.dtype == np.float32
    assert boxes.shape == (len(scores), 4) and len(scores) <= chosen.max_boxes
    away = np.linalg.norm(centers(boxes) - point, axis=1)
    assert (away <= radius + 1e-3).all()
    assert (away <= sides_away * np.sqrt(boxes[:, 2:].prod(axis=1)) * 1.02 + 1e-3).all()
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] > 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= np.array([160, 120]) + 1e-3).all()
    assert (np.diff(scores) <= 0).all() and (scores >= np.float32(chosen.min_score)).all()
    again, _ = edge_boxes_near(frame, chosen)
    np.testing.assert_array_equal(boxes, again)


def test_boxes_lie_no_farther_than_their_own_sides():
    """30 px is many times the side of a small target: its windows must stay with it."""
    frame = scene(7)
    point = centers(frame.box)

    def sides_away(limit):
        boxes, _ = find(frame.image, point, settings_of(radius_px=60, radius_sides=limit))
        away = np.linalg.norm(centers(boxes) - point, axis=1)
        return away / np.sqrt(boxes[:, 2:].prod(axis=1))

    for limit in (0.2, 0.5, 1.0):
        assert 0 < sides_away(limit).max() <= limit + 1e-3
    assert sides_away(100.0).max() > 1


@pytest.mark.parametrize("sides", [(10, 40), (20, 90), (33.3, 33.4), (50, np.inf)])
def test_window_shapes_have_sides_of_the_range(sides):
    shapes = window_shapes((120, 160), sides, 0.65)
    roots = np.sqrt(shapes.prod(axis=1))
    largest = min(sides[1], 160)
    assert len(shapes) and roots.min() >= int(sides[0]) - 1
    assert roots.max() <= largest
    assert roots.max() > largest * np.sqrt(0.65) - 1, "the next scale would be too large"
    assert roots.min() < sides[0] + 1, "the first one is not"
    aspects = shapes[:, 0] / shapes[:, 1]
    assert aspects.max() < 3.3 and aspects.min() > 1 / 3.3
    np.testing.assert_array_equal(np.unique(shapes, axis=0), np.unique(shapes[:, ::-1], axis=0))


def test_no_shape_of_an_empty_range():
    assert len(window_shapes((120, 160), (50, 50), 0.65)) == 0
    assert len(window_shapes((120, 160), (200, 300), 0.65)) == 0


def test_refining_the_best_windows_finds_as_good_boxes(monkeypatch):
    """The cap saves time: the best box is nearly always the one that refining all leads to."""
    results = {}
    for cap in (search_module.REFINED, 10**9):
        monkeypatch.setattr(search_module, "REFINED", cap)
        for seed in (101, 102, 104, 107, 109, 110):
            frame = scene(seed, 320, 240)
            boxes, scores = find(frame.image, centers(frame.box), views=ViewSettings())
            overlap = iou(boxes, frame.box).max()
            results.setdefault(seed, []).append((*boxes[0], scores[0], overlap))
    capped, full = np.array(list(results.values())).swapaxes(0, 1)
    assert (capped[:, :5] == full[:, :5]).all(axis=1).sum() >= 5
    assert (capped[:, 4] >= 0.8 * full[:, 4]).all()
    assert capped[:, 5].mean() >= full[:, 5].mean() - 0.1


@both
def test_boxes_are_judged_in_the_view_that_they_were_found_in(search):
    """What no view is searched for, or two are, would be missing or count twice."""
    target = scene(2, 640, 480)
    frame = ViewedFrame.of(target.image, centers(target.box), ViewSettings())
    assert len(frame.views) == 3
    chosen = settings_of(search, min_box_area_px=64)
    views_with_boxes = 0
    for i in range(len(frame.views)):
        boxes, _ = near_module._boxes_in_view(frame, i, chosen)
        assert (frame.view_of(boxes) == i).all()
        views_with_boxes += len(boxes) > 0
    assert views_with_boxes == 3
    boxes, _ = edge_boxes_near(frame, chosen)
    sides = np.sqrt(boxes[:, 2:].prod(axis=1))
    assert sides.max() / sides.min() > 5
    assert iou(boxes, target.box).max() > 0.6


def test_context_views_find_small_and_large_targets():
    """In the whole frame at the same working side, the small ones have no window."""
    found = {"context": [], "frame": []}
    for seed, size in [(11, 0.04), (12, 0.04), (13, 0.05), (14, 0.3), (15, 0.5)]:
        settings_ = SceneSettings(
            width=480, height=360, frames=2, min_size=size, max_size=size * 1.05
        )
        target = build_scene(settings_, (seed, 0)).render(1)
        for kind, best in found.items():
            views = ViewSettings(kind=kind, working_side=160)
            chosen = EdgeBoxSettings(min_box_area_px=36)
            boxes, _ = find(target.image, centers(target.box), chosen, views)
            best.append(iou(boxes, target.box).max(initial=0))
    context, whole = (np.array(found[kind]) for kind in ("context", "frame"))
    assert context.min() > 0.35 and context.mean() > whole.mean() + 0.1
