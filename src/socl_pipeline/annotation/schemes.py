"""The three ways to annotate a dataset, and what each costs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from socl_pipeline.errors import InputError
from socl_pipeline.settings.costs import CostSettings

Scheme = Literal["boxes", "points", "mixed"]
LABELS: dict[Scheme, str] = {
    "boxes": "boxes",
    "points": "points",
    "mixed": "points and sparse boxes",
}


@dataclass(frozen=True)
class SchemeCost:
    """What annotating a dataset takes by one scheme.

    clicks, boxes: how many of each. annotator_hours: of people; computer_hours: of TOP maps and of
    the tracker between sparse boxes, which the paper adds to them. annotation_fee, training_fee:
    in the currency of the settings; training is None where its hours are not known.
    """

    scheme: Scheme
    frames: int
    clicks: int
    boxes: int
    annotator_hours: float
    computer_hours: float
    annotation_fee: float
    training_fee: float | None

    @property
    def hours(self) -> float:
        """Hours of people and computers, as the paper counts them."""
        return self.annotator_hours + self.computer_hours

    @property
    def seconds_per_frame(self) -> float:
        """Seconds of people and computers a frame."""
        return 3600 * self.hours / self.frames

    @property
    def total_fee(self) -> float:
        """Annotation and, where it is known, training."""
        return self.annotation_fee + (self.training_fee or 0.0)

    def plain(self) -> dict[str, Any]:
        """Return all figures as JSON has them."""
        derived = ("hours", "seconds_per_frame", "total_fee")
        return asdict(self) | {name: getattr(self, name) for name in derived}


def scheme_cost(
    scheme: Scheme, frames: int, sparse_boxes: int, settings: CostSettings
) -> SchemeCost:
    """Return what annotating so many frames costs.

    sparse_boxes: frames that scheme `mixed` draws a box on, instead of a click. Raises InputError
    for no frames, or more sparse boxes than frames.
    """
    if frames < 1 or not 0 <= sparse_boxes <= frames:
        raise InputError(
            f"{frames} frames, {sparse_boxes} of them with a box, cannot be priced: give "
            "at least one frame, and no more boxes than frames."
        )
    boxes = {"boxes": frames, "points": 0, "mixed": sparse_boxes}[scheme]
    clicks = frames - boxes
    people = clicks * settings.click_seconds + boxes * (
        settings.box_seconds + settings.verify_seconds
    )
    tracked = frames if scheme == "mixed" else 0
    computer = clicks * settings.top_seconds + tracked * settings.tracking_seconds
    pieces = clicks * settings.click_fee + boxes * settings.box_fee
    return SchemeCost(
        scheme=scheme,
        frames=frames,
        clicks=clicks,
        boxes=boxes,
        annotator_hours=people / 3600,
        computer_hours=computer / 3600,
        annotation_fee=pieces if settings.wage is None else settings.wage * people / 3600,
        training_fee=_training_fee(scheme, settings),
    )


def all_schemes(frames: int, sparse_boxes: int, settings: CostSettings) -> list[SchemeCost]:
    """Return the cost of every scheme, as `scheme_cost`."""
    return [scheme_cost(s, frames, sparse_boxes, settings) for s in get_args(Scheme)]


def cost_text(costs: Sequence[SchemeCost], settings: CostSettings) -> str:
    """Return the costs as an aligned table, and below it the prices that they rest on."""
    money = settings.currency
    header = ["", "s/frame", "people h", "computer h", "hours"]
    header += [f"annotation {money}", f"training {money}", f"total {money}"]
    cells = zip(costs, cost_cells(costs), strict=True)
    rows = [header, *((LABELS[cost.scheme], *texts) for cost, texts in cells)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]
    mixed = next((c for c in costs if c.scheme == "mixed"), None)
    sparse = f", {mixed.boxes:,} of them with a sparse box" if mixed else ""
    lines += ["", f"{costs[0].frames:,} frames{sparse}. {prices_text(settings)}"]
    return "\n".join(lines)


def cost_cells(costs: Sequence[SchemeCost]) -> list[tuple[str, ...]]:
    """Return what is shown of each cost: seconds a frame, three kinds of hours, and three fees.

    Hours of people, of computers and of both have two decimals, from 100 h on one. Where the hours
    of training are not known, its fee is `?` and the total a lower bound.
    """
    decimals = 1 if max(cost.hours for cost in costs) >= 100 else 2
    return [_cells(cost, decimals) for cost in costs]


def _cells(cost: SchemeCost, decimals: int) -> tuple[str, ...]:
    known = cost.training_fee is not None
    return (
        f"{cost.seconds_per_frame:.2f}",
        *(f"{v:,.{decimals}f}" for v in (cost.annotator_hours, cost.computer_hours, cost.hours)),
        f"{cost.annotation_fee:,.2f}",
        f"{cost.training_fee:,.2f}" if known else "?",
        ("" if known else "> ") + f"{cost.total_fee:,.2f}",
    )


def prices_text(settings: CostSettings) -> str:
    """Return the unit prices as sentences; `costs` of the config has them."""
    s, money = settings, settings.currency
    verified = f" and {s.verify_seconds:g} s to check it" if s.verify_seconds else ""
    fees = (
        f"{money}{s.wage:g} an hour of annotation"
        if s.wage is not None
        else f"{money}{s.box_fee:g} a box, {money}{s.click_fee:g} a click"
    )
    boxes, points, both = (
        "?" if h is None else f"{h:g} h"
        for h in (s.box_training_hours, s.click_training_hours, s.mixed_training_hours)
    )
    trainings = f"{boxes} on boxes, {points} on points, {both} on both"
    return (
        f"{s.box_seconds:g} s a box{verified}, {s.click_seconds:g} s a click, {s.top_seconds:g} s "
        f"its TOP map, {s.tracking_seconds:g} s the tracker between sparse boxes; {fees}, "
        f"{money}{s.gpu_hour_fee:g} an hour of a GPU; training is taken to last {trainings}, "
        "however many the frames (section `costs` of the config)."
    )


def _training_fee(scheme: Scheme, settings: CostSettings) -> float | None:
    hours = {
        "boxes": settings.box_training_hours,
        "points": settings.click_training_hours,
        "mixed": settings.mixed_training_hours,
    }[scheme]
    return None if hours is None else hours * settings.gpu_hour_fee
