"""What the stages have in common: where they read, and digests of what is no artifact."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import digest_files
from socl_pipeline.pipeline.job import Job, Names, Target
from socl_pipeline.settings import Config


def published(*stages: str) -> Callable[[Config, Names], dict[str, Target]]:
    """Return the inputs of a stage that reads what others made for the same names."""
    return lambda config, names: {stage: Target.of(stage, **names) for stage in stages}


def dataset_entry(config: Config, names: Names) -> Any:
    """Return the settings that say where a dataset is."""
    entry = config.dataset(names["dataset"])
    return entry.model_dump(mode="json", include={"manifest", "root", "split"})


def benchmark_entry(config: Config, names: Names) -> Any:
    """Return the settings that say where a benchmark is."""
    where = {"manifest", "root", "split", "sequences"}
    return config.benchmark(names["benchmark"]).model_dump(mode="json", include=where)


def dataset_annotations(job: Job) -> dict[str, str]:
    """Return the digest of the annotations of a job's dataset."""
    return {"annotations": job.dataset.digest()}


def benchmark_annotations(job: Job) -> dict[str, str]:
    """Return the digest of the annotations of a job's benchmark."""
    return {"annotations": job.benchmark.digest()}


def file_digest(path: Path) -> str:
    """Return the digest of a file that the config names. Raises InputError if it is missing."""
    if not path.is_file():
        raise InputError(f"{path}: no such file, though the config names it")
    return digest_files(path, ())
