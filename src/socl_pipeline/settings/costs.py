"""Unit prices of annotation and training, for `socl cost`, Table 4 and the report."""

from pydantic import Field

from socl_pipeline.annotation.cost import (
    BOX_FEE,
    BOX_SECONDS,
    BOX_TRAINING_HOURS,
    CLICK_FEE,
    CLICK_SECONDS,
    CLICK_TRAINING_HOURS,
    GPU_HOUR_FEE,
    TOP_SECONDS,
    TRACKING_SECONDS,
)
from socl_pipeline.settings.section import Section


class CostSettings(Section):
    """What a click, a box and an hour of training cost; the defaults are the paper's."""

    box_seconds: float = Field(BOX_SECONDS, gt=0, description="Of one box (paper 1).")
    verify_seconds: float = Field(
        0.0,
        ge=0,
        description="Of checking one box; 5.7 (paper 1), which the paper's sums leave out.",
    )
    click_seconds: float = Field(CLICK_SECONDS, gt=0, description="Of one click (paper 3.1).")
    top_seconds: float = Field(
        TOP_SECONDS, ge=0, description="Of one TOP map, on a computer (paper 3.1)."
    )
    tracking_seconds: float = Field(
        TRACKING_SECONDS,
        ge=0,
        description="Of the tracker between sparse boxes, a frame, on a computer (paper 3.3).",
    )
    currency: str = Field("$", description="Of all fees.")
    box_fee: float = Field(BOX_FEE, ge=0, description="For one box (paper 4.5).")
    click_fee: float = Field(CLICK_FEE, ge=0, description="For one click (paper 4.5).")
    wage: float | None = Field(
        None, gt=0, description="For an hour of annotation, instead of the fees for each piece."
    )
    gpu_hour_fee: float = Field(
        GPU_HOUR_FEE, ge=0, description="For an hour of a GPU (paper 4.5: EC2, p2.xlarge)."
    )
    box_training_hours: float = Field(
        BOX_TRAINING_HOURS, ge=0, description="Of training on boxes (paper 4.5: SiamFC, GOT-10k)."
    )
    click_training_hours: float = Field(
        CLICK_TRAINING_HOURS, ge=0, description="Of training on clicks (paper 4.5: SoCL, GOT-10k)."
    )
    mixed_training_hours: float | None = Field(
        None,
        ge=0,
        description="Of training on clicks and sparse boxes; the paper does not say, so none.",
    )
