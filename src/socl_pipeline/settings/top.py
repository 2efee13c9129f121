"""Stages `proposals` and `top_maps`: where windows are searched, and how they are judged."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from socl_pipeline.settings.section import Section

PSEUDO = "pseudo_boxes/"  # what the name of a prior of pseudo boxes begins with
_PRIOR = r"^(top|gaussian|boxes|pseudo_boxes/[a-z0-9]+(_[a-z0-9]+)*|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$"


class ViewSettings(Section):
    """Where windows are searched and judged: nested crops around the click, or the whole frame."""

    kind: Literal["context", "frame"] = Field(
        "context",
        description="context: each window in a crop a few times its size, so that targets of all "
        "sizes are judged alike (our choice); frame: in the whole frame, as in the paper.",
    )
    working_side: int | Literal["full"] = Field(
        160, description="Long side in pixels that a view is resized to; full: not resized."
    )
    context: float = Field(
        3.5, ge=2, description="A view is at least this many times as wide as its windows."
    )
    ratio: float = Field(3.0, gt=1, description="Between the sides of neighbouring views.")
    max_zoom: float = Field(2.0, ge=1, description="A small crop is enlarged no more than this.")
    detail: int = Field(
        960,
        ge=64,
        description="Of kind context: a JPEG is decoded at 1/2, 1/4 or 1/8 of its size if its long "
        "side stays at least this many pixels.",
    )
    min_side_px: float = Field(
        8.0, gt=0, description="Smallest window: root of the area, original pixels; our choice."
    )

    @model_validator(mode="after")
    def _reasonable(self) -> "ViewSettings":
        if self.working_side != "full" and self.working_side < 64:
            raise ValueError("working_side must be full or at least 64")
        if self.working_side == "full" and self.kind == "context":
            raise ValueError("working_side: full goes with kind: frame")
        return self

    @property
    def read_side(self) -> int | None:
        """The long side in pixels that a frame must keep when it is read; None: all of it."""
        if self.kind == "context":
            return self.detail
        return None if self.working_side == "full" else self.working_side

    def zoom(self, side: float) -> float:
        """Return view pixels per image pixel of a crop of so many image pixels."""
        if self.working_side == "full":
            return 1.0
        return min(self.working_side / side, self.max_zoom if self.kind == "context" else 1.0)


class RandomWindowSettings(Section):
    """Windows centred at the click; the paper names 5,000 and no distribution."""

    count: int = Field(5000, gt=0, description="Paper 3.1.")
    max_aspect: float = Field(3.0, ge=1, description="Log-uniform in [1/a, a]; our choice.")
    seed: int = Field(0, ge=0)


class EdgeBoxSettings(Section):
    """EdgeBoxes (Zitnick and Dollar 2014), with OpenCV's parameter names and defaults."""

    search: Literal["local", "opencv"] = Field(
        "local",
        description="Windows around the click only (our choice: faster, and more of them near it), "
        "or OpenCV's search of the whole frame, as in the paper.",
    )
    model: Path | None = Field(
        None,
        description="A structured forest of yours (model.yml.gz) to find edges with; none: "
        "smoothed colour gradient.",
    )
    max_boxes: int = Field(1000, ge=0, description="Paper 3.1: 1,000 per frame; 0 turns it off.")
    radius_px: float = Field(30.0, gt=0, description="Paper 3.1: kept within 30 px of the click.")
    radius_sides: float = Field(
        1.0,
        gt=0,
        description="Of search local: nor farther than so many of the box's own sides; 30 px is "
        "many times the size of a drone's target. Our choice.",
    )
    alpha: float = Field(0.65, gt=0, lt=1)
    beta: float = Field(0.75, gt=0, le=1)
    min_score: float = Field(0.01, ge=0)
    min_box_area_px: float = Field(
        64.0,
        gt=0,
        description="In original pixels; OpenCV's default of 1000 is larger than a drone's target.",
    )


class ProposalSettings(Section):
    """Stage `proposals`."""

    random: RandomWindowSettings = RandomWindowSettings()
    edgeboxes: EdgeBoxSettings = EdgeBoxSettings()
    shard_frames: int = Field(
        1024,
        gt=0,
        description="Frames to a file: the unit of a task and a restart. Changing it reruns "
        "nothing; a folder that is half built keeps its own.",
    )


class TopMapSettings(Section):
    """Stage `top_maps`: objectness of the proposals, and the boxes that make the TOP map."""

    prior: str = Field(
        "top",
        json_schema_extra={"pattern": _PRIOR},
        description="Where the scored boxes come from: top (the paper), gaussian (control), boxes "
        "(upper bound, Box-Siam), pseudo_boxes/NAME (an entry of `pseudo_boxes`; frames without a "
        "box are left out), or package.module:function of your own; see docs/method.md.",
    )
    gaussian_sigma: float = Field(
        0.1, gt=0, description="Of prior gaussian: over the root of the frame's area."
    )
    objectness: Path | None = Field(
        None, description="Fitted cue tables (JSON); none: the shipped ones for the kind of view."
    )
    nms: float = Field(0.7, gt=0, le=1, description="Paper 3.1.")
    top_k: int = Field(64, gt=0, description="Paper 3.1.")
    border_loss: float = Field(
        0.1, ge=0, le=1, description="Windows losing more of their area at the border are dropped."
    )
    map_size: int = Field(
        32, gt=0, description="Side of the rendered maps; they are a sixth of the store."
    )
    map_context: float = Field(
        4.0, gt=1, description="Side of the rendered region over the extent of the kept boxes."
    )
    clip: float = Field(0.1, gt=0, le=1, description="Share clipped in the rendering (Table 10).")
    shard_frames: int = Field(
        512,
        gt=0,
        description="Frames to a file of each array: the unit of a task and a restart. "
        "Changing it reruns nothing; a store that is half built keeps its own.",
    )

    @field_validator("prior")
    @classmethod
    def _named_prior(cls, prior: str) -> str:
        if not re.fullmatch(_PRIOR, prior):
            raise ValueError(
                "expected top, gaussian, boxes, pseudo_boxes/NAME or package.module:function"
            )
        return prior

    @property
    def pseudo_boxes(self) -> str | None:
        """The entry of `pseudo_boxes` that is the prior; None for other priors."""
        return self.prior.removeprefix(PSEUDO) if self.prior.startswith(PSEUDO) else None
