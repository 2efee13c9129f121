"""The command line: `socl STAGE` builds one artifact, and a few tools stand beside the stages."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from socl_pipeline import __version__
from socl_pipeline.annotation.cost_command import cost
from socl_pipeline.benchmarks.results_commands import results as results_group
from socl_pipeline.datasets.commands import benchmarks
from socl_pipeline.errors import InputError
from socl_pipeline.faults import TRANSIENT
from socl_pipeline.pipeline.job import Job, Stage, Target, open_dataset
from socl_pipeline.pipeline.stages import STAGES
from socl_pipeline.settings import Config, DatasetSettings, load_config

if TYPE_CHECKING:
    from socl_pipeline.top.objectness.clicked import ObjectSource

CONFIG_HELP = "Config file (YAML)."
DEFAULT_CONFIG = "config/demo.yaml"
DEFAULT_SCENES = 400  # for fit-objectness: what the shipped tables were fitted on
_PATH = click.Path(path_type=Path)
READS_FRAMES = ("points", "proposals", "top_maps", "patches", "pseudo_boxes")
ON_DASK = ("proposals", "top_maps", "patches", "pseudo_boxes")


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
cli.add_command(benchmarks)
cli.add_command(cost)
cli.add_command(results_group)


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
@click.option("--out", type=_PATH, required=True, help="JSON to write.")
@click.option("--scenes", type=click.IntRange(min=1), help="Learn from procedural scenes.")
@click.option("--manifest", type=_PATH, help="Learn from the boxes of this dataset.")
@click.option("--root", type=_PATH, help="Of the dataset; default: the manifest's root.")
@click.option("--split", default="train", show_default=True, help="Of a GOT-10k-like dataset.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Take every n-th boxed frame of each video.",
)
@click.option(
    "--max-frames",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Of the dataset, spread over its videos.",
)
@click.option("--boxes", type=_PATH, help="Learn from a CSV: image,x,y,w,h (0-based pixels).")
@click.option("--images", type=_PATH, help="Folder of the images that --boxes names.")
@click.option("--release", type=_PATH, help="Convert the objectness release's folder Data.")
@click.option(
    "--ed-bins",
    type=click.Choice(["as_shipped", "corrected"]),
    default="corrected",
    show_default=True,
    help="With --release: its own look-up of edge density, or one that fits its bins.",
)
@click.option(
    "--views",
    type=click.Choice(["context", "frame"]),
    default="context",
    show_default=True,
    help="In which the cues are computed: views.kind of the config.",
)
@click.option(
    "--working-side",
    type=click.IntRange(min=64),
    help="views.working_side of the config.  [default: 160; frame: 480]",
)
@click.option("--size-cue", is_flag=True, help="Also learn the windows' size: for this data only.")
@click.option("--theta-search", is_flag=True, help="Also fit the surround of CC and ring of ED.")
@click.option("--plot", type=_PATH, help="PNG to write; default: beside the JSON.")
@click.option("--log", type=_PATH, help="Also write log lines here.")
def fit_objectness_command(
    out: Path,
    release: Path | None,
    ed_bins: Any,
    views: Any,
    working_side: int | None,
    size_cue: bool,
    theta_search: bool,
    plot: Path | None,
    log: Path | None,
    **sources: Any,
) -> None:
    """Fit the objectness tables, or convert released ones, and plot how reliable they are.

    Give one of --scenes (the shipped tables were made with --scenes 400, which is the default),
    --manifest, --boxes with --images, or --release. `top_maps.objectness` of the config takes
    the JSON.
    """
    from socl_pipeline.pipeline.artifact import write_atomic
    from socl_pipeline.pipeline.progress import Progress, logging_to
    from socl_pipeline.top.objectness.fit import FitOptions, fit_tables, fit_views, fit_windows
    from socl_pipeline.top.objectness.release import read_release
    from socl_pipeline.top.objectness.reliability import held_out, write_plot

    options = FitOptions(fit_views(views, working_side), size_cue, theta_search)
    _only_one_source(release=release, **sources)
    with logging_to(log):
        if release is not None:
            model, result = read_release(release, ed_bins), None
        else:
            source = _object_source(**sources)
            with Progress("fit-objectness", source.total, "boxes") as progress:
                windows, thetas = fit_windows(source.objects, options, progress.advance)
            model = fit_tables(windows, thetas, source.name, options)
            result = held_out(windows, thetas, options)
    write_atomic(out, model.to_json())
    write_plot(plot or out.with_suffix(".png"), model, result)
    click.echo(f"{out}: from {model.provenance['source']}", err=True)
    if result is not None:
        click.echo(result.sentence(), err=True)


def _only_one_source(boxes: Path | None, images: Path | None, **sources: Any) -> None:
    """Raise InputError if the options of fit-objectness name several sources."""
    named = {"--boxes": boxes} | {
        f"--{name}": sources[name] for name in ("scenes", "manifest", "release")
    }
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"fit-objectness: {' and '.join(given)} exclude each other; give one")
    if (boxes is None) != (images is None):
        raise InputError("fit-objectness: --boxes FILE.csv and --images FOLDER belong together")


def _object_source(
    scenes: int | None,
    manifest: Path | None,
    root: Path | None,
    split: str,
    every: int,
    max_frames: int,
    boxes: Path | None,
    images: Path | None,
) -> "ObjectSource":
    """Return what fit-objectness learns from."""
    from socl_pipeline.top.objectness.boxed_frames import csv_frames, dataset_frames
    from socl_pipeline.top.objectness.clicked import frame_source, scene_source

    if manifest is not None:
        entry = DatasetSettings(manifest=manifest, root=root and str(root), split=split)
        dataset = open_dataset(entry)
        part = f" {split}" if dataset.manifest.splits else ""
        name = f"{dataset.manifest.name}{part}, every {every}, at most {max_frames} frames"
        return frame_source(name, dataset_frames(dataset, every, max_frames))
    if boxes is not None and images is not None:
        return frame_source(boxes.name, csv_frames(boxes, images))
    return scene_source(scenes or DEFAULT_SCENES)


@cli.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--points", type=click.Path(path_type=Path), help="Also compare the points table.")
@click.option("--repair", is_flag=True, help="Delete broken shards; the stage then redoes them.")
@click.option("--results", type=click.Path(path_type=Path), default="results", show_default=True)
def check(store: Path, points: Path | None, repair: bool, results: Path) -> None:
    """Check a TOP-map store against its ledger; exit status 1 if anything is wrong."""
    from socl_pipeline.top.store.check import check_command

    sound, lines = check_command(store, points, results if repair else None)
    for line in lines:
        click.echo(line)
    sys.exit(0 if sound else 1)


@cli.command()
@click.argument("store", type=click.Path(path_type=Path))
@config_option
@click.option("--dataset", help="In the config; default: the folder that the store is in.")
@click.option("--points", type=click.Path(path_type=Path), help="Default: beside the store.")
@click.option("--root", type=click.Path(path_type=Path), help="Of the frames; default: config.")
@click.option("--frame", metavar="VIDEO:INDEX", help="Draw this frame (0-based), a .png.")
@click.option("--video", metavar="NAME", help="Draw a video: .mp4, .avi, .gif or a folder.")
@click.option("--out", type=click.Path(path_type=Path), help="What to write.")
def inspect(store: Path, config: Path, dataset: str | None, out: Path | None, **given: Any) -> None:
    """Tell what a TOP-map store holds, or draw its frames with clicks, boxes and maps."""
    from socl_pipeline.report.inspect import inspect_store

    for line in inspect_store(store, config, dataset or store.parent.name, out, **given):
        click.echo(line)


@cli.command()
@click.option("--model", type=_PATH, required=True, help="Folder of a trained model.")
@click.option("--output", type=_PATH, required=True, help="ONNX file to write.")
@click.option(
    "--size",
    type=click.IntRange(min=95),
    default=255,
    show_default=True,
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
