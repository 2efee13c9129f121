"""The conventions of VOT's toolkits: the points on which they differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from socl_pipeline.benchmarks.vot.raster import RasterRule


@dataclass(frozen=True)
class VotConvention:
    """How runs are scored where toolkits differ.

    raster: which pixels a region covers.
    accuracy_margin: lines of pixels beyond the right and lower border that count for accuracy. The
    Matlab toolkit (analyze_accuracy_robustness.m at 4f5349e) and pysot-toolkit (ar_benchmark.py at
    c7fd71c) bound it by [width, height], and the expected overlap by [width, height] - 1.
    pooling: accuracy is the mean over all frames of all sequences, or the mean over sequences
    weighted by their lengths.
    robustness: failures in 100 frames, or failures in a sequence, weighted by lengths.
    weighting: whether the fragments of a sequence share their weight among its repetitions, or
    each counts 1.
    closing: a failure ends a fragment, which goes on with overlap 0 for ever. `restart`: only if
    a start follows in the sequence; after a later failure the fragment ends with the sequence.
    `room`: also if the start would be the frame after the last, with the weight that
    `measures.fragment_weights` tells. `always`: every failure.
    first_length: added to both ends of the interval of lengths.
    """

    raster: RasterRule = "rounded"
    accuracy_margin: int = 1
    pooling: Literal["frames", "sequences"] = "frames"
    robustness: Literal["per_100_frames", "per_sequence"] = "per_100_frames"
    weighting: Literal["repetitions", "fragments"] = "repetitions"
    closing: Literal["restart", "room", "always"] = "restart"
    first_length: int = 0


CONVENTIONS: Mapping[str, VotConvention] = {
    "official": VotConvention(),
    "legacy": VotConvention(raster="truncated"),
    "pysot": VotConvention(closing="room"),
    "toolkit": VotConvention(
        raster="toolkit",
        accuracy_margin=0,
        pooling="sequences",
        robustness="per_sequence",
        weighting="fragments",
        closing="always",
        first_length=1,
    ),
}
"""`official`: the Matlab toolkit (votchallenge/toolkit-legacy) as its stacks of VOT2016 and VOT2018
set it. They leave the legacy rasterisation off; `legacy` is the same with it, as the stacks of
VOT2013 and VOT2014 say. `pysot`: pysot-toolkit. `toolkit`: vot-toolkit 0.9.0 (Python), whose curve
is cut as [low:high + 1] from index 0, which shifts the interval by a frame."""
