"""`socl benchmarks`: which benchmarks are known, and whether a local copy of one is complete."""

import json
import sys
from pathlib import Path

import click

from socl_pipeline.errors import InputError
from socl_pipeline.options import path_option

MANIFESTS = Path("data_manifests")


@click.group()
def benchmarks() -> None:
    """List the known benchmarks, or check a local copy of one."""


@benchmarks.command("list")
def list_benchmarks() -> None:
    """Print every manifest in data_manifests/: its sequences, frames and licence."""
    from socl_pipeline.datasets.listing import listed

    for line in listed(MANIFESTS):
        click.echo(line)


@benchmarks.command()
@click.argument("name")
@path_option("--root", help="Default: the manifest's root.")
@click.option("--split", help="Of a benchmark that has them; default: all that are in the copy.")
@click.option("--sequence", multiple=True, help="Only this one; may be given again.")
@path_option("--json", "report", help="Also write all of it.")
def verify(
    name: str, root: Path | None, split: str | None, sequence: tuple[str, ...], report: Path | None
) -> None:
    """Say what of a copy of NAME, a manifest's name or file, is missing or odd.

    Frames are read as far as their headers. Exit status 1 if the copy is not usable.
    """
    from socl_pipeline.datasets.listing import find_manifest
    from socl_pipeline.datasets.manifest import dataset_root, load_manifest
    from socl_pipeline.datasets.readers import Dataset
    from socl_pipeline.datasets.verify import splits_of, verify_copy
    from socl_pipeline.pipeline.artifact import write_atomic

    path = find_manifest(name, MANIFESTS)
    manifest = load_manifest(path)
    folder = root or dataset_root(manifest)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; pass the copy of {manifest.title} as --root")
    checks = []
    for part in [split] if split else splits_of(manifest, folder):
        dataset = Dataset(manifest, folder, part, sequence or None)
        checks.append(verify_copy(dataset))
        for line in checks[-1].lines():
            click.echo(line)
    if report is not None:
        content = [check.as_dict() for check in checks]
        write_atomic(report, json.dumps(content, indent=1) + "\n")
    sys.exit(0 if all(check.usable for check in checks) else 1)
