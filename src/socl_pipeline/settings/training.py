"""Stages `patches` and `train`."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from socl_pipeline.settings.datasets import expand
from socl_pipeline.settings.section import Name, Section
from socl_pipeline.top.maps import AUTO_GAIN

BackboneName = Literal["alexnet_v1", "resnet18", "squeezenet1_1"]
UNPUBLISHED: tuple[BackboneName, ...] = ("alexnet_v1",)


def check_published(backbone: str, weights: Path | Literal["imagenet"] | None) -> None:
    """Raise ValueError if ImageNet weights are asked for that nobody has published."""
    if weights == "imagenet" and backbone in UNPUBLISHED:
        known = (n for n in get_args(BackboneName) if n not in UNPUBLISHED)
        raise ValueError(
            f"weights: imagenet is for {' and '.join(known)}, not for {backbone}; leave it out"
        )


# `auto` becomes the number that it means: what is recorded says what was used
Gain = Annotated[
    float | Literal["raw"],
    BeforeValidator(
        lambda value: AUTO_GAIN if value == "auto" else value,
        json_schema_input_type=float | Literal["auto", "raw"],
    ),
]


Weights = Annotated[
    Path | Literal["imagenet"] | None,
    BeforeValidator(lambda given: expand(given) if isinstance(given, str) else given),
]


class PatchSettings(Section):
    """Stage `patches`: a square around the click, sized by the extent of the TOP boxes."""

    size: int = Field(320, gt=0, description="Patch side in pixels.")
    context: float = Field(
        8.0,
        gt=1,
        description="Patch side over the TOP extent, which falls short of large targets (ours).",
    )
    max_frame_share: float = Field(
        1.5, gt=0, description="Upper limit of the patch side over the frame's long side."
    )
    jpeg_quality: int = Field(95, ge=50, le=100)
    shard_frames: int = Field(1024, gt=0)


class AugmentSettings(Section):
    """Random changes of the training window; all our choice."""

    shift_px: float = Field(
        32.0,
        ge=0,
        description="Window shift, each axis U(-s, s), patch px: a fixed place could be learnt "
        "instead of the target; further, and large targets leave the window.",
    )
    scale: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Window side times exp(U(-s, s)): more than a tracker's step of 1.0375.",
    )
    flip: bool = Field(True, description="Both frames of a video, every other time.")
    colour: float = Field(
        0.2, ge=0, lt=1, description="Brightness, contrast: U(1-c, 1+c), of each frame: light."
    )
    grey: float = Field(
        0.1, ge=0, le=1, description="Probability of a grey video: colour alone finds few targets."
    )


class ModelSettings(Section):
    """What every named model of stage `train` has, whatever its loss."""

    backbone: BackboneName = "alexnet_v1"
    weights: Weights = Field(
        None,
        description="Where training starts: a file of torchvision's names, or imagenet: fetched by "
        "torch.hub and checked by its hash; none: random. `~` and `${NAME}` are filled in.",
    )
    data: Name | None = Field(
        None,
        description="Variants of the dataset whose patches it is trained on, such as "
        "pseudo__wide; none: the dataset as it is.",
    )
    window: int = Field(255, ge=95, description="Training window in pixels, as in SiamFC.")
    videos_per_batch: int = Field(96, ge=2, description="N; the batch has 2N frames (paper: 192).")
    chunk_videos: int | None = Field(
        None,
        ge=1,
        description="A batch goes through the network in parts of so many videos, for less memory; "
        "negatives still come from the whole batch, batch norms see one part. None: one part.",
    )
    epochs: int = Field(1000, gt=0, description="One pair a video an epoch (paper: 1000 / 500).")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam", description="Paper 4.1; adamw: TransT's; sgd: momentum 0.9."
    )
    lr: float = Field(3e-4, gt=0, description="Paper 4.1.")
    lr_decay_epochs: tuple[int, ...] = Field((500,), description="Epochs at which lr is cut by 10.")
    lr_final: float | None = Field(
        None, gt=0, description="Instead: lr falls exponentially to this in the last epoch."
    )
    weight_decay: float = Field(0.0, ge=0)
    max_gap: int = Field(
        100, gt=0, description="Largest frame distance in a pair; our choice: SiamFC's."
    )
    augment: AugmentSettings = AugmentSettings()
    validation_videos: float = Field(
        0.15, ge=0, lt=0.9, description="Share of videos held out; their clicks choose the weights."
    )
    validate_every: int = Field(10, gt=0, description="Epochs between validations.")
    checkpoint_minutes: float = Field(2.0, ge=0, description="Time between checkpoints.")
    precision: Literal["bf16", "float32"] = "bf16"
    compile: bool = Field(False, description="Let torch.compile fuse the network; GPUs gain.")
    loader_workers: int = Field(1, ge=1, description="Threads that decode patches ahead.")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    processes: int | Literal["auto"] = Field(
        "auto", description="Processes that share each batch; auto: one for each visible GPU."
    )
    seed: int = Field(0, ge=0)

    @property
    def unused(self) -> set[str]:
        """The keys that decide nothing beside the values of others."""
        return {"lr_decay_epochs"} if self.lr_final is not None else set()

    @model_validator(mode="after")
    def _consistent_model(self) -> "ModelSettings":
        check_published(self.backbone, self.weights)
        if self.processes != "auto" and not 1 <= self.processes <= self.videos_per_batch:
            raise ValueError("processes must be auto or from 1 to videos_per_batch")
        if self.lr_final is not None and self.lr_final > self.lr:
            raise ValueError("lr_final must not be above lr")
        return self


class SoclModelSettings(ModelSettings):
    """A model trained with the SoCL loss on TOP maps."""

    kind: Literal["socl"] = "socl"
    top_clip: float | Literal["auto"] = Field(
        "auto",
        description="Clip share of the feature grid (Table 10: 0.1 at 255 px); auto: the share "
        "that the TOP extent has there, which keeps the mask on the target in smaller windows.",
    )
    top_gain: Gain = Field(
        AUTO_GAIN,
        description="Before the softmax the score at the clip level is scaled to this (our "
        "choice); auto: to 10; raw: scores stay as they were summed.",
    )
    projection_head: bool = Field(False, description="Table 9: off for SoCL-Siam, on for SoCL-CF.")
    temperature: float = Field(
        0.1, gt=0, description="tau of Eq. (9); lost in print, our choice: SimCLR's best."
    )
    sns: bool = Field(True, description="Soft negative samples, Eq. (2)-(4).")
    mixup: bool = Field(True, description="Mix of the two hardest SNS of each template.")
    lst: bool = Field(True, description="Local soft templates, Eq. (7)-(8).")
    background_mass: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="mu of Eq. (5); lost in print, our choice: `relatively large`, in its words.",
    )
    sns_similarity: Literal["cosine", "dot"] = Field(
        "cosine", description="Eq. (2): cosine over the temperature (our choice) or the raw dot."
    )
    lst_mass: tuple[float, float] = Field(
        (0.5, 1.0),
        description="u ~ U(low, high) of Eq. (7); lost in print, our choice: half of a target is "
        "still that target, and 1 is the GST.",
    )
    sns_temperature: float | None = Field(
        None,
        gt=0,
        description="Of the cosine in Eq. (2), which the paper does not name; none: tau. Without "
        "one, negatives would be the mean of the background.",
    )
    mixup_beta: tuple[float, float] = Field(
        (0.0, 1.0),
        description="Mix factor ~ U(low, high); lost in print, our choice: as in MoCHi.",
    )

    @property
    def unused(self) -> set[str]:
        """The keys that decide nothing beside the values of others."""
        of_sns = {"background_mass", "sns_similarity", "sns_temperature"}
        return (
            super().unused
            | (set() if self.sns else of_sns)
            | ({"sns_temperature"} if self.sns_similarity == "dot" else set())
            | (set() if self.mixup else {"mixup_beta"})
            | (set() if self.lst else {"lst_mass"})
        )

    @model_validator(mode="after")
    def _consistent(self) -> "SoclModelSettings":
        if self.top_clip != "auto" and not 0 < self.top_clip <= 1:
            raise ValueError("top_clip must be auto or in (0, 1]")
        if self.top_gain != "raw" and self.top_gain <= 0:
            raise ValueError("top_gain must be auto, raw or positive")
        if not 0 < self.lst_mass[0] <= self.lst_mass[1] <= 1:
            raise ValueError("lst_mass must be two numbers with 0 < low <= high <= 1")
        if not 0 <= self.mixup_beta[0] <= self.mixup_beta[1] <= 1:
            raise ValueError("mixup_beta must be two numbers with 0 <= low <= high <= 1")
        if self.mixup and not self.sns:
            raise ValueError("mixup mixes soft negative samples: set sns: true or mixup: false")
        return self


class BceModelSettings(ModelSettings):
    """A SiamFC trained with balanced binary cross entropy on boxes.

    The box is what the TOP boxes say (Fig. 8); with `top_maps.prior: boxes` it is the true one,
    and the model is Box-Siam.
    """

    kind: Literal["bce"]
    window: int = Field(
        239,
        ge=159,
        description="Search window in pixels, lowered to what suits the backbone's stride "
        "(siamfc-pytorch: 239, a response of 15 x 15 cells); exemplars have 127.",
    )
    box_threshold: float = Field(
        0.3,
        gt=0,
        le=1,
        description="The box encloses where the score map has this share of its highest score, "
        "t of Fig. 8; 0.3 overlaps most with true boxes (docs/method.md).",
    )
    similarity: Literal["correlation", "cosine"] = Field(
        "correlation",
        description="correlation: of features, times 0.001, as published; trackers then need "
        "normalize: none. cosine: ten times the mean cosine, for normalize: cell (our choice).",
    )
