"""The command line: `socl STAGE` builds one artifact, and a few tools stand beside the stages."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from socl_pipeline import __version__
from socl_pipeline.annotation.cost_command import cost
from socl_pipeline.benchmarks.results_commands import results as results_group
from socl_pipeline.datasets.commands import benchmarks
from socl_pipeline.errors import InputError
from socl_pipeline.faults import TRANSIENT
from socl_pipeline.options import (
    PATH,
    cache_option,
    config_option,
    count_option,
    log_option,
    path_option,
    results_option,
)
from socl_pipeline.pipeline.command import stage_command
from socl_pipeline.pipeline.stages import STAGES
from socl_pipeline.settings import Config, load_config
from socl_pipeline.top.objectness.command import fit_objectness


class _Group(click.Group):
    """Lists the stages in the order in which data flows through them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        others = sorted(set(self.commands) - set(STAGES))
        return [*STAGES, *others]


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Learn visual tracking from single clicks (SoCL).

    The stages, in order: points, proposals, top_maps, patches, train, track, scores, figure,
    report; pseudo_boxes and box_quality stand beside them, table compares trainings.
    Each reads what the stage before it published under results/ and can be run by hand; usually
    Snakemake runs them all: snakemake --profile local all
    """


for _stage in STAGES.values():
    cli.add_command(stage_command(_stage))
cli.add_command(benchmarks)
cli.add_command(cost)
cli.add_command(fit_objectness)
cli.add_command(results_group)


@cli.command("demo-data")
@path_option("--manifest", default="data_manifests/demo.yaml", help="How they are drawn.")
@path_option("--root", help="Default: the manifest's root.")
@log_option
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
@results_option
@cache_option
def status(config: Path, results: Path, cache: Path) -> None:
    """Show every artifact: complete, stale and why, or missing, and the disk it uses."""
    from socl_pipeline.benchmarks.withheld import why_not_scored, withheld_benchmarks
    from socl_pipeline.pipeline.status import all_statuses, format_bytes

    settings = load_config(config)
    colours = {"complete": "green", "stale": "yellow", "missing": "red"}
    total = 0
    for item in all_statuses(settings, results, cache):
        total += item.size
        size = format_bytes(item.size) if item.size else ""
        state = click.style(f"{item.state:9}", fg=colours[item.state])
        click.echo(f"{state} {size:>9}  {item.output}  {item.reason}".rstrip())
    for name in withheld_benchmarks(settings):
        click.echo(why_not_scored(settings, name))
    click.echo(f"in all    {format_bytes(total):>9}")


@cli.command()
@results_option
@cache_option
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


@cli.command()
@click.argument("store", type=PATH)
@path_option("--points", help="Also compare the points table.")
@click.option("--repair", is_flag=True, help="Delete broken shards; the stage then redoes them.")
@results_option
def check(store: Path, points: Path | None, repair: bool, results: Path) -> None:
    """Check a TOP-map store against its ledger; exit status 1 if anything is wrong."""
    from socl_pipeline.top.store.check import check_command

    sound, lines = check_command(store, points, results if repair else None)
    for line in lines:
        click.echo(line)
    sys.exit(0 if sound else 1)


@cli.command()
@click.argument("store", type=PATH)
@config_option
@click.option("--dataset", help="In the config; default: the folder that the store is in.")
@path_option("--points", help="Default: beside the store.")
@path_option("--root", help="Of the frames; default: config.")
@click.option("--frame", metavar="VIDEO:INDEX", help="Draw this frame (0-based), a .png.")
@click.option("--video", metavar="NAME", help="Draw a video: .mp4, .avi, .gif or a folder.")
@path_option("--out", help="What to write.")
def inspect(store: Path, config: Path, dataset: str | None, out: Path | None, **given: Any) -> None:
    """Tell what a TOP-map store holds, or draw its frames with clicks, boxes and maps."""
    from socl_pipeline.report.inspect import inspect_store

    for line in inspect_store(store, config, dataset or store.parent.name, out, **given):
        click.echo(line)


@cli.command()
@path_option("--model", required=True, help="Folder of a trained model.")
@path_option("--output", required=True, help="ONNX file to write.")
@count_option(
    "--size",
    least=95,
    default=255,
    help="Side of the images that the exporter tries, in pixels; the file takes any.",
)
def export(model: Path, output: Path, size: int) -> None:
    """Write the backbone of a trained model as ONNX, for use without this package."""
    from socl_pipeline.models import load_weights
    from socl_pipeline.models.onnx_export import export_onnx
    from socl_pipeline.trackers.build import WEIGHTS_FILE, load_backbone

    backbone = load_backbone(model)
    export_onnx(backbone, output, load_weights(model / WEIGHTS_FILE)[1], size)
    click.echo(f"{output}: {backbone.channels} channels, stride {backbone.stride}", err=True)


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
    except OSError as error:
        if error.errno not in TRANSIENT:
            raise
        click.echo(
            f"socl: {error}; the disk does not answer: what is finished is kept, run the same "
            "command again when it does",
            err=True,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
