"""The stages: their names, parameters, inputs and outputs in one table.

The same table drives the command line, the fingerprints that Snakemake watches and `socl status`.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from socl_pipeline.benchmarks.protocols import protocol_of
from socl_pipeline.datasets.manifest import dataset_root, load_manifest, require_root
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.errors import InputError
from socl_pipeline.faults import disk_is_full
from socl_pipeline.pipeline.artifact import (
    Recipe,
    Summary,
    build,
    content_hash,
    digest_files,
    publish,
    read_summary,
)
from socl_pipeline.settings import (
    BenchmarkSettings,
    Config,
    DatasetSettings,
    OnBadFrame,
    PythonTrackerSettings,
    ResultsTrackerSettings,
    TrackedBoxSettings,
)
from socl_pipeline.settings.derived import (
    OUTLINE,
    annotated_dataset,
    derived_name,
    is_outline,
    table_of,
)
from socl_pipeline.settings.tables import COSTS
from socl_pipeline.tables.cells import table_benchmarks, table_cells
from socl_pipeline.tables.missing import missing
from socl_pipeline.top.objectness.data import objectness_file
from socl_pipeline.top.priors import prior_source
from socl_pipeline.trackers.foreign import digest_results, foreign_results
from socl_pipeline.trackers.running import running_of
from socl_pipeline.trackers.user import digest_code

Names = Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """One artifact: a stage and the names that fill its wildcards."""

    stage: str
    names: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, stage: str, **names: str) -> "Target":
        """Make a target, keeping only the names that the stage has."""
        return cls(stage, tuple((k, names[k]) for k in STAGES[stage].names))

    def __str__(self) -> str:
        return f"{self.stage}[{', '.join(v for _, v in self.names)}]"


@dataclass(frozen=True)
class Stage:
    """How one stage fits into the chain.

    version: STAGE_VERSION, raised by hand when the stage's results change.
    output: path below the results folder; payload: its name in the cache.
    params: plain data that decides the result. inputs: the targets it reads, by role.
    files: digests of what it reads besides artifacts. watched: settings that say where that is;
    they belong to the fingerprint, so that Snakemake runs the stage, but not to the recipe.
    """

    name: str
    version: int
    function: str
    names: tuple[str, ...]
    output: str
    payload: str
    params: Callable[[Config, Names], dict[str, Any]]
    inputs: Callable[[Config, Names], dict[str, Target]] = lambda config, names: {}
    files: Callable[["Job"], dict[str, str]] = lambda job: {}
    watched: Callable[[Config, Names], Any] = lambda config, names: None
    digested: tuple[str, ...] = ("**/*",)
    help: str = ""

    def run(self, job: "Job", path: Path) -> Mapping[str, Any]:
        """Call the stage's function, imported only now: some need torch, some must not."""
        module, function = self.function.split(":")
        result: Mapping[str, Any] = getattr(importlib.import_module(module), function)(job, path)
        return result


