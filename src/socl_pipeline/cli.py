"""The command line: `socl STAGE` builds one artifact, and a few tools stand beside the stages."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from socl_pipeline import __version__
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.stages import STAGES, Job, Stage, Target
from socl_pipeline.settings import Config, load_config

CONFIG_HELP = "Config file (YAML)."
DEFAULT_CONFIG = "config/demo.yaml"
READS_FRAMES = ("points", "proposals", "top_maps", "patches")
ON_DASK = ("proposals", "top_maps", "patches")


class _Group(click.Group):
    """Lists the stages in the order in which data flows through them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        others = sorted(set(self.commands) - set(STAGES))
        return [*STAGES, *others]


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Learn visual tracking from single clicks (SoCL).

    The stages, in order: points, proposals, top_maps, patches, train, track, scores, report.
    Each reads what the stage before it published under results/ and can be run by hand; usually
    Snakemake runs them all: snakemake --profile local all
    """


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config."""
    return click.option(
        "--config",
        "-c",
        type=click.Path(path_type=Path),
        default=DEFAULT_CONFIG,
        show_default=True,
        help=CONFIG_HELP,
    )(function)


def folder_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --results and --cache."""
    options = (
        ("--results", "results", "Where artifacts are published."),
        ("--cache", "work/cache", "Where they are built and kept."),
    )
    for name, default, text in options:
        path = click.Path(path_type=Path)
        function = click.option(name, type=path, default=default, show_default=True, help=text)(
            function
        )
    return function


_DASK_OPTIONS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (
        ("--dask",),
        {
            "default": "processes",
            "show_default": True,
            "metavar": "PLACE",
            "help": "Where the workers are: none (no Dask), processes of this machine, slurm "
            "(jobs of their own), tcp://HOST:PORT or a scheduler file (one that runs).",
        },
    ),
    (
        ("--memory-mb",),
        {
            "type": click.IntRange(min=1),
            "help": "MiB for the stage and its worker processes together; a worker above its "
            "share is restarted. Default: each core's share of the machine's.",
        },
    ),
]


def _stage_command(stage: Stage) -> click.Command:
    """Make the sub-command of a stage from its entry in the table."""

    @click.pass_context
    def run(
        ctx: click.Context,
        config: Path,
        results: Path,
        cache: Path,
        workers: int,
        log: Path | None,
        fingerprint: str | None,
        on_bad_frame: Any = None,
        dask: str = "processes",
        memory_mb: int | None = None,
        **names: str,
    ) -> None:
        from socl_pipeline.pipeline.progress import logging_to

        with logging_to(log):
            target = Target.of(stage.name, **names)
            how = (workers, on_bad_frame, dask, memory_mb)
            job = Job(load_config(config), target, results, cache, *how)
            if fingerprint is not None and fingerprint != job.fingerprint:
                raise InputError(
                    f"{config}: changed since this run was planned (fingerprint "
                    f"{job.fingerprint}, planned {fingerprint}); start Snakemake again"
                )
            summary = job.execute()
            shown = {k: v for k, v in summary.stats.items() if k != "skipped"}
            if skipped := summary.stats.get("skipped"):
                shown["left_out"] = len(skipped)
            click.echo(f"{job.output}  {json.dumps(shown)}", err=True)

    command = click.command(stage.name, help=stage.help)(run)
    for name in reversed(stage.names):
        command = click.option(
            f"--{name}", required=True, help=f"Name of the {name} in the config."
        )(command)
    extra: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (
            ("--workers", "-j"),
            {
                "type": click.IntRange(min=0),
                "default": 1,
                "show_default": True,
                "help": "Worker processes (train: threads); 0 works without Dask.",
            },
        ),
        (("--log",), {"type": click.Path(path_type=Path), "help": "Also write log lines here."}),
        (("--fingerprint",), {"help": "Refuse a config with another fingerprint."}),
    ]
    if stage.name in READS_FRAMES:
        choice = {
            "type": click.Choice(["skip", "fail"]),
            "help": "What a broken frame does; default: the dataset's own setting.",
        }
        extra.append((("--on-bad-frame",), choice))
    if stage.name in ON_DASK:
        extra += _DASK_OPTIONS
    for flags, options in extra:
        command = click.option(*flags, **options)(command)
    return config_option(folder_options(command))  # type: ignore[return-value]


for _stage in STAGES.values():
    cli.add_command(_stage_command(_stage))


@cli.command("demo-data")
@click.option("--manifest", type=click.Path(path_type=Path), default="data_manifests/demo.yaml")
@click.option("--root", type=click.Path(path_type=Path), help="Default: the manifest's root.")
@click.option("--log", type=click.Path(path_type=Path), help="Also write log lines here.")
def demo_data(manifest: Path, root: Path | None, log: Path | None) -> None:
    """Draw the demo videos: textured objects on moving backgrounds, in GOT-10k layout."""
    from socl_pipeline.datasets.demo import write_demo
    from socl_pipeline.datasets.manifest import dataset_root, load_manifest
    from socl_pipeline.pipeline.progress import Progress, logging_to

    entry = load_manifest(manifest)
    if entry.generate is None:
        raise InputError(f"{manifest}: has no `generate` section, so there is nothing to draw")
    folder = root or dataset_root(entry)
    total = entry.generate.train_videos + entry.generate.val_videos
    with logging_to(log), Progress("demo-data", total, "videos") as progress:
        write_demo(folder, **entry.generate.model_dump(), progress=progress.advance)
    click.echo(f"{folder}: {total} videos", err=True)


@cli.command()
@config_option
@folder_options
def status(config: Path, results: Path, cache: Path) -> None:
    """Show every artifact: complete, stale and why, or missing, and the disk it uses."""
    from socl_pipeline.pipeline.status import all_statuses, format_bytes

    colours = {"complete": "green", "stale": "yellow", "missing": "red"}
    total = 0
    for item in all_statuses(load_config(config), results, cache):
        total += item.size
        size = format_bytes(item.size) if item.size else ""
        state = click.style(f"{item.state:9}", fg=colours[item.state])
        click.echo(f"{state} {size:>9}  {item.output}  {item.reason}".rstrip())
    click.echo(f"in all    {format_bytes(total):>9}")


@cli.command()
@folder_options
@click.option("--unfinished", is_flag=True, help="Also what killed builds have left.")
@click.option("--delete", is_flag=True, help="Delete them; otherwise they are only listed.")
def gc(results: Path, cache: Path, unfinished: bool, delete: bool) -> None:
    """List or delete cached artifacts that nothing under the results folder links to."""
    from socl_pipeline.pipeline.status import (
        disk_usage,
        format_bytes,
        remove_unused,
        unused_cache,
    )

    folders = unused_cache(results, cache, unfinished)
    for folder in folders:
        click.echo(f"{format_bytes(disk_usage(folder)):>9}  {folder}")
    if delete:
        click.echo(f"freed {format_bytes(remove_unused(folders))}")
    else:
        click.echo(f"{len(folders)} unused artifacts; --delete frees them")


@cli.command("fit-objectness")
@click.option("--scenes", type=click.IntRange(min=1), default=400, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON to write.")
def fit_objectness_command(scenes: int, out: Path) -> None:
    """Fit the objectness tables on procedural scenes (the shipped ones were made so)."""
    from socl_pipeline.pipeline.artifact import write_atomic
    from socl_pipeline.top.fit import fit_on_scenes

    write_atomic(out, fit_on_scenes(scenes).to_json())
    click.echo(f"{out}: fitted on {scenes} scenes", err=True)


@cli.command()
def schema() -> None:
    """Print the JSON schema of the config."""
    click.echo(schema_text(), nl=False)


def schema_text() -> str:
    """Return the JSON schema of the config as it is kept in workflow/schemas."""
    return json.dumps(Config.model_json_schema(), indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Run the command line; what a user can mend is printed as one sentence."""
    try:
        cli()
    except InputError as error:
        click.echo(f"socl: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
