"""The prior of a run: from a row of the points table to scored boxes, whatever makes them."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from socl_pipeline.annotation.table import FrameRow
from socl_pipeline.boxes import FloatArray, clip_boxes
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pseudo_boxes.table import read_video_boxes
from socl_pipeline.top.edgeboxes.near import edge_boxes_near
from socl_pipeline.top.objectness.model import load_objectness
from socl_pipeline.top.priors import FrameInfo, Prior, ScoredBoxes, load_prior
from socl_pipeline.top.proposals import read_edge_boxes, read_templates
from socl_pipeline.top.scoring import FrameScorer
from socl_pipeline.top.views import ViewedFrame

logger = logging.getLogger(__name__)

FramePrior = Callable[[int, FrameRow], ScoredBoxes]


def frame_prior(job: Job, start: int = 0, stop: int = 0) -> FramePrior:
    """Return the prior that the job's config names, for the rows start to stop - 1.

    It is a function of a row and its number. Raises InputError if the prior needs a file or a
    function that is not there; the function raises InputError for a frame that it cannot use, and
    returns no box for one that is to be left out.
    """
    settings = job.config.top_maps
    if settings.prior == "top":
        return _TopPrior(job, start, stop)
    if settings.pseudo_boxes is not None:
        return _PseudoBoxes(job.input("pseudo_boxes").resolve())
    prior = load_prior(settings)
    return _BoxedFrames(job, prior) if settings.prior == "boxes" else _unboxed(prior)


def warn_of_other_views(job: Job) -> None:
    """Warn if a user's objectness tables were fitted in other views than the config's.

    Cues are counted in pixels of a view and taken against its surroundings, so the tables then
    say less about them. Tables that do not name their views, as the release's, are let pass, and
    so are the shipped ones: there are some for each kind, and how far they carry is measured.
    """
    views, path = job.config.views, job.config.top_maps.objectness
    if job.config.top_maps.prior != "top" or path is None:
        return
    provenance = load_objectness(path, views.kind).provenance
    fitted = {"kind": provenance.get("views"), "working_side": provenance.get("working_side")}
    for key, value in fitted.items():
        if value not in (None, getattr(views, key)):
            logger.warning(
                "%s: fitted with views.%s: %s, but the config has %s, so scores are less reliable; "
                "take the views of the tables, or fit others with `socl fit-objectness`",
                path,
                key,
                value,
                getattr(views, key),
            )


def warm_up(job: Job) -> None:
    """Compile what scores frames, into numba's cache on disk, before many workers each do it."""
    if job.config.top_maps.prior == "top":
        # large views need other kernels than small ones; only those of whole frames are large
        side = 96 if job.config.views.kind == "context" else 480
        image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        frame = ViewedFrame.of(image, np.full(2, side / 2), job.config.views)
        _TopPrior(job, 0, 0).scorer.kept_boxes(
            frame, edge_boxes_near(frame, job.config.proposals.edgeboxes)[0]
        )


class _TopPrior:
    """Objectness of EdgeBoxes and random windows (paper 3.1).

    EdgeBoxes of the whole frame were stored by stage `proposals`; those of the local search are
    found here, where the frame is decoded anyway.
    """

    def __init__(self, job: Job, start: int, stop: int) -> None:
        settings, self.views = job.config.top_maps, job.config.views
        model = load_objectness(settings.objectness, self.views.kind)
        folder = job.input("proposals").resolve()
        self.scorer = FrameScorer(read_templates(folder), model, settings)
        self.search = job.config.proposals.edgeboxes
        stored = self.search.search == "opencv"
        self.start = start
        self.stored = read_edge_boxes(folder, start, stop) if stored else None

    def __call__(self, number: int, row: FrameRow) -> ScoredBoxes:
        problem = self.stored and self.stored[number - self.start].problem
        if problem:
            raise InputError(problem)
        frame = ViewedFrame.read(row, self.views)
        if self.stored is not None:
            return self.scorer.kept_boxes(frame, self.stored[number - self.start].boxes)
        boxes, _ = edge_boxes_near(frame, self.search)
        return self.scorer.kept_boxes(frame, boxes)


def _unboxed(prior: Prior) -> FramePrior:
    def scored(number: int, row: FrameRow) -> ScoredBoxes:
        return prior(row.read(), row.point, FrameInfo(row.video, row.frame))

    return scored


class _PseudoBoxes:
    """Boxes of stage `pseudo_boxes`, each with score 1; none where there is none in the frame."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.video = ""
        self.boxes: dict[int, FloatArray] = {}

    def __call__(self, number: int, row: FrameRow) -> ScoredBoxes:
        height, width = row.read().shape[:2]  # a broken frame is found here, as with other priors
        if row.video != self.video:
            self.video, self.boxes = row.video, read_video_boxes(self.path, row.video)
        found = self.boxes.get(row.frame, np.empty((0, 4)))
        boxes = clip_boxes(found.reshape(-1, 4), width, height)
        boxes = boxes[boxes[:, 2:].min(axis=1, initial=np.inf) > 0]
        return boxes, np.ones(len(boxes))


class _BoxedFrames:
    """A prior that may see the dataset's own boxes; a video's are read once for its frames."""

    def __init__(self, job: Job, prior: Prior) -> None:
        self.dataset, self.prior = job.dataset, prior
        self.video = ""
        self.boxes: FloatArray | None = None

    def __call__(self, number: int, row: FrameRow) -> ScoredBoxes:
        if row.video != self.video:
            self.video, self.boxes = row.video, self.dataset.read(row.video).boxes
        box = None if self.boxes is None else self.boxes[row.frame]
        return self.prior(row.read(), row.point, FrameInfo(row.video, row.frame, box))
