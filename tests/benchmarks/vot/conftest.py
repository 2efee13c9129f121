"""A video with true regions and nothing else, and runs over it."""

from pathlib import Path

import numpy as np
import pytest

from socl_pipeline.benchmarks.tracks import Run, Track
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.video import Video


@pytest.fixture
def make_video():
    """A function that returns a video of regions (n, 4) or (n, 8), 0-based."""

    def make(name, regions, size=(96, 72)):
        regions = np.asarray(regions, dtype=np.float64)
        n = len(regions)
        return Video(
            name=name,
            frames=[Path(f"{i}.jpg") for i in range(n)],
            width=size[0],
            height=size[1],
            boxes=regions if regions.shape[1] == 4 else np.full((n, 4), np.nan),
            points=np.full((n, 2), np.nan),
            absent=np.zeros(n, bool),
            cover=np.full(n, 8, np.int8),
            polygons=regions if regions.shape[1] == 8 else None,
        )

    return make


@pytest.fixture
def make_track():
    """A function that returns a track from pairs of boxes and states, a pair a run."""

    def make(*runs):
        return Track(
            tuple(
                Run(np.asarray(boxes, np.float64), np.zeros(len(boxes)), np.array(states, np.int8))
                for boxes, states in runs
            )
        )

    return make


@pytest.fixture
def make_manifest():
    """A function that returns a manifest of VOT's protocol with these numbers."""

    def make(**constants):
        return Manifest(
            name="simulated",
            title="S",
            layout="vot",
            root="-",
            licence="-",
            protocol="vot",
            constants={"eao_interval": (12, 30)} | constants,
        )

    return make
