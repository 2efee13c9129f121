"""Benchmarks whose truth is with a server: trackers run on them, and are not scored here.

Which they are, their manifests say (`truth: withheld` of a split), so that a run can be planned
without reading a video.
"""

from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.settings import BenchmarkSettings, Config


def is_withheld(settings: BenchmarkSettings) -> bool:
    """Return whether a benchmark's manifest says that its truth is withheld."""
    return load_manifest(settings.manifest).withholds(settings.split)


def scored_benchmarks(config: Config) -> tuple[str, ...]:
    """Return the benchmarks of a config that are scored, in its order."""
    return tuple(name for name, entry in config.benchmarks.items() if not is_withheld(entry))


def withheld_benchmarks(config: Config) -> tuple[str, ...]:
    """Return the benchmarks of a config that are tracked only, in its order."""
    return tuple(name for name, entry in config.benchmarks.items() if is_withheld(entry))


def why_not_scored(config: Config, name: str) -> str:
    """Return the sentence, without its stop, about a benchmark whose truth is withheld."""
    entry = config.benchmark(name)
    return (
        f"{name} is not scored: {entry.manifest} says `truth: withheld` of split {entry.split}; "
        "`socl results submit` packs its tracks for the server "
        "(docs/interchange.md#evaluation-servers)"
    )
