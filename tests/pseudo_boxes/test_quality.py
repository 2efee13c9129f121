import numpy as np
import pytest

from socl_pipeline.pseudo_boxes.quality import Measured, extreme_frames
from socl_pipeline.pseudo_boxes.quality_text import quality_csv, quality_markdown, videos_csv

TRUTH = np.tile([10.0, 10, 20, 20], (4, 1))
VIDEOS = np.array([5, 5, 5, 2])


def measured(name, shift, failed=False, seconds=0.5):
    boxes = TRUTH + np.array([shift, 0, 0, 0])
    return Measured.of(name, VIDEOS, boxes, TRUTH, np.full(4, failed), seconds, 3.16)


def test_measures_of_a_known_shift():
    moved = measured("moved", 5, failed=True)
    assert moved.values["iou"] == pytest.approx(np.full(4, 15 / 25))
    assert moved.values["above_50"].tolist() == [1] * 4
    assert moved.values["above_75"].tolist() == [0] * 4
    assert moved.values["error_px"] == pytest.approx(np.full(4, 5))
    assert moved.values["failures"].mean() == 1000
    control = measured("control", 0)
    gap = moved.estimate("iou", control)
    assert (gap.mean, gap.low, gap.high) == pytest.approx((-0.4, -0.4, -0.4))


def test_means_by_video_are_ordered_by_the_videos_number():
    boxes = TRUTH.copy()
    boxes[3, 0] += 100
    entry = Measured.of("e", VIDEOS, boxes, TRUTH, np.zeros(4, bool), 0.0, 0.0)
    assert entry.by_video("iou").tolist() == [0, 1]


def test_extreme_frames_are_of_different_videos():
    values = np.array([0.1, 0.2, 0.9, 0.15, 0.3, 0.8])
    videos = np.array([0, 0, 0, 1, 1, 2])
    assert extreme_frames(values, videos, 2) == ([0, 3], [2, 5])
    assert extreme_frames(values, videos, 9) == ([0, 3, 5], [2, 5, 4])


def test_the_text_says_what_is_measured_and_compares_with_the_control():
    control, moved = measured("linear", 0, seconds=0.0), measured("moved", 5)
    text = quality_markdown("demo", [control, moved], control, boxed=3)
    assert "On 4 frames of 2 videos that have a true box and no sparse box" in text
    assert "the 3 sparse boxes are the annotation itself" in text
    assert "| moved | 0.600 | 1.000 | 0.000 | 5.00 | 0.0 | 0.500 |" in text
    assert "Differences from `linear`" in text
    assert "| moved | -0.400 [-0.400, -0.400] | +0.000 [+0.000, +0.000] |" in text
    assert "Differences" not in quality_markdown("demo", [control, moved], None, 3)
    assert "Differences" not in quality_markdown("demo", [control], control, 3)


def test_the_csv_files():
    control, moved = measured("linear", 0), measured("moved", 5)
    lines = quality_csv([control, moved], control).splitlines()
    assert lines[0] == "entry,measure,mean,low,high,control,difference,diff_low,diff_high"
    assert "linear,iou,1,1,1,,,," in lines
    assert "moved,iou,0.6,0.6,0.6,linear,-0.4,-0.4,-0.4" in lines
    assert "moved,seconds_per_frame,0.5,,,,,," in lines
    lines = videos_csv([control, moved], ["", "", "second", "", "", "fifth"]).splitlines()
    assert lines[0].startswith("video,frames,entry,iou,above_50")
    assert [line.split(",")[:4] for line in lines[1:]] == [
        ["second", "1", "linear", "1"],
        ["second", "1", "moved", "0.6"],
        ["fifth", "3", "linear", "1"],
        ["fifth", "3", "moved", "0.6"],
    ]
