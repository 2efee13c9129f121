"""What is built, what is stale and why, and what nothing links to any more."""

import dataclasses
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import SUMMARY, Recipe, lock, read_summary
from socl_pipeline.pipeline.job import Job, Target
from socl_pipeline.pipeline.targets import all_targets
from socl_pipeline.settings import Config
from socl_pipeline.settings.derived import OUTLINE, derived_name

State = Literal["complete", "stale", "missing"]


@dataclass(frozen=True)
class ArtifactStatus:
    """State of one artifact; `reason` says why it is not complete, `size` is in bytes."""

    target: Target
    output: Path
    state: State
    reason: str
    size: int


def artifact_status(job: Job) -> ArtifactStatus:
    """Compare a published artifact with what the config and its inputs ask for now."""

    def status(state: State, reason: str = "") -> ArtifactStatus:
        size = disk_usage(job.output) if job.output.exists() else 0
        return ArtifactStatus(job.target, job.output, state, reason, size)

    if not job.summary_path.exists() or not job.output.exists():
        return status("missing", "begun, not finished" if _is_partial(job) else "not built")
    try:
        built, wanted = read_summary(job.summary_path).recipe, job.recipe
    except InputError as error:
        return status("stale", str(error))
    reason = "; ".join(differences(built, wanted))
    return status("stale", reason) if reason else status("complete")


def _is_partial(job: Job) -> bool:
    """Return whether the cache holds unfinished work for exactly this artifact."""
    try:
        folder = job.cache / job.stage.name / job.recipe.key
    except InputError:  # an input is missing, so this artifact was not begun
        return False
    return folder.is_dir() and not (folder / SUMMARY).exists()


def differences(built: Recipe, wanted: Recipe) -> Iterator[str]:
    """Yield what differs between two recipes, in words."""
    if built.version != wanted.version:
        yield f"stage version {built.version}, now {wanted.version}"
    old, new = _flat(built.params), _flat(wanted.params)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield f"{key} was {old.get(key)!r}, now {new.get(key)!r}"
    for role in sorted(built.inputs.keys() | wanted.inputs.keys()):
        if built.inputs.get(role) != wanted.inputs.get(role):
            yield f"{role} changed"


def _flat(params: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in params.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def all_statuses(config: Config, results: Path, cache: Path) -> Iterator[ArtifactStatus]:
    """Yield the status of every artifact that a config names, upstream first.

    Then that of the tables that were made, and of what they alone rest on. What was built from an
    artifact that is now stale or missing is stale too.
    """
    behind: set[Target] = set()
    named = (Job(config, target, results, cache) for target in all_targets(config))
    jobs = (*named, *_made_tables(config, results))
    for target in dict.fromkeys(t for job in jobs for t in job.with_upstream()):
        job = Job(config, target, results, cache)
        status = artifact_status(job)
        upstream = [str(i.target) for i in job.inputs.values() if i.target in behind]
        if upstream and status.state == "complete":
            reason = f"after {', '.join(upstream)}"
            status = dataclasses.replace(status, state="stale", reason=reason)
        if status.state != "complete":
            behind.add(target)
        yield status


def _made_tables(config: Config, results: Path) -> Iterator[Job]:
    outlines = [derived_name(table, OUTLINE) for table in config.known_tables]
    for dataset, table in product(config.datasets, [*config.known_tables, *outlines]):
        job = Job(config, Target.of("table", dataset=dataset, table=table), results)
        if job.summary_path.exists():
            yield job


def disk_usage(path: Path) -> int:
    """Return the bytes of a file or folder, links followed."""
    resolved = path.resolve()
    if resolved.is_file():
        return resolved.stat().st_size
    return sum(p.stat().st_size for p in resolved.rglob("*") if p.is_file())


def unused_cache(results: Path, cache: Path, unfinished: bool = False) -> list[Path]:
    """Return the cache folders that no link below the results folder points into.

    unfinished: also those of killed or running builds, which their next run would go on with.
    """
    used = {p.resolve().parent for p in results.rglob("*") if p.is_symlink()}
    folders = [p for p in cache.glob("*/*") if p.is_dir() and p.resolve() not in used]
    return sorted(f for f in folders if unfinished or (f / SUMMARY).exists())


def remove_unused(folders: list[Path]) -> int:
    """Delete cache folders, waiting for whoever builds there; returns the bytes freed."""
    freed = 0
    for folder in folders:
        with lock(folder.with_name(folder.name + ".lock")):
            freed += disk_usage(folder)
            shutil.rmtree(folder)
    return freed


def format_bytes(size: float) -> str:
    """Return a size in the unit that suits it."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
