"""A TransT that is trained on boxes."""

from typing import Literal

from pydantic import Field, model_validator

from socl_pipeline.settings.section import Section
from socl_pipeline.settings.training import ModelSettings
from socl_pipeline.settings.transt import TrunkName

SMALLEST_PX = 32  # of a patch: 4 x 4 cells; in fewer nearly all of the search patch is target


class TransTShapeSettings(Section):
    """The size of the fusion network; the published one by default."""

    width: int = Field(256, ge=4, multiple_of=4, description="Channels of a token.")
    heads: int = Field(8, ge=1, description="Of each attention; they divide the width.")
    layers: int = Field(4, ge=0, description="Of ego-context and cross-feature augment.")
    feedforward: int = Field(2048, ge=1, description="Hidden units behind a cross attention.")
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _divisible(self) -> "TransTShapeSettings":
        if self.width % self.heads:
            raise ValueError(f"heads must divide width, {self.width}")
        return self


class TransTAugmentSettings(Section):
    """Random changes of a pair, by default as published; templates change in colour only."""

    centre: float = Field(
        1.5,
        ge=0,
        lt=2,
        description="Centre of the search patch, each axis U(-c, c) mean sides of the target off "
        "it; from 2 on the target's centre could leave the patch.",
    )
    size: float = Field(
        0.25, ge=0, description="The patch fits a target of w, h times exp(s N(0, 1)) each."
    )
    brightness: float = Field(0.2, ge=0, lt=1, description="U(1-b, 1+b), of each frame.")
    grey: float = Field(0.05, ge=0, le=1, description="Probability of a grey pair.")
    recolour: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Probability that a pair's colour channels change places, half of these "
        "inverted: other objects, where there are few videos (ours).",
    )


class TransTLossSettings(Section):
    """Factors of the loss's terms, as published."""

    ce: float = Field(8.334, ge=0, description="Cross entropy of all cells.")
    l1: float = Field(5.0, ge=0, description="L1 distance of the positive cells' boxes.")
    giou: float = Field(2.0, ge=0, description="1 - GIoU of the positive cells' boxes.")
    background: float = Field(
        0.0625, gt=0, description="Of a background cell in the cross entropy."
    )


class TransTModelSettings(ModelSettings):
    """A TransT trained on boxes: what they are says `top_maps.prior`, as for kind bce.

    The schedule is that of TransT-GOT, trained on GOT-10k alone (its authors: 500 epochs, twice
    the rates of TransT, decay at 250). An epoch there has 38,000 pairs, as have here those of
    GOT-10k's 9,335 videos with four pairs of each, nearly: 509 epochs with the decay at 255.
    """

    kind: Literal["transt"]
    backbone: TrunkName = Field(  # type: ignore[assignment]
        "resnet50", description="The trunk, at stride 8."
    )
    template: int = Field(128, ge=SMALLEST_PX, multiple_of=8, description="Template in pixels.")
    window: int = Field(256, ge=SMALLEST_PX, multiple_of=8, description="Search patch in pixels.")
    shape: TransTShapeSettings = TransTShapeSettings()
    loss: TransTLossSettings = TransTLossSettings()
    augment: TransTAugmentSettings = TransTAugmentSettings()  # type: ignore[assignment]
    box_threshold: float = Field(
        0.3, gt=0, le=1, description="As of kind bce, where patches have more than one scored box."
    )
    videos_per_batch: int = Field(38, ge=2, description="Pairs in a batch (TransT: 38).")
    pairs_per_video: int = Field(1, ge=1, description="In an epoch; a batch may have several.")
    epochs: int = Field(500, gt=0, description="Each of `pairs_per_video` pairs a video.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adamw", description="TransT.")
    lr: float = Field(2e-4, gt=0, description="TransT-GOT; TransT: 1e-4.")
    trunk_lr: float = Field(2e-5, gt=0, description="Of the trunk, at the start; TransT: 1e-5.")
    lr_decay_epochs: tuple[int, ...] = Field(
        (250,), description="Epochs at which both rates are cut by 10."
    )
    weight_decay: float = Field(1e-4, ge=0, description="TransT.")