@dataclass(frozen=True)
class Job:
    """One stage at work on one target: everything a stage's function may look at.

    whole: the config, of which `config` is what holds for the target's dataset.
    workers, dask, memory_mb: how many workers, where, and the MiB they share with the stage
    (`clusters.dask_client`): how to run, never part of a recipe.
    """

    whole: Config
    target: Target
    results: Path = Path("results")
    cache: Path = Path("work/cache")
    workers: int = 1
    bad_frames: OnBadFrame | None = None
    dask: str = "processes"
    memory_mb: int | None = None
    stage: Stage = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage", STAGES[self.target.stage])
        for wildcard, name in self.target.names:
            getattr(self.whole, wildcard)(name)  # an unknown one is an InputError

    @cached_property
    def config(self) -> Config:
        """The config as it is for the target's dataset."""
        return self.whole.for_dataset(self.names["dataset"])

    @property
    def names(self) -> dict[str, str]:
        """The names that fill the stage's wildcards."""
        return dict(self.target.names)

    def sibling(self, target: Target) -> "Job":
        """Return the job of another target of the same run."""
        return replace(self, target=target)

    @property
    def output(self) -> Path:
        """Where the artifact is published."""
        return self.results / self.stage.output.format(**self.names)

    @property
    def summary_path(self) -> Path:
        """Where the artifact's summary is published."""
        return self.output.with_name(self.output.name.split(".")[0] + ".summary.json")

    @property
    def inputs(self) -> dict[str, "Job"]:
        """The upstream jobs, by role."""
        targets = self.stage.inputs(self.config, self.names)
        return {role: self.sibling(target) for role, target in targets.items()}

    def with_upstream(self) -> Iterator[Target]:
        """Yield the targets that the job depends on, each after those before it, and its own."""
        for job in self.inputs.values():
            yield from job.with_upstream()
        yield self.target

    def input(self, role: str) -> Path:
        """Return the published artifact of an input. Raises InputError if it is not there."""
        upstream = self.inputs[role]
        if not upstream.output.exists():
            raise InputError(f"{upstream.output}: not built yet; run `socl {upstream.stage.name}`")
        return upstream.output

    def require_same_params(self, role: str) -> None:
        """Raise InputError if an input was made with other settings than the config's."""
        upstream = self.inputs[role]
        if self.input_summary(role).recipe.params != upstream.params:
            raise InputError(
                f"{upstream.output}: made with other settings than those of the config; run "
                f"`socl {upstream.stage.name}` first"
            )

    def input_summary(self, role: str) -> Summary:
        """Return the summary of an input."""
        return read_summary(self.inputs[role].summary_path)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that decide the result, as plain data."""
        return self.stage.params(self.config, self.names)

    @property
    def fingerprint(self) -> str:
        """The hash of the stage's own settings: what Snakemake compares (its only `params`)."""
        watched = self.stage.watched(self.config, self.names)
        return content_hash([self.stage.name, self.stage.version, self.params, watched])

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe, from the published inputs as they are now."""
        digests = {role: read_summary(job.summary_path).digest for role, job in self.inputs.items()}
        digests |= self.stage.files(self)
        return Recipe(self.stage.name, self.stage.version, self.params, digests)

    @property
    def dataset(self) -> Dataset:
        """The dataset that the job's target names."""
        return open_dataset(self.config.dataset(self.names["dataset"]))

    @property
    def benchmark(self) -> Dataset:
        """The benchmark's sequences that the job's target names."""
        return open_dataset(self.config.benchmark(self.names["benchmark"]))

    @property
    def on_bad_frame(self) -> OnBadFrame:
        """What to do with a broken frame: the command line's word, or the dataset's."""
        return self.bad_frames or self.config.dataset(self.names["dataset"]).on_bad_frame

    def execute(self) -> Summary:
        """Build the artifact, or find it in the cache, and publish it.

        Raises InputError if the disk is full; what is finished is kept.
        """
        try:
            payload, summary = build(
                self.recipe,
                self.cache,
                self.stage.payload,
                lambda path: self.stage.run(self, path.resolve()),  # workers may be elsewhere
                self.stage.digested,
            )
            self._refuse_skipped(summary)
            publish(payload, summary, self.output, self.summary_path)
        except OSError as error:
            if not disk_is_full(error):
                raise
            raise InputError(
                f"{self.cache / self.stage.name}: the disk is full (or {self.results}, if it is "
                "on another); free space and run the same command again, what is finished is kept"
            ) from None
        return summary

    def _refuse_skipped(self, summary: Summary) -> None:
        """Raise InputError if frames were left out when this was built, and may not be now."""
        skipped = summary.stats.get("skipped")
        if skipped and self.on_bad_frame == "fail":
            raise InputError(
                f"{skipped[0]['reason']} ({len(skipped)} left out in all); mend it, or pass "
                "--on-bad-frame skip to leave it out"
            )


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


def open_dataset(entry: DatasetSettings | BenchmarkSettings) -> Dataset:
    """Return the dataset of a config entry. Raises InputError if its root is missing."""
    manifest = load_manifest(entry.manifest)
    root = dataset_root(manifest, entry.root)
    require_root(manifest, root, str(entry.manifest))
    names = getattr(entry, "sequences", None)
    return Dataset(manifest, root, entry.split, tuple(names) if names else None)


def _points_params(config: Config, names: Names) -> dict[str, Any]:
    return config.dataset(names["dataset"]).points.model_dump(mode="json")


def _views(config: Config) -> dict[str, Any]:
    return {"views": config.views.model_dump(mode="json")}


