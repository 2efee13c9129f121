"""`socl STAGE`: the command of each stage."""

import json
from pathlib import Path
from typing import Any

import click

from socl_pipeline.errors import InputError
from socl_pipeline.options import (
    Decorator,
    Function,
    cache_option,
    choice_option,
    config_option,
    count_option,
    log_option,
    name_options,
    results_option,
)
from socl_pipeline.pipeline.job import Job, Stage, Target
from socl_pipeline.settings import load_config

READS_FRAMES = ("points", "proposals", "top_maps", "patches", "pseudo_boxes")
ON_DASK = ("proposals", "top_maps", "patches", "pseudo_boxes")

ON_BAD_FRAME = choice_option(
    "--on-bad-frame",
    choices=["skip", "fail"],
    help="What a broken frame does; default: the dataset's own setting.",
)
DASK = (
    click.option(
        "--dask",
        default="processes",
        show_default=True,
        metavar="PLACE",
        help="Where the workers are: none (no Dask), processes of this machine, slurm "
        "(jobs of their own), tcp://HOST:PORT or a scheduler file (one that runs).",
    ),
    count_option(
        "--memory-mb",
        help="MiB for the stage and its worker processes together; a worker above its "
        "share is restarted. Default: each core's share of the machine's.",
    ),
)


def stage_command(stage: Stage) -> click.Command:
    """Make the sub-command of a stage from its entry in the table."""

    def run(
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

    function: Function = run
    for option in reversed(_options(stage)):
        function = option(function)
    return click.command(stage.name, help=stage.help)(function)


def _options(stage: Stage) -> list[Decorator]:
    """Return the options of a stage's command, in the order of its help."""
    options: list[Decorator] = [
        name_options(*stage.names),
        count_option(
            *("--workers", "-j"),
            least=0,
            default=1,
            help="Worker processes (train: threads); 0 works without Dask.",
        ),
        log_option,
        click.option("--fingerprint", help="Refuse a config with another fingerprint."),
    ]
    if stage.name in READS_FRAMES:
        options.append(ON_BAD_FRAME)
    if stage.name in ON_DASK:
        options += DASK
    return [*options, results_option, cache_option, config_option]
