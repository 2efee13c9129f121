"""Artifacts: built once in a cache under the hash of their recipe, published as a link.

A recipe is everything that decides an artifact's content: the stage, its version, its parameters
and the digests of the artifacts it reads. The cache folder of a recipe is filled in atomic
pieces under a lock, so a killed build goes on where it was, and going back to an old config
costs a link. Consumers depend on the small summary beside the link.
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from socl_pipeline import __version__
from socl_pipeline.errors import InputError

logger = logging.getLogger(__name__)

SUMMARY = "summary.json"
SCRATCH = "scratch"


def canonical_json(value: Any) -> str:
    """Return JSON whose text depends on the content only, not on the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def content_hash(value: Any) -> str:
    """Return 16 hex digits that identify plain data."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Recipe:
    """What decides an artifact: equal recipes give equal artifacts."""

    stage: str
    version: int
    params: dict[str, Any]
    inputs: dict[str, str]

    @property
    def key(self) -> str:
        """The name of the recipe's cache folder."""
        return content_hash(asdict(self))

    def metadata(self) -> dict[str, str]:
        """Return the recipe as flat text, for the metadata of Parquet and safetensors files."""
        return {"socl_recipe": canonical_json(asdict(self))}


@dataclass(frozen=True)
class Summary:
    """The small public description of a finished artifact.

    No clock is in it, so that it is stable, but for a stage that measures its own speed.
    """

    recipe: Recipe
    digest: str
    stats: dict[str, Any]
    package_version: str = __version__

    def to_json(self) -> str:
        """Return the summary as indented JSON."""
        return json.dumps(asdict(self) | {"key": self.recipe.key}, indent=1, sort_keys=True) + "\n"


def read_summary(path: Path) -> Summary:
    """Read a summary file. Raises InputError if it is missing or not one of ours."""
    try:
        raw = json.loads(path.read_text())
        recipe = Recipe(**raw["recipe"])
        return Summary(recipe, raw["digest"], raw["stats"], raw["package_version"])
    except FileNotFoundError:
        raise InputError(f"{path}: the artifact is not built yet; run its stage first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a summary of this package ({error}); delete it and run its stage again"
        ) from None


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that readers see all of it or none."""
    with atomic_path(path) as temporary:
        temporary.write_text(text)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; a second builder of the same artifact waits for the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another process builds this artifact; waiting for it (%s)", path)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest_files(root: Path, patterns: tuple[str, ...]) -> str:
    """Return the sha256 of a file, or of the matching files of a folder with their names."""
    digest = hashlib.sha256()
    if root.is_file():
        _update(digest, root)
    else:
        files = {p for pattern in patterns for p in root.glob(pattern) if p.is_file()}
        for path in sorted(p for p in files if not p.name.startswith(".")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            _update(digest, path)
    return digest.hexdigest()


def _update(digest: Any, path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)


def scratch_folder(payload: Path) -> Path:
    """Return the folder for what a build needs only until it is finished."""
    return payload.parent / SCRATCH


def build(
    recipe: Recipe,
    cache: Path,
    payload: str,
    make: Callable[[Path], Mapping[str, Any]],
    digested: tuple[str, ...] = ("**/*",),
) -> tuple[Path, Summary]:
    """Return the recipe's payload, making it if the cache does not hold it yet.

    `make(path)` fills `path` (a file or folder inside the recipe's cache folder), going on from
    whatever an earlier, killed call left there, and returns statistics for the summary. If they
    hold a `digest`, it stands for the content instead of the bytes of the files. What it keeps in
    `scratch_folder(path)` (checkpoints, pieces) is deleted once the summary is written.
    """
    folder = cache / recipe.stage / recipe.key
    path = folder / payload
    with lock(cache / recipe.stage / f"{recipe.key}.lock"):
        if (folder / SUMMARY).exists():
            logger.info("%s: found in the cache (%s)", recipe.stage, recipe.key)
            return path, read_summary(folder / SUMMARY)
        folder.mkdir(parents=True, exist_ok=True)
        stats = dict(make(path))
        digest = stats.pop("digest", None) or digest_files(path, digested)
        summary = Summary(recipe, digest, stats)
        write_atomic(folder / SUMMARY, summary.to_json())
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    return path, summary


def publish(payload: Path, summary: Summary, target: Path, summary_path: Path) -> None:
    """Link `target` to the payload in the cache, then write the summary that consumers watch."""
    target.parent.mkdir(parents=True, exist_ok=True)
    link = target.with_name(f".{target.name}.{os.getpid()}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(payload, target.parent.resolve()))
    if target.is_dir() and not target.is_symlink():
        link.unlink()
        raise InputError(f"{target}: a folder stands where a link should be; move it away")
    link.replace(target)
    write_atomic(summary_path, summary.to_json())
