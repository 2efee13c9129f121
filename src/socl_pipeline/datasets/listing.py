"""The benchmarks that a folder of manifests knows."""

from collections.abc import Iterator
from pathlib import Path

from socl_pipeline.datasets.manifest import Manifest, load_manifest
from socl_pipeline.errors import InputError
from socl_pipeline.settings.errors import nearest

UNKNOWN = "-"


def find_manifest(name: str, folder: Path) -> Path:
    """Return the file of a manifest: `name` is one, or names one in the folder.

    Raises InputError with the nearest name if there is none.
    """
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        raise InputError(f"{folder}: there is no manifest {name!r}{nearest(name, known)}")
    return path


def listed(folder: Path) -> list[str]:
    """Return a line for every benchmark of a folder, below a line of titles.

    A benchmark with splits has a line for each that has an official number of sequences. Frames
    are told where the manifest has every range; `-` is known from a copy alone.
    """
    rows: list[tuple[str, ...]] = [("name", "split", "sequences", "frames", "protocol", "licence")]
    for path in sorted(folder.glob("*.yaml")):
        rows += _rows(load_manifest(path))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]


def official_frames(manifest: Manifest) -> int | None:
    """Return the frames of all sequences, or None where the manifest leaves a range open."""
    spans = [entry.frames for entry in manifest.sequences.values()]
    known = [last - first + 1 for first, last in (s for s in spans if s)]
    return sum(known) if known and len(known) == len(spans) else None


def _rows(manifest: Manifest) -> Iterator[tuple[str, ...]]:
    ends = (manifest.protocol, manifest.licence)
    if manifest.sequences:
        frames = official_frames(manifest)
        shown = str(frames) if frames else UNKNOWN
        yield (manifest.name, "", str(len(manifest.sequences)), shown, *ends)
    for name, split in manifest.splits.items():
        if split.sequences:
            yield (manifest.name, name, str(split.sequences), UNKNOWN, *ends)
