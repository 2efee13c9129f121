import numpy as np

from socl_pipeline.figures.files import figure_png
from socl_pipeline.figures.style import OKABE_ITO
from socl_pipeline.pseudo_boxes import quality_pictures
from socl_pipeline.pseudo_boxes.quality import Measured
from socl_pipeline.report.pictures import TRUTH


def entry(name, videos, shifts):
    truth = np.tile([10.0, 10, 20, 20], (len(videos), 1))
    boxes = truth + np.array(shifts)[:, None] * [1.0, 0, 0, 0]
    return Measured.of(name, videos, boxes, truth, np.zeros(len(videos), bool), 0.0, 0.0)


def test_videos_are_rows_from_best_to_worst(monkeypatch):
    videos = np.arange(4)
    entries = [entry("a", videos, [9, 1, 5, 0]), entry("b", videos, [0, 1, 2, 3])]
    draw = quality_pictures.videos_picture
    (ax,) = draw(entries, list("wxyz"), entries[0], OKABE_ITO).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["z", "x", "y", "w"]
    assert len(ax.lines) == 2
    monkeypatch.setattr(quality_pictures, "MOST_VIDEOS", 2)
    (ax,) = draw(entries, list("wxyz"), entries[0], OKABE_ITO).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["z", "w"]
    assert "the best and the worst 1 of 4" in ax.get_title()


def test_a_panel_shows_both_boxes_however_small_the_target():
    image = np.zeros((400, 600, 3), np.uint8)
    panel = quality_pictures.frame_panel(
        image, np.array([300.0, 200, 6, 6]), np.array([302.0, 204, 6, 6])
    )
    assert panel.shape == (300, 300, 3)
    assert (panel == TRUTH).all(axis=2).any()
    red, green, blue = (panel[..., i].astype(int) for i in range(3))
    assert ((red > 150) & (green > 150) & (blue < 100)).any(), "the yellow pseudo box"


def test_equal_pictures_are_equal_bytes():
    panel = np.full((30, 30, 3), 80, np.uint8)
    rows = [("worst", [("a", panel), ("b", panel)]), ("best", [("a", panel)])]
    first, second = (figure_png(quality_pictures.frames_picture("t", rows), 60) for _ in range(2))
    assert first == second
    assert figure_png(quality_pictures.frames_picture("t", [("worst", []), ("best", [])]), 60)
