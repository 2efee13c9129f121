"""Named trackers."""

from typing import Annotated, Literal

from pydantic import Field

from socl_pipeline.settings.section import Name, Section
from socl_pipeline.settings.training import BackboneName


class SiamFCTrackerSettings(Section):
    """A SiamFC tracker (constants: `trackers.siamfc`) on a trained or untrained backbone."""

    kind: Literal["siamfc"]
    model: Name | None = Field(None, description="A name in `models`; none: untrained weights.")
    backbone: BackboneName = Field("alexnet_v1", description="Of the untrained network.")
    seed: int = Field(0, ge=0, description="Of the untrained network.")
    normalize: Literal["none", "cell"] = Field(
        "cell", description="L2-normalise the features of each cell before correlation."
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"


class OpenCVTrackerSettings(Section):
    """One of OpenCV's trackers."""

    kind: Literal["opencv"]
    name: Literal["csrt", "kcf"]


TrackerSettings = Annotated[
    SiamFCTrackerSettings | OpenCVTrackerSettings, Field(discriminator="kind")
]
