"""What tracks take, and the scores and figures made of them."""

from dataclasses import asdict
from typing import Any

from socl_pipeline.benchmarks.protocols import protocol_of
from socl_pipeline.benchmarks.withheld import is_withheld, why_not_scored
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.datasets.readers import MOST_WATCHED_VIDEOS
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import Job, Names, Target, open_dataset
from socl_pipeline.pipeline.recipes.sources import benchmark_annotations, benchmark_entry
from socl_pipeline.pipeline.recipes.training import weights_of
from socl_pipeline.settings import Config, PythonTrackerSettings, ResultsTrackerSettings
from socl_pipeline.trackers.foreign import digest_results, foreign_results
from socl_pipeline.trackers.running import running_of
from socl_pipeline.trackers.user import digest_code


def tracker_params(config: Config, names: Names) -> dict[str, Any]:
    """Return what decides how a tracker tracks, besides its model, weights or code."""
    free = {"device", "model", "weights", "folder", "path"}  # what is in the latter two counts
    return config.tracker(names["tracker"]).model_dump(mode="json", exclude=free)


def tracker_inputs(config: Config, names: Names) -> dict[str, Target]:
    """Return the trained model that a tracker runs on, if it has one."""
    model = getattr(config.tracker(names["tracker"]), "model", None)
    return {"model": Target.of("train", **{**names, "model": model})} if model else {}


def tracker_files(tracker: Any) -> dict[str, str]:
    """Return what tells the files that a tracker is made of: its weights, or a user's code."""
    if isinstance(tracker, PythonTrackerSettings):
        return {"code": digest_code(tracker)}
    return weights_of(tracker)


def track_params(config: Config, names: Names) -> dict[str, Any]:
    """Return what decides a tracker's runs over a benchmark: itself, and how it is run."""
    settings = config.benchmark(names["benchmark"])
    running = running_of(settings, load_manifest(settings.manifest))
    return tracker_params(config, names) | {"running": asdict(running)}


def _tracker_or_results(config: Config, names: Names) -> dict[str, str]:
    """Return what tells the files behind the tracks on a benchmark, besides the benchmark's."""
    tracker, benchmark = config.tracker(names["tracker"]), names["benchmark"]
    if isinstance(tracker, ResultsTrackerSettings):
        results = foreign_results(tracker, config.benchmark(benchmark), benchmark)
        return {"results": digest_results(tracker, results)}
    return tracker_files(tracker)


def track_files(job: Job) -> dict[str, str]:
    """Return what tells the files behind the tracks on a benchmark."""
    return benchmark_annotations(job) | _tracker_or_results(job.config, job.names)


def watched_by_tracks(config: Config, names: Names) -> Any:
    """Return where the benchmark is, and what tells the tracker's files."""
    # some megabytes of weights or results, or a module: Snakemake sees their content change
    files = _tracker_or_results(config, names)
    return {"benchmark": benchmark_entry(config, names), "files": files}


def scoring_of(config: Config, benchmark: str) -> dict[str, Any]:
    """Return how a benchmark is scored. Raises InputError for an unknown convention."""
    settings = config.benchmark(benchmark)
    manifest = load_manifest(settings.manifest)
    try:
        protocol = protocol_of(settings, manifest).name
    except InputError as error:
        raise InputError(f"benchmarks.{benchmark}: {error}") from None
    constants = manifest.constants.model_dump(mode="json")
    return {"protocol": protocol, "convention": settings.convention, "constants": constants}


def check_trackers(config: Config) -> None:
    """Raise InputError for files of trackers that are not there, and for unknown conventions."""
    for benchmark in config.benchmarks:
        scoring_of(config, benchmark)
    for tracker in config.trackers.values():
        if not isinstance(tracker, ResultsTrackerSettings):
            tracker_files(tracker)
        elif tracker.missing == "fail":
            for name, benchmark_settings in config.benchmarks.items():
                foreign_results(tracker, benchmark_settings, name).require()


def score_params(config: Config, names: Names) -> dict[str, Any]:
    """Return how the stage's benchmark is scored."""
    return scoring_of(config, names["benchmark"])


def score_inputs(config: Config, names: Names) -> dict[str, Target]:
    """Return the tracks of all trackers that are compared, by tracker.

    Raises InputError, before anything is tracked, if the benchmark's truth is withheld.
    """
    if is_withheld(config.benchmark(names["benchmark"])):
        raise InputError(why_not_scored(config, names["benchmark"]))
    return {t: Target.of("track", **{**names, "tracker": t}) for t in config.trackers}


def figure_files(job: Job) -> dict[str, str]:
    """Return the digests of a benchmark's boxes and of its sequences' attributes."""
    return benchmark_annotations(job) | {"attributes": job.benchmark.digest_attributes()}


def watched_by_figures(config: Config, names: Names) -> Any:
    """Return where the benchmark is, and what tells its attributes.

    They are read at every start of a workflow, so not those of benchmarks that are too large for
    their annotations to be watched; what the project draws itself has none.
    """
    benchmark = open_dataset(config.benchmark(names["benchmark"]))
    known = benchmark.manifest.generate is None and len(benchmark.names()) <= MOST_WATCHED_VIDEOS
    attributes = benchmark.digest_attributes() if known else None
    return {"benchmark": benchmark_entry(config, names), "attributes": attributes}


def figure_params(config: Config, names: Names) -> dict[str, Any]:
    """Return what the figures of a benchmark show, and in which colours."""
    scoring = scoring_of(config, names["benchmark"])
    return {**names, "palette": list(config.report.palette), "scoring": scoring}
