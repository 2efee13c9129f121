"""Does the chosen prior beat a Gaussian at the click? The report's test on the sparse boxes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from socl_pipeline.annotation.table import true_boxes, video_codes
from socl_pipeline.boxes import centers, iou
from socl_pipeline.settings.top import PSEUDO
from socl_pipeline.statistics import Estimate
from socl_pipeline.top.evaluation import (
    LEVELS,
    SquarePrior,
    area_precision,
    best_level,
    best_square,
    level_set_boxes,
    square_precision,
    weighted_center,
)
from socl_pipeline.top.store.store import TopStore

Float = NDArray[np.floating]
Verdict = Literal["better", "worse", "open"]

MOST_BOXES_TESTED = 2000  # spread over the dataset: the means are then good to about 0.01
EXACT_PX = 0.01  # mean click error; float32 clicks at box centres stay far below it
NAMES = {"top": "TOP", "gaussian": "The Gaussian prior", "boxes": "The prior of true boxes"}
REMARKS = {
    "gaussian": "The prior is itself a Gaussian (top_maps.gaussian_sigma).",
    "boxes": "The prior is the true boxes themselves: no test, but the upper bound of any prior.",
}


@dataclass(frozen=True)
class Measure:
    """One measure of the prior and of the Gaussian, and their difference, prior - Gaussian."""

    name: str
    unit: Literal["", "px"]
    higher_is_better: bool
    prior: Estimate
    gaussian: Estimate
    difference: Estimate

    @classmethod
    def of(
        cls,
        name: str,
        prior: Float,
        gaussian: Float,
        videos: NDArray[np.integer],
        *,
        unit: Literal["", "px"] = "",
        higher_is_better: bool = True,
    ) -> "Measure":
        """Compare values (n,) of the prior and of the Gaussian on the same n frames."""
        estimates = (Estimate.of(v, videos) for v in (prior, gaussian, prior - gaussian))
        return cls(name, unit, higher_is_better, *estimates)

    @property
    def verdict(self) -> Verdict:
        """How the prior does: open if the interval of the difference holds 0, or there is none."""
        if not self.difference.excludes_zero:
            return "open"
        return "better" if (self.difference.mean > 0) == self.higher_is_better else "worse"


@dataclass(frozen=True)
class PriorTest:
    """The chosen prior against a Gaussian at the click, on n of `available` boxes.

    prior: the setting `top_maps.prior`. videos: how many the boxes are of. level: the f of the
    level sets that overlap best. square: the best level set of the Gaussian. better: the share of
    boxes on which the prior overlaps more. measures: overlap, shape and, last, centre error.
    """

    prior: str
    n: int
    available: int
    videos: int
    level: float
    square: SquarePrior
    better: float
    measures: tuple[Measure, ...]

    @property
    def name(self) -> str:
        """What the report calls the prior."""
        if self.prior.startswith(PSEUDO):
            return f"The prior of pseudo boxes ({self.prior.removeprefix(PSEUDO)})"
        return NAMES.get(self.prior, self.prior)

    @property
    def remark(self) -> str:
        """What must be known of a prior that is not a guess from the image."""
        return REMARKS.get(self.prior, "")

    @property
    def sentence(self) -> str:
        """Who wins, and how sure that is."""
        if self.prior == "gaussian":
            return (
                "Neither can win: the prior's level is fitted here as the control's size is, so "
                "that little more than the rounding of its boxes differs."
            )
        if self.videos == 1:
            return (
                "All boxes are of one video, which says nothing about others: there are no "
                "intervals, and who wins is open."
            )
        named: dict[Verdict, str] = {
            v: _listed([m.name for m in self.measures if m.verdict == v])
            for v in ("better", "worse", "open")
        }
        decided = [
            f"beats the Gaussian in {named['better']}" if named["better"] else "",
            f"loses to it in {named['worse']}" if named["worse"] else "",
        ]
        parts = [
            f"{self.name} {' and '.join(filter(None, decided))}: the interval of the difference "
            "excludes 0."
            if any(decided)
            else "",
            f"Who wins in {named['open']} is open: the interval holds 0." if named["open"] else "",
        ]
        exact = self.measures[-1].gaussian.mean < EXACT_PX
        parts.append("No prior can win in centre error here: clicks are at box centres." * exact)
        return " ".join(filter(None, parts))


def compare_with_gaussian(table: pa.Table, store: TopStore, prior: str) -> PriorTest | None:
    """Measure a store's prior and a Gaussian on the sparse boxes; None if there are none.

    table: the points table. prior: the setting that made the store. Intervals are over videos.
    """
    boxes = true_boxes(table)
    rows = np.flatnonzero(~np.isnan(boxes[:, 0]) & (store.column("count") > 0))
    if not len(rows):
        return None
    tested = rows[spread(len(rows), MOST_BOXES_TESTED)]
    points = np.stack([table[c].to_numpy() for c in ("x", "y")], axis=1)[tested]
    sizes = np.stack([table[c].to_numpy() for c in ("width", "height")], axis=1)[tested]
    truth, videos = boxes[tested], video_codes(table)[tested]
    level_sets, precision, middles = _measured(store, tested, truth)
    ious = iou(level_sets, truth[:, None])
    level, _ = best_level(ious)
    square = best_square(points, sizes, truth)
    true_centers = centers(truth)
    errors, click_errors = (
        np.linalg.norm(found - true_centers, axis=1) for found in (middles, points)
    )
    return PriorTest(
        prior=prior,
        n=len(tested),
        available=len(rows),
        videos=len(np.unique(videos)),
        level=float(LEVELS[level]),
        square=square,
        better=float((ious[:, level] > square.ious).mean()),
        measures=(
            Measure.of("box IoU", ious[:, level], square.ious, videos),
            Measure.of("area precision", precision, square_precision(points, sizes, truth), videos),
            Measure.of(
                "centre error", errors, click_errors, videos, unit="px", higher_is_better=False
            ),
        ),
    )


def spread(n: int, most: int) -> NDArray[np.intp]:
    """Return at most `most` indices below n, evenly spread."""
    count = min(n, most)
    return np.asarray((np.arange(count) * n) // max(count, 1), np.intp)


def _measured(store: TopStore, rows: NDArray[np.intp], truth: Float) -> tuple[Float, Float, Float]:
    """Return the level-set boxes (n, levels, 4), area precisions (n,) and centres (n, 2) of rows.

    truth: (n, 4) their true boxes.
    """
    found = [
        (
            level_set_boxes(boxes, scores, width, height),
            area_precision(boxes, scores, box, width, height),
            weighted_center(boxes, scores),
        )
        for (boxes, scores, (width, height)), box in zip(_kept(store, rows), truth, strict=True)
    ]
    level_sets, precision, middles = zip(*found, strict=True)
    return np.stack(level_sets), np.array(precision), np.stack(middles)


def _kept(
    store: TopStore, rows: NDArray[np.intp]
) -> Iterator[tuple[Float, Float, NDArray[np.integer]]]:
    """Yield boxes, scores and frame size of ascending rows; each shard is read once."""
    for start, stop in store.shards:
        if not ((rows >= start) & (rows < stop)).any():
            continue
        top = store.rows(start, stop, maps=False)
        for i in rows[(rows >= start) & (rows < stop)] - start:
            kept = slice(0, int(top.count[i]))
            boxes, scores = top.boxes[i, kept].astype(np.float64), top.scores[i, kept]
            yield boxes, scores.astype(np.float64), top.sizes[i]


def _listed(names: Sequence[str]) -> str:
    """Return names as in a sentence: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