def _proposal_params(config: Config, names: Names) -> dict[str, Any]:
    params = config.proposals.model_dump(mode="json", exclude={"shard_frames"})
    del params["edgeboxes"]["model"]  # its content counts: `_forest`
    return params | _views(config)


def _forest(config: Config, names: Names) -> dict[str, str]:
    path = config.proposals.edgeboxes.model
    return {} if path is None else {"forest": _file(path)}


def _top_map_params(config: Config, names: Names) -> dict[str, Any]:
    free = {"objectness", "shard_frames"}
    return config.top_maps.model_dump(mode="json", exclude=free) | _views(config)


def _top_map_inputs(config: Config, names: Names) -> dict[str, Target]:
    stages = ("points", "proposals") if config.top_maps.prior == "top" else ("points",)
    inputs = {stage: Target.of(stage, **names) for stage in stages}
    if (boxes := config.top_maps.pseudo_boxes) is not None:
        config.boxes(boxes)  # an unknown one is an InputError
        source = annotated_dataset(config, names["dataset"])
        inputs["pseudo_boxes"] = Target.of("pseudo_boxes", dataset=source, boxes=boxes)
    return inputs


def _tables_or_code(config: Config, names: Names) -> dict[str, str]:
    """Return the digest of the prior's tables, or of the file that holds a user's prior."""
    settings = config.top_maps
    if settings.prior == "top":
        return {"objectness": _file(objectness_file(settings.objectness, config.views.kind))}
    source = prior_source(settings.prior)
    return {} if source is None else {"prior": _file(source)}


def _prior_files(job: Job) -> dict[str, str]:
    """Return the digest of what the prior reads besides artifacts: tables, boxes, or its code."""
    if job.config.top_maps.prior == "boxes":
        return {"annotations": job.dataset.digest()}
    return _tables_or_code(job.config, job.names)


def _train_params(config: Config, names: Names) -> dict[str, Any]:
    # where and how often a run is saved does not decide what it learns
    free = {"device", "processes", "checkpoint_minutes", "compile", "loader_workers", "weights"}
    settings = config.model(names["model"])
    return settings.model_dump(mode="json", exclude=free | {"data"} | settings.unused)


def _train_inputs(config: Config, names: Names) -> dict[str, Target]:
    source = derived_name(names["dataset"], config.model(names["model"]).data)
    return {"patches": Target.of("patches", dataset=source)}


def _track_params(config: Config, names: Names) -> dict[str, Any]:
    free = {"device", "model", "weights", "folder", "path"}  # what is in the latter two counts
    return config.tracker(names["tracker"]).model_dump(mode="json", exclude=free)


def _run_params(config: Config, names: Names) -> dict[str, Any]:
    """Return what decides a tracker's runs over a benchmark: itself, and how it is run."""
    settings = config.benchmark(names["benchmark"])
    running = running_of(settings, load_manifest(settings.manifest))
    return _track_params(config, names) | {"running": asdict(running)}


def _track_inputs(config: Config, names: Names) -> dict[str, Target]:
    model = getattr(config.tracker(names["tracker"]), "model", None)
    return {"model": Target.of("train", **{**names, "model": model})} if model else {}


def _scores_inputs(config: Config, names: Names) -> dict[str, Target]:
    return {t: Target.of("track", **{**names, "tracker": t}) for t in config.trackers}


def _scoring(config: Config, benchmark: str) -> dict[str, Any]:
    """Return how a benchmark is scored. Raises InputError for an unknown convention."""
    settings = config.benchmark(benchmark)
    manifest = load_manifest(settings.manifest)
    try:
        protocol = protocol_of(settings, manifest).name
    except InputError as error:
        raise InputError(f"benchmarks.{benchmark}: {error}") from None
    constants = manifest.constants.model_dump(mode="json")
    return {"protocol": protocol, "convention": settings.convention, "constants": constants}


def _pseudo_box_params(config: Config, names: Names) -> dict[str, Any]:
    entry = config.boxes(names["boxes"])
    params = {"settings": entry.model_dump(mode="json", exclude={"tracker"})}
    if isinstance(entry, TrackedBoxSettings):
        params["tracker"] = _track_params(config, {**names, "tracker": entry.tracker})
    return params


def _pseudo_box_inputs(config: Config, names: Names) -> dict[str, Target]:
    inputs = _from("points")(config, names)
    entry = config.boxes(names["boxes"])
    if isinstance(entry, TrackedBoxSettings):
        inputs |= _track_inputs(config, {**names, "tracker": entry.tracker})
    return inputs


