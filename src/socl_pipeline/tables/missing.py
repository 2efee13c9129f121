"""What a table cannot show, and what would mend it: one sentence for each reason."""

from collections.abc import Sequence

from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.errors import InputError
from socl_pipeline.settings import BenchmarkSettings, Config
from socl_pipeline.settings.derived import is_outline, table_of
from socl_pipeline.settings.tables import COSTS, PaperBenchmark, packaged_tables
from socl_pipeline.tables.cells import rows_without_tracker, table_benchmarks


def missing(config: Config, table: str, trainings: int | InputError) -> list[str]:
    """Return what a table lacks: trackers, benchmarks, and for its outline the trainings.

    trainings: how many the table needs that `snakemake all` does not do, or what is wrong with
    them. Raises InputError for an unknown table.
    """
    settings = config.table(table)
    if settings.columns == COSTS:
        return []
    sentences = [
        f"{', '.join(labels)}: needs a tracker of kind {kind} on a model; name one in `trackers`."
        for kind, labels in rows_without_tracker(config, settings).items()
    ]
    if not table_benchmarks(config):
        sentences.append("Ours: needs a benchmark to score on; name one in `benchmarks`.")
    if isinstance(trainings, InputError):
        sentences.append(f"Ours: {trainings}.")
    elif is_outline(table) and trainings:
        command = f"`snakemake {table_of(table)}`"
        models = "1 model" if trainings == 1 else f"{trainings} models"
        sentences.append(f"Ours: needs {models} to be trained; {command} does that.")
    return sentences + _missing_benchmarks(config, [p.benchmark for p in settings.paper])


def _missing_benchmarks(config: Config, names: Sequence[str]) -> list[str]:
    """Return sentences about benchmarks of the paper that ours are not scored on."""
    known = packaged_tables().benchmarks
    wanted = {
        n: known[n] for n in dict.fromkeys(names) if n in known and not _has(config, known[n])
    }
    withheld = [n for n, b in wanted.items() if b.withheld]
    parts = {n: part for n, b in wanted.items() if (part := _part(config, b))}
    absent = {n: b for n, b in wanted.items() if n not in withheld and n not in parts}
    sentences = [
        f"Not scored on {name}: `{entry}` is {count} of its sequences, and a subset of a benchmark "
        "does not count as it; take `sequences` out of that entry to score all."
        for name, (entry, count) in parts.items()
    ]
    if absent:
        entries = ", ".join(f"{n} (`{b.manifest}`{_split(b)})" for n, b in absent.items())
        manifests = {b.manifest for b in absent.values()}
        name = manifests.pop() if len(manifests) == 1 else "NAME"
        sentences.append(
            f"Not scored on {entries}: put the data where data_manifests/{name}.yaml says, and "
            f"add `{name}: {{manifest: data_manifests/{name}.yaml}}` to `benchmarks`."
        )
    if withheld:
        sentences.append(
            f"Not scored on {', '.join(withheld)}: the true boxes are withheld; send an archive of "
            "results to the server (docs/interchange.md)."
        )
    return sentences


def _split(benchmark: PaperBenchmark) -> str:
    return f", split {benchmark.split}" if benchmark.split else ""


def _has(config: Config, wanted: PaperBenchmark) -> bool:
    """Return whether tables are scored on a benchmark of the paper, in whole."""
    return any(entry.sequences is None for entry in _entries(config, wanted).values())


def _part(config: Config, wanted: PaperBenchmark) -> tuple[str, int] | None:
    """Return the entry that is a subset of a benchmark of the paper, and how many sequences."""
    subsets = ((n, e.sequences) for n, e in _entries(config, wanted).items())
    return next(((name, len(names)) for name, names in subsets if names is not None), None)


def _entries(config: Config, wanted: PaperBenchmark) -> dict[str, BenchmarkSettings]:
    """Return the benchmarks of tables that are one of the paper's, or a subset of it, by name."""
    entries = {name: config.benchmark(name) for name in table_benchmarks(config)}
    return {
        name: entry
        for name, entry in entries.items()
        if load_manifest(entry.manifest).name == wanted.manifest
        and wanted.split in (None, entry.split)
        and not wanted.withheld
    }
