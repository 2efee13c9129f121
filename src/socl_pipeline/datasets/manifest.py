"""Manifests: one YAML per dataset that says where it lies and how it is laid out."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from socl_pipeline.errors import InputError
from socl_pipeline.settings import Section, expand, validated


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


class Manifest(Section):
    """A dataset's identity, location and layout."""

    name: str
    title: str
    layout: Literal["got10k", "otb", "clips"]
    root: str = Field(description="Folder; ~, $NAME and ${NAME:-default} are expanded.")
    licence: str
    citation: str = ""
    url: str = ""
    splits: dict[str, Split] = Field({}, description="Layout got10k.")
    sequences: dict[str, Sequence] = Field({}, description="Layout otb: one entry a target.")
    clicks: str = Field("clicks.csv", description="Layout clips: the clicks, relative to the root.")
    generate: DemoVideos | None = Field(None, description="Drawn by the project, not downloaded.")


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
