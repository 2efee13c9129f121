"""What the Snakefile asks: which config serves which dataset, and each job's fingerprint.

Every file in config/ names its own datasets, so a target below results/{dataset}/ is built with
the file that names that dataset; `--configfile` replaces them all by one. `--config` values are
laid over whichever file is used.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from socl_pipeline.datasets.manifest import Manifest, dataset_root, load_manifest
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import write_atomic
from socl_pipeline.pipeline.job import Job, Target, open_dataset
from socl_pipeline.pipeline.recipes.tracking import check_trackers
from socl_pipeline.pipeline.stages import STAGES
from socl_pipeline.pipeline.targets import all_targets, is_current, table_digests, trainings_of
from socl_pipeline.presets import overlay
from socl_pipeline.settings import (
    BenchmarkSettings,
    Config,
    DatasetSettings,
    load_config,
    validate_config,
)
from socl_pipeline.settings.derived import OUTLINE, derived_name, split_name
from socl_pipeline.tables.cells import base_dataset, table_benchmarks

DEFAULT = "demo.yaml"
_RULES = ("all", "demo_data", "figures", "tables")  # besides those of the stages


class Plan:
    """The configs of one Snakemake run."""

    def __init__(
        self,
        given: Mapping[str, Any],
        *,
        complete: bool = False,
        folder: Path = Path("config"),
        effective: Path = Path("work/config"),
    ) -> None:
        """Take what Snakemake was given on its command line and check the default config.

        given: a whole config (complete: --configfile), or values to lay over the shipped ones.
        """
        self._given, self._folder, self._effective = dict(given), folder, effective
        self._complete = complete
        self._asked: set[str] = set()
        self._loaded: dict[str, Config] = {}
        self.default = (
            validate_config(self._given, "the config given to Snakemake")
            if self._complete
            else self._load(folder / DEFAULT)
        )
        for name in self.default.tables.own.keys() & {*STAGES, *_RULES}:
            raise InputError(f"tables.own.{name}: a rule has that name; choose another")
        for name in self.default.datasets:
            self._check_sources(self.default, name)

    def _load(self, path: Path) -> Config:
        if not self._given:
            return load_config(path)
        load_config(path)  # its own errors are named before those of the values laid over it
        raw = overlay(yaml.safe_load(path.read_text()), self._given)
        return validate_config(raw, f"{path} with the values of --config")

    @cached_property
    def _others(self) -> dict[str, Path]:
        """The datasets that the other config files name. Raises InputError if two name one."""
        found: dict[str, Path] = {}
        for path in [] if self._complete else sorted(self._folder.glob("*.yaml")):
            if path.name == DEFAULT:
                continue
            for name in load_config(path).datasets:
                first = self._folder / DEFAULT if name in self.default.datasets else found.get(name)
                if first is not None:
                    raise InputError(f"{first} and {path} both name a dataset {name!r}; rename one")
                found[name] = path
        return found

    def config(self, dataset: str) -> Config:
        """Return the config that names a dataset, or the base of a derived one.

        Raises InputError if none does.
        """
        base, _ = split_name(dataset)
        if base in self.default.datasets:
            return self.default
        if base not in self._others:
            known = ", ".join([*self.default.datasets, *self._others])
            raise InputError(f"no config names a dataset {base!r}; known: {known}")
        if base not in self._loaded:
            config = self._load(self._others[base])
            self._check_sources(config, base)
            self._loaded[base] = config
        return self._loaded[base]

    def _check_sources(self, config: Config, dataset: str) -> None:
        """Raise InputError now for what would otherwise stop a run after hours."""
        entries: list[DatasetSettings | BenchmarkSettings] = [config.datasets[dataset]]
        for entry in [*entries, *config.benchmarks.values()]:
            source = open_dataset(entry)
            if source.manifest.generate is None or source.is_there():
                source.names()
        networks = [*config.models.values(), *config.trackers.values()]
        weights = [getattr(network, "weights", None) for network in networks]
        own = config.for_dataset(dataset)
        for path in (own.top_maps.objectness, own.proposals.edgeboxes.model, *weights):
            if isinstance(path, Path) and not path.is_file():
                raise InputError(f"{path}: no such file, though the config names it")
        check_trackers(config)

    def job(self, stage: str, **names: str) -> Job:
        """Return a stage's job for the wildcards of a rule."""
        return Job(self.config(names["dataset"]), Target.of(stage, **names))

    def fingerprint(self, stage: str, wildcards: Any) -> str:
        """Return what a rule has as its only `params`."""
        names = dict(wildcards.items())
        self._asked.add(names["dataset"])
        return self.job(stage, **names).fingerprint

    def summaries(self, stage: str, wildcards: Any) -> list[str]:
        """Return the summaries of the artifacts that a stage reads, which the config decides."""
        inputs = self.job(stage, **dict(wildcards.items())).inputs
        return [str(job.summary_path) for job in inputs.values()]

    def write_configs(self) -> None:
        """Lay down the config of each dataset that is worked on, for the jobs to read."""
        self._effective.mkdir(parents=True, exist_ok=True)
        for dataset in self._asked:
            text = self.config(dataset).model_dump_json(indent=1) + "\n"
            write_atomic(self._effective / f"{dataset}.json", text)

    def dataset_files(self, dataset: str) -> list[str]:
        """Return the files that the points of a dataset depend on."""
        return _entry_files(self.config(dataset).dataset(dataset))

    def benchmark_files(self, dataset: str, benchmark: str) -> list[str]:
        """Return the files that tracks on a benchmark depend on."""
        return _entry_files(self.config(dataset).benchmark(benchmark))

    def model_of(self, dataset: str, tracker: str) -> str | None:
        """Return the model that a tracker runs on, if it has one."""
        return getattr(self.config(dataset).tracker(tracker), "model", None)

    def table_files(self, dataset: str) -> list[str]:
        """Return the files that the scores in a table depend on."""
        names = table_benchmarks(self.config(dataset))
        return [f for name in names for f in self.benchmark_files(dataset, name)]

    @property
    def everything(self) -> list[str]:
        """What `snakemake all` makes: reports, pseudo boxes, and the results that reports rest on.

        Naming the latter brings one back that was deleted, which a complete report does not ask
        for. What training rests on is not named: it is large, and may be deleted for its disk.
        """
        return self._all("track", "scores", "figure", "pseudo_boxes", "box_quality", "report")

    @property
    def figures(self) -> list[str]:
        """The figures of all benchmarks that the default config names."""
        return self._all("figure")

    def _all(self, *stages: str) -> list[str]:
        found = [t for t in all_targets(self.default) if t.stage in stages]
        return [str(Job(self.default, target).output) for target in found]

    @property
    def tables(self) -> dict[str, str]:
        """The summaries of the tables that can be asked for by name."""
        dataset = base_dataset(self.default)
        known = self.default.known_tables
        return {t: str(self.job("table", dataset=dataset, table=t).summary_path) for t in known}

    @property
    def all_tables(self) -> list[str]:
        """The summaries of all tables; of those that would train models, of their outlines.

        `tables.train` names those that may train what `snakemake all` does not, and has not been
        trained with the present settings.
        """
        dataset, allowed = base_dataset(self.default), self.default.tables.train
        names = [
            table
            if allowed == "all" or table in allowed or self._is_trained(dataset, table)
            else derived_name(table, OUTLINE)
            for table in self.default.known_tables
        ]
        return [str(self.job("table", dataset=dataset, table=n).summary_path) for n in names]

    def made_tables(self, dataset: str) -> list[str]:
        """Return what a report can show of tables, for Snakemake to see that it has changed."""
        digests = table_digests(self.job("report", dataset=dataset))
        return [f"{role} {digest}" for role, digest in digests.items()]

    def _is_trained(self, dataset: str, table: str) -> bool:
        """Return whether a table has runs, and all models that it needs are there.

        A table that asks the config's model for what it cannot be is none.
        """
        job = self.job("table", dataset=dataset, table=table)
        try:
            needed = [Job(self.default, t) for t in trainings_of(self.default, dataset, table)]
        except InputError:
            return False
        return bool(job.inputs) and all(map(is_current, needed))

    @cached_property
    def generated(self) -> dict[str, Path]:
        """The roots of datasets that the project draws itself, with their manifests."""
        entries: list[DatasetSettings | BenchmarkSettings] = [
            *self.default.datasets.values(),
            *self.default.benchmarks.values(),
        ]
        found = [(entry, load_manifest(entry.manifest)) for entry in entries]
        return {
            str(dataset_root(manifest, entry.root)): entry.manifest
            for entry, manifest in found
            if manifest.generate is not None
        }


def _entry_files(entry: DatasetSettings | BenchmarkSettings) -> list[str]:
    source = open_dataset(entry)
    if source.manifest.generate is not None:
        files = generated_files(source.manifest, source.root)
    else:
        files = source.watched_files()
    return [str(entry.manifest), *map(str, files)]


def generated_files(manifest: Manifest, root: Path) -> list[Path]:
    """Return the files that drawing a dataset writes last."""
    return [root / split.folder / split.list for split in manifest.splits.values()]
