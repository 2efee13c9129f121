"""The protocols: how a benchmark is scored, under which conventions, and what the scores are.

A protocol's own module is imported when it scores: the config and the command line read this table.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from socl_pipeline.benchmarks.tracks import Track, TrackerScore
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.video import Video
from socl_pipeline.errors import InputError
from socl_pipeline.settings import BenchmarkSettings


@dataclass(frozen=True)
class Metric:
    """A figure that a protocol gives.

    label: what it is called in tables. unit: `share` (in [0, 1]) or what it counts.
    higher: whether more of it is better.
    """

    label: str
    unit: str = "share"
    higher: bool = True


METRICS: dict[str, Metric] = {
    "auc": Metric("AUC"),
    "precision": Metric("P@20"),
    "norm_precision": Metric("NP"),
    "mean_iou": Metric("mean IoU"),
    "ao": Metric("AO"),
    "sr_50": Metric("SR0.5"),
    "sr_75": Metric("SR0.75"),
    "eao": Metric("EAO"),
    "accuracy": Metric("A"),
    "robustness": Metric("R", "failures per 100 frames", higher=False),
    "failures": Metric("failures", "failures", higher=False),
    "reliability": Metric("reliability"),
}
"""Every figure of every protocol; each is a column of the scores table."""

CURVES: dict[str, float | None] = {
    "success_curve": 1.0,
    "precision_curve": 50.0,
    "norm_precision_curve": 0.5,
    "eao_curve": None,
}
"""Every curve of every protocol; each is a list column of the scores table. Its thresholds are
evenly spaced from 0 to this one (IoU, pixels, sizes of the true box); their number depends on the
protocol. The curve of EAO is over lengths of 1, 2, 3 ... frames."""


@dataclass(frozen=True)
class Protocol:
    """How a benchmark is scored.

    headline: of `METRICS`, as they are shown; the first ranks trackers. conventions: the official
    one first; where toolkits differ, theirs. function: `module:name` of what scores a tracker.
    labels: of metrics that are called otherwise here than in `METRICS`.
    """

    name: str
    headline: tuple[str, ...]
    conventions: tuple[str, ...]
    function: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, metric: str) -> str:
        """Return what a metric is called in tables and figures."""
        return self.labels.get(metric, METRICS[metric].label)

    def score(
        self,
        manifest: Manifest,
        videos: Sequence[Video],
        tracks: Mapping[str, Track],
        convention: str = "official",
    ) -> TrackerScore:
        """Score a tracker's tracks, by sequence, against the truth of these videos.

        manifest: of the benchmark, for its constants. videos: those that are scored, each with a
        track. Raises InputError for an unknown convention or a track that does not fit its truth.
        """
        self.check(convention)
        module, name = self.function.split(":")
        function: Callable[..., TrackerScore] = getattr(importlib.import_module(module), name)
        return function(manifest, videos, tracks, convention)

    def check(self, convention: str) -> None:
        """Raise InputError unless the protocol has a convention of this name."""
        if convention not in self.conventions:
            known = ", ".join(self.conventions)
            raise InputError(
                f"convention {convention!r}: protocol {self.name} has {known} (docs/evaluation.md)"
            )


def protocol_of(settings: BenchmarkSettings, manifest: Manifest) -> Protocol:
    """Return the protocol of a benchmark: the config's, or else the manifest's.

    Raises InputError if the config's convention is none of it.
    """
    name = settings.protocol or manifest.protocol
    protocol = PROTOCOLS[name]
    protocol.check(settings.convention)
    return protocol


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="ope",
            headline=("auc", "precision", "norm_precision"),
            conventions=("official", "got10k", "pysot", "pytracking", "drop"),
            function="socl_pipeline.benchmarks.ope:score",
        ),
        Protocol(
            name="got10k",
            headline=("ao", "sr_50", "sr_75"),
            conventions=("official",),
            function="socl_pipeline.benchmarks.got10k:score",
        ),
        Protocol(
            name="trackingnet",
            headline=("auc", "precision", "norm_precision"),
            conventions=("official", "strict"),
            function="socl_pipeline.benchmarks.trackingnet:score",
            labels={"precision": "P (area)"},  # under the curve, not its value at 20 px
        ),
        Protocol(
            name="vot",
            headline=("eao", "accuracy", "robustness"),
            conventions=("official", "legacy", "pysot", "toolkit"),
            function="socl_pipeline.benchmarks.vot.scoring:score",
        ),
    )
}
"""The protocols by the name that a config and a manifest give them."""
