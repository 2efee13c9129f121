"""`socl results`: our tracks as files of other toolkits and as archives for their servers."""

from pathlib import Path
from typing import get_args

import click

from socl_pipeline.benchmarks.formats.submission import SERVERS, ServerName
from socl_pipeline.errors import InputError, listed
from socl_pipeline.options import PATH, config_option, name_options, path_option, results_option
from socl_pipeline.pipeline.job import Job, Target, open_dataset
from socl_pipeline.settings import Config, load_config
from socl_pipeline.settings.trackers import FormatName

_TRACK = name_options("dataset", "benchmark", "tracker")
_SERVER = click.option("--server", type=click.Choice(list(SERVERS)), required=True)


@click.group()
def results() -> None:
    """Result files of other toolkits, and archives for evaluation servers."""


@results.command()
@config_option
@results_option
@_TRACK
@click.option("--format", "form", type=click.Choice(get_args(FormatName)), required=True)
@path_option("--output", required=True, help="The tracker's folder.")
@click.option(
    "--base", type=click.IntRange(0, 1), help="Count pixels from here; default: the format's own."
)
def export(
    config: Path, results: Path, form: FormatName, output: Path, base: int | None, **names: str
) -> None:
    """Write a tracker's boxes and times as another toolkit would."""
    from socl_pipeline.benchmarks.formats.tracks import lost_frames
    from socl_pipeline.benchmarks.track_table import read_runs
    from socl_pipeline.trackers.foreign import result_folder

    job = Job(load_config(config), Target.of("track", **names), results)
    folder = result_folder(job.config.benchmark(names["benchmark"]), output, form, base)
    runs, missing = read_runs(job.output)
    for name, found in runs.items():
        folder.write(name, found)
    lost = {n: sum(lost_frames(r, folder.resets) for r in found) for n, found in runs.items()}
    click.echo(f"{output}: {len(runs)} sequences", err=True)
    if missing:
        without = f"{listed(missing)} ({len(missing)} in all)"
        click.echo(f"not written, as there are no results: {without}", err=True)
    if any(lost.values()):
        broken = [name for name, frames in lost.items() if frames]
        click.echo(
            f"{sum(lost.values())} frames without a box are written as 0,0,0,0, in "
            f"{', '.join(broken)}",
            err=True,
        )
    if folder.format.shape == "flat" and any(len(found) > 1 for found in runs.values()):
        click.echo(f"the first repetition only: format {form} has no place for others", err=True)


@results.command()
@config_option
@results_option
@_TRACK
@_SERVER
@path_option("--output", required=True, help="Archive (.zip) to write.")
def submit(config: Path, results: Path, server: ServerName, output: Path, **names: str) -> None:
    """Write the archive of a tracker's boxes that an evaluation server takes."""
    from socl_pipeline.benchmarks.formats.submission import write_archive
    from socl_pipeline.benchmarks.track_table import read_runs

    job = Job(load_config(config), Target.of("track", **names), results)
    runs, missing = read_runs(job.output)
    if missing:
        raise InputError(
            f"{job.output}: no results of {listed(missing)} ({len(missing)} in all), and "
            f"{SERVERS[server].title}'s server scores every sequence: add the tracker's files and "
            "run `socl track` again"
        )
    write_archive(SERVERS[server], runs, output)
    click.echo(f"{output}: {len(runs)} sequences", err=True)


@results.command()
@click.argument("archive", type=PATH)
@_SERVER
@click.option("--benchmark", help="In the config; compares the numbers of frames with its own.")
@config_option
def check(archive: Path, server: ServerName, benchmark: str | None, config: Path) -> None:
    """Check an archive before it is sent to an evaluation server."""
    from socl_pipeline.benchmarks.formats.submission import check_archive

    expected = None if benchmark is None else _frames(load_config(config), benchmark)
    check_archive(SERVERS[server], archive, expected)
    click.echo(f"{archive}: as {SERVERS[server].title}'s server expects it", err=True)


def _frames(config: Config, benchmark: str) -> dict[str, int]:
    """Return the number of frames of each sequence of a benchmark."""
    dataset = open_dataset(config.benchmark(benchmark))
    return {name: len(dataset.read(name)) for name in dataset.names()}


@results.command("vot-ini")
@config_option
@results_option
@name_options("tracker")
@click.option("--dataset", help="That the tracker's model was trained on, if it has one.")
@click.option(
    "--base",
    type=click.IntRange(0, 1),
    default=0,
    show_default=True,
    help="What the sequences' files count pixels from; 1 in VOT2013 to VOT2019.",
)
def vot_ini(config: Path, results: Path, tracker: str, dataset: str | None, base: int) -> None:
    """Print the section of the VOT toolkit's trackers.ini that runs one of our trackers."""
    from socl_pipeline.toolkits.vot import ini_section

    load_config(config).tracker(tracker)  # an unknown one is an InputError
    click.echo(ini_section(config, tracker, dataset, results, base), nl=False)
