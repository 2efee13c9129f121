"""The config: one typed section per stage, named datasets, models, trackers and benchmarks.

The same models validate the YAML, document every key (`socl schema`) and feed the fingerprints.
Values marked "our choice" are not in the paper; the reason stands beside them.
"""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from socl_pipeline.errors import InputError
from socl_pipeline.presets import with_preset
from socl_pipeline.top.maps import AUTO_GAIN

T = TypeVar("T", bound=BaseModel)

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
OnBadFrame = Literal["skip", "fail"]
# `auto` becomes the number that it means: what is recorded says what was used
Gain = Annotated[
    float | Literal["raw"],
    BeforeValidator(
        lambda value: AUTO_GAIN if value == "auto" else value,
        json_schema_input_type=float | Literal["auto", "raw"],
    ),
]


class Section(BaseModel):
    """A part of the config: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PointSettings(Section):
    """Stage `points`: where the annotator clicked, and how much of the data was annotated."""

    noise_px: float = Field(
        0.0, ge=0, description="Click error: a shift of this many pixels in a random direction."
    )
    videos: int | None = Field(None, gt=0, description="Annotate a random sample of videos.")
    frame_fraction: float = Field(
        1.0, gt=0, le=1, description="Annotate this share of each video's frames, evenly spaced."
    )
    hours: float | None = Field(
        None, gt=0, description="Annotation budget: videos are sampled until it is used up."
    )
    seconds_per_frame: float = Field(
        2.27, gt=0, description="Cost of one annotated frame (paper 3.1: 1.87 s click + 0.4 s TOP)."
    )
    sparse_box_every: int = Field(
        10, ge=1, description="A box on every n-th frame (10 follows from the paper's 3.16 s)."
    )
    seed: int = Field(0, ge=0)


class DatasetSettings(Section):
    """A named dataset: a manifest, where it lies, and how it is annotated."""

    manifest: Path
    root: str | None = Field(None, description="Overrides the manifest's root.")
    split: str = "train"
    points: PointSettings = PointSettings()
    on_bad_frame: OnBadFrame = Field(
        "fail", description="A broken frame stops the stage (fail) or is listed and left out."
    )


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
        pattern=r"^(top|gaussian|boxes|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        description="Where the scored boxes come from: top (the paper), gaussian (control), boxes "
        "(upper bound, Box-Siam), or package.module:function of your own; see docs/method.md.",
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

    shift_px: float = Field(32.0, ge=0, description="Window shift, each axis U(-s, s), patch px.")
    scale: float = Field(0.1, ge=0, lt=1, description="Window side times exp(U(-s, s)).")
    flip: bool = True
    colour: float = Field(0.2, ge=0, lt=1, description="Brightness, contrast: U(1-c, 1+c).")
    grey: float = Field(0.1, ge=0, le=1, description="Probability of a grey video.")


class SoclModelSettings(Section):
    """A named model of stage `train`, trained with the SoCL loss."""

    kind: Literal["socl"] = "socl"
    backbone: Literal["alexnet_v1", "resnet18"] = "alexnet_v1"
    imagenet_weights: Path | None = Field(None, description="ImageNet weights for resnet18.")
    projection_head: bool = Field(False, description="Table 9: off for SoCL-Siam, on for SoCL-CF.")
    window: int = Field(255, ge=95, description="Training window in pixels, as in SiamFC.")
    videos_per_batch: int = Field(96, ge=2, description="N; the batch has 2N frames (paper: 192).")
    epochs: int = Field(1000, gt=0, description="One pair a video an epoch (paper: 1000 / 500).")
    lr: float = Field(3e-4, gt=0, description="Adam (paper 4.1).")
    lr_decay_epochs: tuple[int, ...] = Field((500,), description="Epochs at which lr is cut by 10.")
    weight_decay: float = Field(0.0, ge=0)
    max_gap: int = Field(100, gt=0, description="Largest frame distance in a pair; our choice.")
    temperature: float = Field(0.1, gt=0, description="tau of Eq. (9); lost in print, our choice.")
    sns: bool = Field(True, description="Soft negative samples, Eq. (2)-(4).")
    mixup: bool = Field(True, description="Mix of the two hardest SNS of each template.")
    lst: bool = Field(True, description="Local soft templates, Eq. (7)-(8).")
    background_mass: float = Field(
        0.9, gt=0, lt=1, description="mu of Eq. (5); lost in print, our choice."
    )
    sns_similarity: Literal["cosine", "dot"] = Field(
        "cosine", description="Eq. (2): cosine over the temperature (our choice) or the raw dot."
    )
    lst_mass: tuple[float, float] = Field(
        (0.5, 1.0), description="u ~ U(low, high) of Eq. (7); lost in print, our choice."
    )
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
    augment: AugmentSettings = AugmentSettings()
    validation_videos: float = Field(
        0.15, ge=0, lt=0.9, description="Share of videos held out; their clicks choose the weights."
    )
    validate_every: int = Field(10, gt=0, description="Epochs between validations.")
    checkpoint_minutes: float = Field(2.0, ge=0, description="Time between checkpoints.")
    precision: Literal["bf16", "float32"] = "bf16"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "SoclModelSettings":
        if self.top_clip != "auto" and not 0 < self.top_clip <= 1:
            raise ValueError("top_clip must be auto or in (0, 1]")
        if self.top_gain != "raw" and self.top_gain <= 0:
            raise ValueError("top_gain must be auto, raw or positive")
        if not 0 < self.lst_mass[0] <= self.lst_mass[1] <= 1:
            raise ValueError("lst_mass must be two numbers with 0 < low <= high <= 1")
        if self.mixup and not self.sns:
            raise ValueError("mixup mixes soft negative samples: set sns: true or mixup: false")
        if self.imagenet_weights and self.backbone != "resnet18":
            raise ValueError("imagenet_weights are for backbone: resnet18")
        return self


class SiamFCTrackerSettings(Section):
    """A SiamFC tracker (constants: `trackers.siamfc`) on a trained or untrained backbone."""

    kind: Literal["siamfc"]
    model: Name | None = Field(None, description="A name in `models`; none: untrained weights.")
    backbone: Literal["alexnet_v1", "resnet18"] = Field(
        "alexnet_v1", description="Of the untrained network."
    )
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


class BenchmarkSettings(Section):
    """A named benchmark: sequences with boxes on which trackers are scored."""

    manifest: Path
    root: str | None = Field(None, description="Overrides the manifest's root.")
    split: str = "val"
    sequences: tuple[str, ...] | None = Field(
        None, min_length=1, description="A subset; none: all."
    )
    protocol: Literal["ope"] = "ope"
    convention: Literal["official", "drop"] = Field(
        "official", description="How frames without a valid true box count; see docs."
    )


class ReportSettings(Section):
    """Stage `report`."""

    title: str = "SoCL: a tracker from clicks"
    examples: int = Field(4, ge=1, description="Frames shown with their TOP and weight maps.")
    palette: tuple[Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")], ...] = Field(
        ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
        min_length=1,
        description="Line colours (Okabe-Ito, readable by colour-blind people).",
    )


class Config(Section):
    """Everything a run depends on."""

    preset: Literal["default", "fast", "paper_strict"] = Field(
        "default", description="Stands in for values left out below: see socl_pipeline.presets."
    )
    datasets: dict[Name, DatasetSettings] = Field(min_length=1)
    views: ViewSettings = ViewSettings()
    proposals: ProposalSettings = ProposalSettings()
    top_maps: TopMapSettings = TopMapSettings()
    patches: PatchSettings = PatchSettings()
    models: dict[Name, SoclModelSettings] = Field(min_length=1)
    trackers: dict[Name, TrackerSettings] = Field({}, description="Compared on each benchmark.")
    benchmarks: dict[Name, BenchmarkSettings] = Field({}, description="None: nothing is scored.")
    report: ReportSettings = ReportSettings()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, raw: Any) -> Any:
        return with_preset(raw) if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _references(self) -> "Config":
        for name, tracker in self.trackers.items():
            model = getattr(tracker, "model", None)
            if model is not None and model not in self.models:
                near = _nearest(model, self.models)
                raise ValueError(f"trackers.{name}.model: there is no model {model!r}{near}")
        return self


def load_config(path: Path) -> Config:
    """Read and validate a YAML (or JSON) config file. Raises InputError with one sentence."""
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: no such config file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; expected a YAML config") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return validate_config(raw, str(path))


def validate_config(raw: Any, source: str) -> Config:
    """Validate a config given as plain data; `source` names it in the error."""
    return validated(Config, raw, source)


def validated(model: type[T], raw: Any, source: str) -> T:
    """Validate plain data as `model`; all that is wrong becomes one InputError."""
    if not isinstance(raw, dict):
        raise InputError(f"{source}: expected a mapping of sections, found {type(raw).__name__}")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        # a key that takes one of several types has an error for each: the first will do
        found = {_key(tuple(item["loc"])): dict(item) for item in reversed(error.errors())}
        sentences = [_sentence(model, key, found[key]) for key in reversed(found)]
        raise InputError(f"{source}: " + "; ".join(sentences)) from None


def _key(location: tuple[int | str, ...]) -> str:
    """Return the key that a pydantic location stands for."""
    parts = list(location)
    if parts[:1] == ["trackers"]:
        del parts[2:3]  # pydantic puts the tracker's kind between its name and its keys
    if parts and re.fullmatch(r"float|int|str|literal\[.*\]", str(parts[-1])):
        parts.pop()  # and the member of a union behind the key
    return ".".join(str(part) for part in parts)


def _sentence(model: type[BaseModel], key: str, item: dict[str, Any]) -> str:
    """One pydantic error as: key, what is wrong, what is near."""
    if item["type"] == "extra_forbidden":
        known = _known_keys(model, tuple(item["loc"][:-1]))
        return f"unknown key {key!r}{_nearest(str(item['loc'][-1]), known)}"
    if item["type"] == "missing":
        return f"{key!r} is missing"
    message = item["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    found = item["input"]
    shown = f" (found {found!r})" if not isinstance(found, dict | BaseModel) else ""
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _known_keys(model: Any, location: tuple[Any, ...]) -> list[str]:
    """Return the keys of the section at `location`, walking through names and unions."""
    if location and isinstance(model, type) and issubclass(model, BaseModel):
        field = model.model_fields.get(str(location[0]))
        return _known_keys(field.annotation, location[1:]) if field else []
    arguments = [a for a in get_args(model) if a is not type(None)]
    if not arguments:
        return list(model.model_fields) if hasattr(model, "model_fields") else []
    if getattr(model, "__origin__", None) is dict:
        return _known_keys(arguments[1], location[1:])
    kinds = {_kind(a): a for a in arguments if _kind(a)}
    if location and location[0] in kinds:
        return _known_keys(kinds[location[0]], location[1:])
    return _known_keys(arguments[0], location)


def _kind(model: Any) -> str | None:
    """Return the value of a section's `kind` discriminator, if it has one."""
    field = getattr(model, "model_fields", {}).get("kind")
    return get_args(field.annotation)[0] if field else None


def _nearest(word: str, known: Any) -> str:
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f": did you mean {matches[0]!r}?" if matches else f": known are {', '.join(known)}"


def expand(text: str) -> str:
    """Expand `~`, `$NAME` and `${NAME:-default}` in a path."""
    filled = re.sub(
        r"\$\{(\w+):-([^}]*)\}", lambda m: os.environ.get(m.group(1)) or m.group(2), text
    )
    return os.path.expandvars(str(Path(filled).expanduser()))
