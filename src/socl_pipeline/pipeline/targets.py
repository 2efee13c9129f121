"""Which artifacts a config names, and which of them are there."""

from collections.abc import Iterable, Iterator
from itertools import product

from socl_pipeline.benchmarks.withheld import scored_benchmarks
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.pipeline.artifact import read_summary
from socl_pipeline.pipeline.job import Job, Target, stage_table
from socl_pipeline.settings import Config
from socl_pipeline.settings.derived import OUTLINE, derived_name, table_of


def all_targets(config: Config) -> Iterator[Target]:
    """Yield every artifact that a config names and something reads, upstream first.

    Tables and what only they need are not among them: they are made when they are asked for.
    """
    known: dict[str, Iterable[str]] = {
        "boxes": config.pseudo_boxes,
        "dataset": config.datasets,
        "model": config.models,
        "tracker": config.trackers,
        "benchmark": config.benchmarks,
        "table": (),
    }
    with_top = [d for d in config.datasets if config.for_dataset(d).top_maps.prior == "top"]
    with_boxes = [d for d in config.datasets if has_box_quality(config, d)]
    scored: dict[str, Iterable[str]] = {"benchmark": scored_benchmarks(config)}
    fewer: dict[str, dict[str, Iterable[str]]] = {
        "proposals": {"dataset": with_top},
        "box_quality": {"dataset": with_boxes},
        "scores": scored,
        "figure": scored,
    }
    for stage in stage_table().values():
        entries = known | fewer.get(stage.name, {})
        for values in product(*(entries[name] for name in stage.names)):
            yield Target(stage.name, tuple(zip(stage.names, values, strict=True)))


def has_box_quality(config: Config, dataset: str) -> bool:
    """Return whether pseudo boxes are made of a dataset that may have true boxes beside them.

    All boxes of `clicks.csv` are sparse ones: nothing is left to compare pseudo boxes with.
    """
    layout = load_manifest(config.dataset(dataset).manifest).layout
    return bool(config.pseudo_boxes) and layout != "clips"


def trainings_of(config: Config, dataset: str, table: str) -> set[Target]:
    """Return the trainings that a table, or an outline's, needs and `snakemake all` does not do."""
    job = Job(config, Target.of("table", dataset=dataset, table=table_of(table)))
    needed = {t for t in job.with_upstream() if t.stage == "train"}
    return needed - set(all_targets(config))


def is_current(job: Job) -> bool:
    """Return whether an artifact is there that was made with the present settings."""
    return job.summary_path.exists() and read_summary(job.summary_path).recipe.params == job.params


def made_tables(job: Job) -> dict[str, Job]:
    """Return the tables of a job's dataset that are there and up to date, by name.

    The outline of a table counts where the table itself does not.
    """
    found = {}
    for table in job.whole.known_tables:
        for name in (table, derived_name(table, OUTLINE)):
            made = job.sibling(Target.of("table", dataset=job.names["dataset"], table=name))
            if is_current(made):
                found[name] = made
                break
    return found


def table_digests(job: Job) -> dict[str, str]:
    """Return the digests of the tables that a report shows; it asks for none to be made."""
    made = made_tables(job).items()
    return {f"table/{name}": read_summary(table.summary_path).digest for name, table in made}
