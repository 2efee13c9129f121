"""The priors that the benchmarks compare, each as a function of a decoded image and a click."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from socl_pipeline.boxes import centers
from socl_pipeline.datasets.images import read_image
from socl_pipeline.presets import PRESETS
from socl_pipeline.settings import ProposalSettings, TopMapSettings, ViewSettings
from socl_pipeline.top.edgeboxes.near import edge_boxes_near
from socl_pipeline.top.objectness.model import ObjectnessModel, load_objectness
from socl_pipeline.top.objectness.release import read_release
from socl_pipeline.top.priors import ScoredBoxes
from socl_pipeline.top.scoring import FrameScorer
from socl_pipeline.top.views import ViewedFrame
from socl_pipeline.top.windows import window_templates

Prior = Callable[[Path, np.ndarray], ScoredBoxes]


class Sections(NamedTuple):
    """The sections of a config that decide the boxes of a frame."""

    views: ViewSettings
    proposals: ProposalSettings
    top_maps: TopMapSettings

    @classmethod
    def of_preset(cls, name: str) -> "Sections":
        """Return the sections that a preset stands for."""
        raw = PRESETS[name]
        return cls(
            ViewSettings(**raw.get("views", {})),
            ProposalSettings(**raw.get("proposals", {})),
            TopMapSettings(**raw.get("top_maps", {})),
        )


def quality_priors(release: Path) -> dict[str, Prior]:
    """Return the priors by name; release: folder of the objectness release with its tables."""
    strict = "paper_strict"
    return {
        "default": top_prior("default"),
        "fast": top_prior("fast"),
        strict: top_prior(strict),
        f"{strict}, released tables": top_prior(strict, read_release(release, "as_shipped")),
    }


def top_prior(preset: str, model: ObjectnessModel | None = None) -> Prior:
    """Return the TOP prior of a preset. model: its tables; None: the shipped ones."""
    views, proposals, settings = Sections.of_preset(preset)
    model = model or load_objectness(None, views.kind)
    scorer = FrameScorer(window_templates(proposals.random), model, settings)
    search = proposals.edgeboxes

    def scored(path: Path, point: np.ndarray) -> ScoredBoxes:
        frame = ViewedFrame.of(decoded(path), point, views)
        if search.search == "local":
            return scorer.kept_boxes(frame, edge_boxes_near(frame, search)[0])
        boxes = whole_frame_boxes(path, views, search)
        near = np.linalg.norm(centers(boxes) - point, axis=1) <= search.radius_px
        return scorer.kept_boxes(frame, boxes[near])

    return scored


@lru_cache(maxsize=1)
def decoded(path: Path) -> np.ndarray:
    """Return an image (H, W, 3), decoded once for all its clicks."""
    return read_image(path)


@lru_cache(maxsize=1)
def whole_frame_boxes(path: Path, views: ViewSettings, search: object) -> np.ndarray:
    """Return OpenCV's EdgeBoxes (n, 4) of a whole image, which are the same for all its clicks."""
    everywhere = search.model_copy(update={"radius_px": np.inf})
    return edge_boxes_near(ViewedFrame.of(decoded(path), np.zeros(2), views), everywhere)[0]
