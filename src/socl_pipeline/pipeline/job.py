"""One artifact to make: its target, the stage that makes it, and the job that does."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from socl_pipeline.datasets.manifest import dataset_root, load_manifest, require_root
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.errors import InputError
from socl_pipeline.faults import disk_is_full
from socl_pipeline.pipeline.artifact import (
    Recipe,
    Summary,
    build,
    content_hash,
    publish,
    read_summary,
)
from socl_pipeline.settings import BenchmarkSettings, Config, DatasetSettings, OnBadFrame

Names = Mapping[str, str]  # what fills the wildcards of a stage


def stage_table() -> Mapping[str, "Stage"]:
    """Return the stages by name, in the order of the data.

    Imported only now: the table is made of functions that name targets.
    """
    from socl_pipeline.pipeline.stages import STAGES

    return STAGES


@dataclass(frozen=True)
class Target:
    """One artifact: a stage and the names that fill its wildcards."""

    stage: str
    names: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, stage: str, **names: str) -> "Target":
        """Make a target, keeping only the names that the stage has."""
        return cls(stage, tuple((k, names[k]) for k in stage_table()[stage].names))

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


def open_dataset(entry: DatasetSettings | BenchmarkSettings) -> Dataset:
    """Return the dataset of a config entry. Raises InputError if its root is missing."""
    manifest = load_manifest(entry.manifest)
    root = dataset_root(manifest, entry.root)
    require_root(manifest, root, str(entry.manifest))
    names = getattr(entry, "sequences", None)
    return Dataset(manifest, root, entry.split, tuple(names) if names else None)


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
        object.__setattr__(self, "stage", stage_table()[self.target.stage])
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
