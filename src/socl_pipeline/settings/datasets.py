"""Datasets and benchmarks: named sources of video, and how they are annotated."""

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from socl_pipeline.settings.section import Section

OnBadFrame = Literal["skip", "fail"]
DataSection = Literal["views", "proposals", "top_maps", "patches"]


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
    overrides: dict[DataSection, dict[str, Any]] = Field(
        {}, description="Values of these sections for this dataset alone."
    )


class BenchmarkSettings(Section):
    """A named benchmark: sequences with boxes on which trackers are scored."""

    manifest: Path
    root: str | None = Field(None, description="Overrides the manifest's root.")
    split: str = "val"
    sequences: tuple[str, ...] | None = Field(
        None, min_length=1, description="A subset; none: all."
    )
    protocol: Literal["ope", "got10k", "trackingnet", "vot"] | None = Field(
        None, description="How trackers are scored; none: as the manifest says."
    )
    convention: str = Field(
        "official",
        description="Whose rules count where toolkits differ: official, or another of the "
        "protocol's (docs/evaluation.md).",
    )


def expand(text: str) -> str:
    """Expand `~`, `$NAME` and `${NAME:-default}` in a path."""
    filled = re.sub(
        r"\$\{(\w+):-([^}]*)\}", lambda m: os.environ.get(m.group(1)) or m.group(2), text
    )
    return os.path.expandvars(str(Path(filled).expanduser()))
