"""Trackers of kind `results`: a foreign tracker's files, converted to our track table."""

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from socl_pipeline.benchmarks.formats.layouts import ResultFolder, format_of
from socl_pipeline.benchmarks.formats.tracks import table_of
from socl_pipeline.benchmarks.track_table import digest_tracks
from socl_pipeline.benchmarks.tracks import MISSING, Run
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.errors import InputError, listed
from socl_pipeline.pipeline.artifact import atomic_path
from socl_pipeline.settings import BenchmarkSettings, ResultsTrackerSettings, expand
from socl_pipeline.settings.trackers import FormatName

if TYPE_CHECKING:
    from socl_pipeline.pipeline.job import Job

logger = logging.getLogger(__name__)


def result_folder(
    benchmark: BenchmarkSettings, folder: Path, form: FormatName, base: int | None = None
) -> ResultFolder:
    """Return a tracker's folder of results on a benchmark; base: other than the format's own."""
    manifest = load_manifest(benchmark.manifest)
    resets = (benchmark.protocol or manifest.protocol) == "vot"
    return ResultFolder(folder, format_of(form, manifest.layout, resets, base), resets)


def foreign_results(
    settings: ResultsTrackerSettings, benchmark: BenchmarkSettings, name: str
) -> ResultFolder:
    """Return the folder of a tracker's results on the benchmark of this name."""
    folder = Path(expand(settings.folder.replace("{benchmark}", name)))
    return result_folder(benchmark, folder, settings.format, settings.base)


def digest_results(settings: ResultsTrackerSettings, results: ResultFolder) -> str:
    """Return a hash of all result files with their names.

    Raises InputError if there is no such folder, unless missing results are left out.
    """
    digest = hashlib.sha256()
    if results.folder.is_dir() or settings.missing == "fail":
        for path in results.files():
            digest.update(path.relative_to(results.folder).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()


def read_foreign(
    settings: ResultsTrackerSettings, results: ResultFolder, dataset: Dataset
) -> tuple[dict[str, list[Run]], list[str]]:
    """Return the repetitions of each sequence of a dataset, and the sequences without results.

    Raises InputError that names the bad file and line, or the missing sequences unless they are
    to be skipped.
    """
    names = dataset.names()
    missing = [name for name in names if not results.find(name)]
    if missing:
        _report_missing(settings, results, missing, len(names))
    runs = {n: results.read(n, len(dataset.read(n))) for n in names if n not in missing}
    return runs, missing


def _report_missing(
    settings: ResultsTrackerSettings, results: ResultFolder, missing: list[str], sequences: int
) -> None:
    """Raise InputError, or log which sequences are left out."""
    counts = f"{len(missing)} of {sequences} sequences ({listed(missing)})"
    found = f"{results.folder}: no results of {counts}"
    if settings.missing == "fail":
        raise InputError(
            f"{found}; expected {results.expected(missing[0])}: add the files, or set "
            "`missing: skip` to leave these sequences out"
        )
    if len(missing) == sequences:
        raise InputError(
            f"{found}; expected {results.expected(missing[0])}: is the folder or format right?"
        )
    logger.warning("%s; they are left out", found)


def convert(job: "Job", path: Path, schema: pa.Schema) -> dict[str, Any]:
    """Write the track table of a foreign tracker; returns statistics as stage `track` does.

    schema: of the table. Raises InputError as `read_foreign` does.
    """
    settings = job.config.tracker(job.names["tracker"])
    assert isinstance(settings, ResultsTrackerSettings)  # what it is called for
    name = job.names["benchmark"]
    results = foreign_results(settings, job.config.benchmark(name), name)
    runs, missing = read_foreign(settings, results, job.benchmark)
    table = table_of(runs, schema)
    metadata = job.recipe.metadata() | {MISSING.decode(): json.dumps(missing)}
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)
    stats: dict[str, Any] = {"sequences": len(runs), "frames": table.num_rows}
    stats["digest"] = digest_tracks(table)
    return stats | ({"missing": missing} if missing else {})
