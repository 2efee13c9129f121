"""How a benchmark runs trackers: how often over each sequence, and with restarts or without."""

from dataclasses import dataclass

from socl_pipeline.benchmarks.vot.constants import vot_constants
from socl_pipeline.datasets.manifest import Got10kConstants, Manifest
from socl_pipeline.settings import BenchmarkSettings


@dataclass(frozen=True)
class Running:
    """How trackers run over a sequence.

    repetitions: at most so many runs, of a tracker that does not repeat itself.
    skip: frames from a failure to the next start; None: a tracker is never started again.
    """

    repetitions: int = 1
    skip: int | None = None


def running_of(settings: BenchmarkSettings, manifest: Manifest) -> Running:
    """Return how the benchmark's protocol runs trackers: the config's, or else the manifest's.

    Raises InputError if that is VOT's and the manifest has not its numbers.
    """
    protocol = settings.protocol or manifest.protocol
    if protocol == "vot":
        constants = vot_constants(manifest)
        return Running(constants.repetitions, constants.skip)
    if protocol == manifest.protocol:
        return Running(manifest.constants.repetitions)
    return Running(Got10kConstants().repetitions if protocol == "got10k" else 1)
