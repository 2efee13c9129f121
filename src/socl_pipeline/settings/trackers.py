"""Named trackers."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from socl_pipeline.settings.eco import EcoSettings
from socl_pipeline.settings.section import Name, Section
from socl_pipeline.settings.training import BackboneName, Weights, check_published
from socl_pipeline.settings.transt import TrunkName, WeightsFile


class SiamFCTrackerSettings(Section):
    """A SiamFC tracker (constants: `trackers.siamfc`) on a trained or untrained backbone."""

    kind: Literal["siamfc"]
    model: Name | None = Field(None, description="A name in `models`; none: untrained weights.")
    backbone: BackboneName = Field("alexnet_v1", description="Of the untrained network.")
    seed: int = Field(0, ge=0, description="Of the untrained network.")
    weights: Weights = Field(
        None, description="Of the untrained network, as `weights` of a model; none: random."
    )
    normalize: Literal["none", "cell"] | None = Field(
        None,
        description="cell: features of each cell have unit length before correlation. None: what "
        "the model was trained for, cell for SoCL and untrained networks.",
    )
    precision: Literal["float32", "bf16"] = Field(
        "float32",
        description="Of the network; bf16 is faster where the processor computes in it, and moves "
        "boxes by fractions of a pixel.",
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _consistent(self) -> "SiamFCTrackerSettings":
        if self.model is not None and self.weights is not None:
            raise ValueError("weights are of an untrained network: leave out weights or model")
        check_published(self.backbone, self.weights)
        return self


class OpenCVTrackerSettings(Section):
    """One of OpenCV's trackers."""

    kind: Literal["opencv"]
    name: Literal["csrt", "kcf"]


class EcoTrackerSettings(EcoSettings):
    """An ECO correlation-filter tracker: HOG, layers of a network, or both (SoCL-CF)."""

    kind: Literal["eco"]
    model: Name | None = Field(
        None, description="A name in `models`; none: the network that `backbone` names, if any."
    )
    backbone: BackboneName | None = Field(
        None, description="A network that is not trained here; none and no model: HOG only."
    )
    seed: int = Field(0, ge=0, description="Of the untrained network.")
    weights: Weights = Field(
        None, description="Of the untrained network, as `weights` of a model; none: random."
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _one_network(self) -> "EcoTrackerSettings":
        if self.model is not None and (self.weights is not None or self.backbone is not None):
            raise ValueError("model brings its own backbone: leave out backbone and weights")
        if self.backbone is None and self.weights is not None:
            raise ValueError("weights need a backbone to go into: name it")
        if not self.hog_channels and self.model is None and self.backbone is None:
            raise ValueError("there are no features: leave out hog_channels: 0, or name a network")
        if self.layers and self.model is None and self.backbone is None:
            raise ValueError("layers need a network: name a model or a backbone")
        if self.backbone is not None:
            check_published(self.backbone, self.weights)
        return self


class TransTTrackerSettings(Section):
    """A TransT tracker: a model of kind transt (SoCL-TransT), or a published checkpoint."""

    kind: Literal["transt"]
    model: Name | None = Field(None, description="A name in `models`.")
    weights: WeightsFile | None = Field(
        None, description="A checkpoint of the whole network as TransT's authors publish it."
    )
    trunk: TrunkName | None = Field(None, description="Of an untrained network.")
    seed: int = Field(0, ge=0, description="Of the untrained network.")
    window: float = Field(
        0.49, ge=0, le=1, description="Share of the Hann window in the score (TransT)."
    )
    precision: Literal["float32", "bf16"] = Field(
        "float32", description="Of the network; bf16 is faster where the device computes in it."
    )
    compile: bool = Field(
        False, description="Let torch.compile fuse the network: for long runs, it takes a minute."
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _one_network(self) -> "TransTTrackerSettings":
        if sum(given is not None for given in (self.model, self.weights, self.trunk)) != 1:
            raise ValueError("give one of model, weights (a checkpoint) and trunk (untrained)")
        return self


FormatName = Literal["otb", "got10k", "trackingnet", "lasot", "vot", "pysot"]
CLASS_PATTERN = r"^\w+(\.\w+)*:\w+(\.\w+)*$"


class ResultsTrackerSettings(Section):
    """A foreign tracker's result files, scored beside ours (layouts: docs/interchange.md)."""

    kind: Literal["results"]
    folder: str = Field(
        description="The tracker's files; ~, $NAME and {benchmark} (its name here) are filled in."
    )
    format: FormatName = Field(description="Of the toolkit that wrote them.")
    base: Literal[0, 1] | None = Field(
        None, description="What the files count pixels from; none: as the format does."
    )
    missing: Literal["fail", "skip"] = Field(
        "fail", description="A sequence without files stops the stage, or is listed and left out."
    )


class PythonTrackerSettings(Section):
    """A class of your own: `init(image, box)` and `update(image) -> box`.

    A class of the GOT-10k toolkit (a subclass of its Tracker) will do as it is.
    """

    # what is dumped has the field's name, and is read again
    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["python"]
    class_: str = Field(alias="class", description="package.module:Class")
    path: str | None = Field(
        None, description="Folder to import it from; none: where Python looks anyway."
    )
    arguments: dict[str, Any] = Field(
        {}, description="Of the class; of those that name a file, its content counts, too."
    )
    base: Literal[0, 1] = Field(
        0, description="What the class counts pixels from: its first pixel is 0,0 or 1,1."
    )

    @field_validator("class_")
    @classmethod
    def _module_and_class(cls, name: str) -> str:
        if not re.fullmatch(CLASS_PATTERN, name):
            raise ValueError("expected package.module:Class")
        return name


AnyTrackerSettings = (
    SiamFCTrackerSettings
    | OpenCVTrackerSettings
    | EcoTrackerSettings
    | TransTTrackerSettings
    | ResultsTrackerSettings
    | PythonTrackerSettings
)


def _in_full(raw: Any) -> Any:
    """Return what the short form of a tracker, `module:Class`, stands for."""
    return {"kind": "python", "class": raw} if isinstance(raw, str) else raw


_Kinds = Annotated[AnyTrackerSettings, Field(discriminator="kind")]
_Short = Annotated[str, Field(pattern=CLASS_PATTERN, description="Short for kind python.")]
TrackerSettings = Annotated[
    AnyTrackerSettings,
    Field(discriminator="kind"),
    BeforeValidator(_in_full, json_schema_input_type=_Kinds | _Short),
]
