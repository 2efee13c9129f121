"""Constants of the ECO tracker."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from socl_pipeline.settings.section import Section


class EcoSettings(Section):
    """Constants of ECO, by default those that public code uses with deep features on OTB.

    "OTB deep" is the Python code base pyCFTrackers (OTBDeepConfig) after the authors' Matlab code;
    where its source differs, the description says so.
    """

    hog_channels: int = Field(
        default=10, ge=0, le=31, description="Channels that HOG is projected to (ECO); 0: no HOG."
    )
    layers: dict[str, Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        description="Layers of the network, each with the channels that it is projected to; none: "
        "those of SoCL-CF, conv1: 16 and layer3: 64 of ResNet-18, or the like of another network.",
    )
    precision: Literal["float32", "bf16"] = Field(
        default="float32", description="Of the backbone; the filter is always float32."
    )

    search_area: float = Field(
        default=4.5, gt=1, description="Side of the search square over that of the object (OTB)."
    )
    least_area: float = Field(
        default=200.0**2, gt=0, description="Smallest search area in px after scaling (OTB deep)."
    )
    most_area: float = Field(
        default=250.0**2, gt=0, description="Largest search area in px after scaling (OTB deep)."
    )
    label_sigma: float = Field(
        default=1 / 8,
        gt=0,
        description="Deviation of the label over the object's side (OTB deep; Matlab: 1/12).",
    )
    scales: int = Field(default=5, ge=1, description="Search scales, odd (OTB deep).")
    scale_step: float = Field(
        default=1.02, gt=1, description="Ratio of neighbouring scales (OTB deep)."
    )

    learning_rate: float = Field(
        default=0.009, gt=0, lt=1, description="Of a new frame (Matlab OTB deep; pyCF: 0.010)."
    )
    samples: int = Field(default=50, ge=2, description="Capacity of the sample space (OTB deep).")
    train_every: int = Field(
        default=6, ge=1, description="Frames from one training to the next (OTB deep: gap 5)."
    )
    train_first: int = Field(
        default=10, ge=0, description="Frames at the start that all train (pyCF: skip_after 1)."
    )
    iterations: int = Field(
        default=5, ge=1, description="Conjugate gradient steps of a training (OTB deep)."
    )
    first_outer: int = Field(
        default=10, ge=1, description="Gauss-Newton steps in the first frame (Matlab OTB deep)."
    )
    first_inner: int = Field(
        default=15, ge=1, description="Conjugate gradient steps in each of them (Matlab OTB deep)."
    )
    forgetting: float = Field(
        default=75.0,
        ge=0,
        description="A training goes on in the direction of the one before, which counts "
        "(1 - learning_rate) to this power, about half; 0: in full (OTB deep).",
    )

    projection_penalty: float = Field(
        default=5e-8, ge=0, description="Lambda, on the projections (OTB deep)."
    )
    mix_data: float = Field(
        default=0.3, ge=0, le=1, description="Delta of the preconditioner (OTB deep)."
    )
    mix_regularisation: float = Field(
        default=0.015, gt=0, le=1, description="Rho of the preconditioner (OTB deep)."
    )
    mix_projection: float = Field(
        default=35.0, gt=0, description="Kappa of the preconditioner (OTB deep)."
    )
    window_minimum: float = Field(
        default=1e-4, gt=0, description="Least value of the spatial regulariser (OTB deep)."
    )
    window_edge: float = Field(
        default=1e-2, gt=0, description="Its value at the edge of the object (OTB deep)."
    )
    window_threshold: float = Field(
        default=0.05, ge=0, lt=1, description="Share below which its coefficients go (OTB deep)."
    )
    newton: int = Field(default=5, ge=0, description="Newton steps on the score (OTB deep).")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.scales % 2 == 0:
            raise ValueError(f"scales must be odd, not {self.scales}")
        if self.least_area > self.most_area:
            raise ValueError("least_area must not be above most_area")
        if self.layers == {} and not self.hog_channels:
            raise ValueError("there are no features: set hog_channels or layers")
        return self
