"""`socl STAGE`: the command of each stage, and the options that commands have in common."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import Job, Stage, Target
from socl_pipeline.settings import load_config

CONFIG_HELP = "Config file (YAML)."
DEFAULT_CONFIG = "config/demo.yaml"
READS_FRAMES = ("points", "proposals", "top_maps", "patches", "pseudo_boxes")
ON_DASK = ("proposals", "top_maps", "patches", "pseudo_boxes")


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


def stage_command(stage: Stage) -> click.Command:
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
