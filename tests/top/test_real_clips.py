"""On real video, TOP maps say more about a target's box than the best square of one size."""

import os
from pathlib import Path

import numpy as np
import pytest

from socl_pipeline.boxes import centers, iou
from socl_pipeline.datasets.images import read_image
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.settings import ProposalSettings, TopMapSettings, ViewSettings
from socl_pipeline.top.edgeboxes.near import edge_boxes_near
from socl_pipeline.top.evaluation import best_level, best_square, level_set_boxes
from socl_pipeline.top.objectness.model import load_objectness
from socl_pipeline.top.scoring import FrameScorer
from socl_pipeline.top.views import ViewedFrame
from socl_pipeline.top.windows import window_templates

DATA = os.environ.get("SOCL_TEST_DATA")
MANIFEST = Path(__file__).parents[2] / "data_manifests/got10k.yaml"
FRAME = 10  # one frame of each clip


@pytest.mark.skipif(DATA is None, reason="SOCL_TEST_DATA is unset")
def test_top_maps_beat_the_best_square_on_real_clips() -> None:
    clips = Dataset(load_manifest(MANIFEST), Path(str(DATA)) / "data/clips", "train")
    proposals = ProposalSettings()
    templates = window_templates(proposals.random)
    scorer = FrameScorer(templates, load_objectness(), TopMapSettings())
    boxes, truths, points, sizes = [], [], [], []
    for name in clips.names():
        video = clips.read(name)
        truth, image = video.boxes[FRAME], read_image(video.frames[FRAME])
        point = centers(truth)
        frame = ViewedFrame.of(image, point, ViewSettings())
        near, _ = edge_boxes_near(frame, proposals.edgeboxes)
        kept, scores = scorer.kept_boxes(frame, near)
        boxes.append(level_set_boxes(kept, scores, video.width, video.height))
        truths.append(truth)
        points.append(point)
        sizes.append((video.width, video.height))
    truth_boxes = np.stack(truths)
    _, ours = best_level(iou(np.stack(boxes), truth_boxes[:, None]))
    square = best_square(np.stack(points), np.array(sizes), truth_boxes).mean_iou
    assert ours > square, f"TOP {ours:.3f}, best square {square:.3f}"