def _pseudo_box_weights(config: Config, names: Names) -> dict[str, str]:
    entry = config.boxes(names["boxes"])
    return (
        _own_files(config.tracker(entry.tracker)) if isinstance(entry, TrackedBoxSettings) else {}
    )


def _box_quality_inputs(config: Config, names: Names) -> dict[str, Target]:
    return _from("points")(config, names) | {
        f"boxes/{b}": Target.of("pseudo_boxes", **{**names, "boxes": b})
        for b in config.pseudo_boxes
    }


def _box_quality_params(config: Config, names: Names) -> dict[str, Any]:
    return {
        **names,
        **config.box_quality.model_dump(mode="json"),
        "entries": list(config.pseudo_boxes),
        "seconds_per_box": config.costs.box_seconds,
        "seconds_per_click": config.dataset(names["dataset"]).points.seconds_per_frame,
        "palette": list(config.report.palette),
    }


def _report_params(config: Config, names: Names) -> dict[str, Any]:
    # how the store's maps look is no part of its digest, but the report shows them
    pictures = config.top_maps.model_dump(include={"clip", "map_size", "map_context"})
    shown = {"maps": pictures, "box_seconds": config.costs.box_seconds}
    return {**names, **config.report.model_dump(mode="json"), **shown}


def _report_inputs(config: Config, names: Names) -> dict[str, Target]:
    inputs = _top_map_inputs(config, names)
    inputs |= {stage: Target.of(stage, **names) for stage in ("top_maps", "patches")}
    inputs |= {f"model/{m}": Target.of("train", **{**names, "model": m}) for m in config.models}
    return inputs | {
        f"{role}/{b}": Target.of(stage, **{**names, "benchmark": b})
        for role, stage in (("scores", "scores"), ("figures", "figure"))
        for b in config.benchmarks
    }


def _table_params(config: Config, names: Names) -> dict[str, Any]:
    settings = config.table(names["table"])
    params = {
        **names,
        "settings": settings.model_dump(mode="json"),
        "palette": list(config.report.palette),
    }
    if settings.columns == COSTS:
        return params | {"costs": config.costs.model_dump(mode="json")}
    cells = table_cells(config, names["dataset"], names["table"])
    trainings: int | InputError = 0
    if is_outline(names["table"]):
        try:
            trainings = len(trainings_of(config, names["dataset"], names["table"]))
        except InputError as error:  # a variant that the config's model cannot take
            trainings = error
    return params | {
        "cells": [cell.plain() for cell in cells],
        "benchmarks": {b: _scoring(config, b) for b in table_benchmarks(config)},
        "missing": missing(config, names["table"], trainings),
    }


def trainings_of(config: Config, dataset: str, table: str) -> set[Target]:
    """Return the trainings that a table, or an outline's, needs and `snakemake all` does not do."""
    job = Job(config, Target.of("table", dataset=dataset, table=table_of(table)))
    needed = {t for t in job.with_upstream() if t.stage == "train"}
    return needed - set(all_targets(config))


def _table_inputs(config: Config, names: Names) -> dict[str, Target]:
    if config.table(names["table"]).columns == COSTS:
        return {"points": Target.of("points", **names)}
    return {
        cell.role(benchmark, tracker): Target.of(
            "track", dataset=cell.dataset, benchmark=benchmark, tracker=tracker
        )
        for benchmark in table_benchmarks(config)
        for cell in table_cells(config, names["dataset"], names["table"])
        for tracker in cell.trackers
    }


def _table_files(job: Job) -> dict[str, str]:
    names = table_benchmarks(job.config)
    return {f"annotations/{b}": open_dataset(job.config.benchmark(b)).digest() for b in names}


def _figure_params(config: Config, names: Names) -> dict[str, Any]:
    scoring = _scoring(config, names["benchmark"])
    return {**names, "palette": list(config.report.palette), "scoring": scoring}


def _file(path: Path) -> str:
    """Return the digest of a file that the config names. Raises InputError if it is missing."""
    if not path.is_file():
        raise InputError(f"{path}: no such file, though the config names it")
    return digest_files(path, ())


