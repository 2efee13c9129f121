"""Stages `pseudo_boxes` and `box_quality`: boxes between sparse ones, and how good they are."""

from typing import Annotated, Literal

from pydantic import Field

from socl_pipeline.settings.section import Name, OwnName, Section


class TrackedBoxSettings(Section):
    """Boxes by a tracker that starts on each sparse box (paper 3.3).

    Without the options `ends`, `prior`, `centre` and `smooth_scale` this is the paper's scheme.
    """

    kind: Literal["track"]
    tracker: Name = Field(description="A name in `trackers`.")
    failure_distance: float = Field(
        20.0,
        gt=0,
        description="Pixels between the tracker's centre and the click beyond which it has failed "
        "and is moved there (paper 3.3); lost in print, our choice: 20, the centre error that "
        "OTB's precision counts as a hit.",
    )
    ends: Literal["forward", "both"] = Field(
        "forward",
        description="both: also track backwards from the next sparse box and take the mean of the "
        "two, each the heavier the nearer its own box is and the surer it is.",
    )
    prior: Literal["none", "click"] = Field(
        "none", description="click: the tracker searches each frame around its click."
    )
    centre: Literal["tracker", "click"] = Field(
        "tracker", description="Whose centre a box gets; its size is the tracker's."
    )
    smooth_scale: float = Field(
        0.0,
        ge=0,
        description="Smooth the logarithms of w and h between sparse boxes, which stay as they "
        "are: standard deviation of the Gaussian in frames; 0: not.",
    )


class InterpolatedBoxSettings(Section):
    """Boxes whose w, h are interpolated between the sparse boxes: a control without a tracker."""

    kind: Literal["interpolate"]
    centre: Literal["linear", "click"] = Field(
        "linear", description="Where the boxes are: between the sparse ones, or at the clicks."
    )


PseudoBoxSettings = Annotated[
    TrackedBoxSettings | InterpolatedBoxSettings, Field(discriminator="kind")
]


class BoxQualitySettings(Section):
    """Stage `box_quality`."""

    control: OwnName | None = Field(
        None,
        description="The entry of `pseudo_boxes` that the others are compared with; none: the "
        "first of kind interpolate.",
    )
    examples: int = Field(4, ge=1, description="Best and worst frames shown of each entry.")
