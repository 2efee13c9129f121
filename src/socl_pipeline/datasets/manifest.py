"""Manifests: one YAML per dataset that says where it lies and how it is laid out."""

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, field_validator, model_validator

from socl_pipeline.errors import InputError
from socl_pipeline.settings import Section, expand, validated

Protocol = Literal["ope", "got10k", "trackingnet", "vot"]


class Split(Section):
    """A part of a dataset in a folder of its own, with its list of videos."""

    folder: str
    list: str = Field("list.txt", description="Layout got10k: the names, one a line.")
    sequences: int | None = Field(None, gt=0, description="How many a complete copy has.")
    truth: Literal["given", "withheld"] = Field(
        "given",
        description="withheld: a server keeps all boxes but the first and scores trackers; here "
        "they run, and are not scored.",
    )


class Sequence(Section):
    """One target of a benchmark that the manifest lists; the defaults are those of a plain one."""

    folder: str | None = Field(None, description="Folder; none: the target's name.")
    groundtruth: str = Field("groundtruth_rect.txt", description="Layout otb: the boxes.")
    frames: tuple[int, int] | None = Field(
        None, description="First and last image number, inclusive; none: one a box."
    )
    digits: int = Field(4, description="Layout otb: digits of an image's number.")
    attributes: tuple[str, ...] = Field((), description="What is hard in it (layout otb).")

    @field_validator("frames")
    @classmethod
    def _range_is_one(cls, frames: tuple[int, int] | None) -> tuple[int, int] | None:
        if frames is not None and not 0 <= frames[0] <= frames[1]:
            raise ValueError(f"frames are {frames[0]} to {frames[1]}: expected 0 <= first <= last")
        return frames


class DemoVideos(Section):
    """How the demo dataset is drawn (`socl demo-data`)."""

    train_videos: int = Field(16, gt=0)
    val_videos: int = Field(6, gt=0)
    frames: int = Field(30, gt=1)
    width: int = Field(320, gt=0)
    height: int = Field(240, gt=0)
    seed: int = 0


class OpeConstants(Section):
    """One-pass evaluation (OTB, UAV123, LaSOT)."""

    kind: Literal["ope"] = "ope"
    repetitions: int = Field(1, gt=0, description="Runs of a tracker over each sequence.")


class Got10kConstants(Section):
    """GOT-10k's protocol."""

    kind: Literal["got10k"] = "got10k"
    repetitions: int = Field(3, gt=0, description="Runs of a tracker; one that repeats itself: 1.")


class TrackingNetConstants(Section):
    """TrackingNet's protocol."""

    kind: Literal["trackingnet"] = "trackingnet"
    repetitions: int = Field(1, gt=0, description="Runs of a tracker over each sequence.")


class VotConstants(Section):
    """VOT's reset protocol; the defaults are those of VOT2013 to VOT2019."""

    kind: Literal["vot"] = "vot"
    repetitions: int = Field(15, gt=0, description="Runs of a tracker over each sequence.")
    skip: int = Field(5, gt=0, description="A tracker starts again this many frames after a loss.")
    burn_in: int = Field(
        10, ge=0, description="Frames from each start on, it included, without accuracy."
    )
    sensitivity: float = Field(
        30, gt=0, description="Frames S of the AR plot: reliability is exp(-S * failures/frames)."
    )
    eao_interval: tuple[int, int] = Field(
        description="Shortest and longest sequence, in frames, both included, of the EAO."
    )

    @model_validator(mode="after")
    def _interval_is_one(self) -> "VotConstants":
        low, high = self.eao_interval
        if not 1 <= low <= high:
            raise ValueError(f"eao_interval is {low} to {high}: expected 1 <= first <= last")
        return self


Constants = Annotated[
    OpeConstants | Got10kConstants | TrackingNetConstants | VotConstants,
    Field(discriminator="kind"),
]


class Manifest(Section):
    """A dataset's identity, location, layout, and how trackers are scored on it."""

    name: str
    title: str
    layout: Literal["got10k", "otb", "clips", "lasot", "uav123", "trackingnet", "vot"]
    protocol: Protocol = Field("ope", description="How the benchmark itself scores trackers.")
    constants: Constants = Field(OpeConstants(), description="The protocol's numbers.")
    root: str = Field(description="Folder; ~, $NAME and ${NAME:-default} are expanded.")
    licence: str
    citation: str = ""
    url: str = ""
    splits: dict[str, Split] = Field({}, description="Layouts got10k and trackingnet.")
    sequences: dict[str, Sequence] = Field(
        {}, description="The other layouts: one entry a target, or a plain list of names."
    )
    clicks: str = Field("clicks.csv", description="Layout clips: the clicks, relative to the root.")
    generate: DemoVideos | None = Field(None, description="Drawn by the project, not downloaded.")

    def withholds(self, split: str) -> bool:
        """Return whether the truth of a split is said to be withheld."""
        return split in self.splits and self.splits[split].truth == "withheld"

    @field_validator("sequences", mode="before")
    @classmethod
    def _names_may_be_a_list(cls, raw: Any) -> Any:
        """Take a list of names as entries without settings."""
        if not isinstance(raw, list):
            return raw
        twice = [name for name, count in Counter(map(str, raw)).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is listed twice")
        return {str(name): {} for name in raw}

    @model_validator(mode="before")
    @classmethod
    def _constants_are_the_protocols(cls, raw: Any) -> Any:
        """Tell the constants their protocol, on which their keys depend."""
        if not isinstance(raw, dict) or not isinstance(raw.get("constants", {}), dict):
            return raw
        protocol = raw.get("protocol")
        kind = protocol if protocol in get_args(Protocol) else "ope"
        return raw | {"constants": {"kind": kind} | raw.get("constants", {})}


def load_manifest(path: Path) -> Manifest:
    """Read and validate a manifest. Raises InputError with one sentence."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise InputError(f"{path}: no such manifest; shipped ones are in data_manifests/") from None
    return _manifest(path, text)


@lru_cache(maxsize=64)
def _manifest(path: Path, text: str) -> Manifest:
    """Return a manifest, parsed once: planning asks for each many times, UAV123's takes 0.2 s."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return validated(Manifest, raw, str(path))


def dataset_root(manifest: Manifest, override: str | None = None) -> Path:
    """Return the dataset's folder, which need not exist yet."""
    return Path(expand(override or manifest.root))


def require_root(manifest: Manifest, root: Path, source: str) -> None:
    """Raise InputError unless the dataset is there, or is one that the project draws itself."""
    if not root.is_dir() and manifest.generate is None:
        raise InputError(
            f"{source}: the folder {root} of {manifest.title} does not exist; "
            f"put the data there or set `root` of the entry (manifest root: {manifest.root})"
        )