def _dataset_entry(config: Config, names: Names) -> Any:
    entry = config.dataset(names["dataset"])
    return entry.model_dump(mode="json", include={"manifest", "root", "split"})


def _benchmark_entry(config: Config, names: Names) -> Any:
    where = {"manifest", "root", "split", "sequences"}
    return config.benchmark(names["benchmark"]).model_dump(mode="json", include=where)


def _weights(entry: Any) -> dict[str, str]:
    """Return what tells the pretrained weights of a model or tracker, if it has any."""
    weights = getattr(entry, "weights", None)
    if weights is None:
        return {}
    # published weights stay as they are: their file's name has the hash of its content
    return {"weights": _file(weights) if isinstance(weights, Path) else weights}


def _own_files(tracker: Any) -> dict[str, str]:
    """Return what tells the files that a tracker is made of: its weights, or a user's code."""
    if isinstance(tracker, PythonTrackerSettings):
        return {"code": digest_code(tracker)}
    return _weights(tracker)


def _track_files(config: Config, names: Names) -> dict[str, str]:
    """Return what tells the files behind the tracks on a benchmark, besides the benchmark's."""
    tracker, benchmark = config.tracker(names["tracker"]), names["benchmark"]
    if isinstance(tracker, ResultsTrackerSettings):
        results = foreign_results(tracker, config.benchmark(benchmark), benchmark)
        return {"results": digest_results(tracker, results)}
    return _own_files(tracker)


def _watched_by_tracks(config: Config, names: Names) -> Any:
    # some megabytes of weights or results, or a module: Snakemake sees their content change
    files = _track_files(config, names)
    return {"benchmark": _benchmark_entry(config, names), "files": files}


def _from(stage: str) -> Callable[[Config, Names], dict[str, Target]]:
    return lambda config, names: {s: Target.of(s, **names) for s in stage.split()}


