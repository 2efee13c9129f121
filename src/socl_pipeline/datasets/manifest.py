"""Manifests: one YAML per dataset that says where it lies and how it is laid out."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, model_validator

from socl_pipeline.errors import InputError
from socl_pipeline.settings import Section, expand, validated

Protocol = Literal["ope", "got10k", "trackingnet", "vot"]


class Split(Section):
    """A part of a GOT-10k-like dataset: a folder and its list of videos."""

    folder: str
    list: str = "list.txt"


class Sequence(Section):
    """One target of an OTB-like benchmark; the defaults are those of a plain sequence."""

    folder: str | None = Field(None, description="Folder; none: the target's name.")
    groundtruth: str = "groundtruth_rect.txt"
    frames: tuple[int, int] | None = Field(
        None, description="First and last image number, inclusive; none: one a box."
    )
    digits: int = Field(4, description="Digits of an image's number.")


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
    layout: Literal["got10k", "otb", "clips"]
    protocol: Protocol = Field("ope", description="How the benchmark itself scores trackers.")
    constants: Constants = Field(OpeConstants(), description="The protocol's numbers.")
    root: str = Field(description="Folder; ~, $NAME and ${NAME:-default} are expanded.")
    licence: str
    citation: str = ""
    url: str = ""
    splits: dict[str, Split] = Field({}, description="Layout got10k.")
    sequences: dict[str, Sequence] = Field({}, description="Layout otb: one entry a target.")
    clicks: str = Field("clicks.csv", description="Layout clips: the clicks, relative to the root.")
    generate: DemoVideos | None = Field(None, description="Drawn by the project, not downloaded.")

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
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such manifest; shipped ones are in data_manifests/") from None
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