_DATASET = ("dataset",)
STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            name="points",
            version=1,
            function="socl_pipeline.annotation.points:run",
            names=_DATASET,
            output="{dataset}/points.parquet",
            payload="points.parquet",
            params=_points_params,
            files=lambda job: {"annotations": job.dataset.digest()},
            watched=_dataset_entry,
            help="Turn a dataset's annotations into clicks and sparse boxes.",
        ),
        Stage(
            name="proposals",
            version=2,
            function="socl_pipeline.top.proposals:run",
            names=_DATASET,
            output="{dataset}/proposals",
            payload="proposals",
            params=_proposal_params,
            inputs=_from("points"),
            files=lambda job: _forest(job.config, job.names),
            watched=_forest,  # a few megabytes at most: Snakemake sees their content change
            help="Find EdgeBoxes near each click and draw the random windows.",
        ),
        Stage(
            name="top_maps",
            version=2,
            function="socl_pipeline.top.top_maps:run",
            names=_DATASET,
            output="{dataset}/top_maps.zarr",
            payload="top_maps.zarr",
            params=_top_map_params,
            inputs=_top_map_inputs,
            files=_prior_files,
            watched=_tables_or_code,
            help="Score the proposals and keep the boxes that make each frame's TOP map.",
        ),
        Stage(
            name="patches",
            version=2,
            function="socl_pipeline.patches.cut:run",
            names=_DATASET,
            output="{dataset}/patches",
            payload="patches",
            params=lambda config, names: config.patches.model_dump(mode="json"),
            inputs=_from("points top_maps"),
            help="Cut and pack the training patches.",
        ),
        Stage(
            name="train",
            version=2,
            function="socl_pipeline.training.train:run",
            names=("dataset", "model"),
            output="{dataset}/models/{model}",
            payload="model",
            params=_train_params,
            inputs=_train_inputs,
            files=lambda job: _weights(job.config.model(job.names["model"])),
            watched=lambda config, names: _weights(config.model(names["model"])),
            digested=("weights.safetensors", "metrics.parquet", "validation.parquet"),
            help="Train a model on the packed patches.",
        ),
        Stage(
            name="track",
            version=3,
            function="socl_pipeline.trackers.track:run",
            names=("dataset", "benchmark", "tracker"),
            output="{dataset}/tracks/{benchmark}/{tracker}.parquet",
            payload="tracks.parquet",
            params=_run_params,
            inputs=_track_inputs,
            files=lambda job: (
                {"annotations": job.benchmark.digest()} | _track_files(job.config, job.names)
            ),
            watched=_watched_by_tracks,
            help="Run a tracker over a benchmark.",
        ),
        Stage(
            name="scores",
            version=2,
            function="socl_pipeline.benchmarks.scores:run",
            names=("dataset", "benchmark"),
            output="{dataset}/scores/{benchmark}.parquet",
            payload="scores.parquet",
            params=lambda config, names: _scoring(config, names["benchmark"]),
            inputs=_scores_inputs,
            files=lambda job: {"annotations": job.benchmark.digest()},
            watched=_benchmark_entry,
            help="Score all trackers on a benchmark.",
        ),
        Stage(
            name="figure",
            version=1,
            function="socl_pipeline.figures.figure:run",
            names=("dataset", "benchmark"),
            output="{dataset}/figures/{benchmark}",
            payload="figures",
            params=_figure_params,
            inputs=_from("scores"),
            files=lambda job: {"annotations": job.benchmark.digest()},  # attributes
            watched=_benchmark_entry,
            help="Draw the figures of a benchmark.",
        ),
        Stage(
            name="pseudo_boxes",
            version=1,
            function="socl_pipeline.pseudo_boxes.pseudo_boxes:run",
            names=("dataset", "boxes"),
            output="{dataset}/pseudo_boxes/{boxes}.parquet",
            payload="boxes.parquet",
            params=_pseudo_box_params,
            inputs=_pseudo_box_inputs,
            # frames without a click are not in the points, but are tracked through
            files=lambda job: (
                {"annotations": job.dataset.digest()} | _pseudo_box_weights(job.config, job.names)
            ),
            watched=lambda config, names: {
                "dataset": _dataset_entry(config, names),
                "weights": _pseudo_box_weights(config, names),
            },
            help="Make the boxes between the sparse ones, by a tracker or by interpolation.",
        ),
        Stage(
            name="box_quality",
            version=1,
            function="socl_pipeline.pseudo_boxes.box_quality:run",
            names=_DATASET,
            output="{dataset}/box_quality",
            payload="box_quality",
            params=_box_quality_params,
            inputs=_box_quality_inputs,
            files=lambda job: {"annotations": job.dataset.digest()},
            watched=_dataset_entry,
            help="Compare pseudo boxes with a dataset's true boxes.",
        ),
        Stage(
            name="table",
            version=2,
            function="socl_pipeline.tables.table:run",
            names=("dataset", "table"),
            output="{dataset}/tables/{table}",
            payload="table",
            params=_table_params,
            inputs=_table_inputs,
            files=_table_files,
            watched=lambda config, names: [
                _benchmark_entry(config, {"benchmark": b}) for b in table_benchmarks(config)
            ],
            help="Write a table or figure of the paper, or one of your own.",
        ),
        Stage(
            name="report",
            version=4,
            function="socl_pipeline.report.report:run",
            names=_DATASET,
            output="{dataset}/report.html",
            payload="report.html",
            params=_report_params,
            inputs=_report_inputs,
            files=table_digests,
            help="Write the self-contained HTML report.",
        ),
    )
}


def all_targets(config: Config) -> Iterator[Target]:
    """Yield every artifact that a config names and something reads, upstream first.

    Tables and what only they need are not among them: they are made when they are asked for.
    """
    known: dict[str, Mapping[str, Any]] = {
        "boxes": config.pseudo_boxes,
        "dataset": config.datasets,
        "model": config.models,
        "tracker": config.trackers,
        "benchmark": config.benchmarks,
        "table": {},
    }
    left_out = {
        "proposals": [d for d in config.datasets if config.for_dataset(d).top_maps.prior != "top"],
        "box_quality": [d for d in config.datasets if not has_box_quality(config, d)],
    }
    for stage in STAGES.values():
        for values in product(*(known[name] for name in stage.names)):
            if values[0] not in left_out.get(stage.name, ()):
                yield Target(stage.name, tuple(zip(stage.names, values, strict=True)))


def has_box_quality(config: Config, dataset: str) -> bool:
    """Return whether pseudo boxes are made of a dataset that may have true boxes beside them.

    All boxes of `clicks.csv` are sparse ones: nothing is left to compare pseudo boxes with.
    """
    layout = load_manifest(config.dataset(dataset).manifest).layout
    return bool(config.pseudo_boxes) and layout != "clips"
