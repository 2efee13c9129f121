"""`socl fit-objectness`: learn the tables of the objectness cues, or convert released ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from socl_pipeline.errors import InputError
from socl_pipeline.options import choice_option, count_option, log_option, path_option
from socl_pipeline.pipeline.job import open_dataset
from socl_pipeline.settings import DatasetSettings

if TYPE_CHECKING:
    from socl_pipeline.top.objectness.clicked import ObjectSource

DEFAULT_SCENES = 400  # what the shipped tables were fitted on


@click.command("fit-objectness")
@path_option("--out", required=True, help="JSON to write.")
@count_option("--scenes", help="Learn from procedural scenes.")
@path_option("--manifest", help="Learn from the boxes of this dataset.")
@path_option("--root", help="Of the dataset; default: the manifest's root.")
@click.option("--split", default="train", show_default=True, help="Of a GOT-10k-like dataset.")
@count_option("--every", default=1, help="Take every n-th boxed frame of each video.")
@count_option("--max-frames", default=1000, help="Of the dataset, spread over its videos.")
@path_option("--boxes", help="Learn from a CSV: image,x,y,w,h (0-based pixels).")
@path_option("--images", help="Folder of the images that --boxes names.")
@path_option("--release", help="Convert the objectness release's folder Data.")
@choice_option(
    "--ed-bins",
    choices=["as_shipped", "corrected"],
    default="corrected",
    help="With --release: its own look-up of edge density, or one that fits its bins.",
)
@choice_option(
    "--views",
    choices=["context", "frame"],
    default="context",
    help="In which the cues are computed: views.kind of the config.",
)
@count_option(
    "--working-side",
    least=64,
    help="views.working_side of the config.  [default: 160; frame: 480]",
)
@click.option("--size-cue", is_flag=True, help="Also learn the windows' size: for this data only.")
@click.option("--theta-search", is_flag=True, help="Also fit the surround of CC and ring of ED.")
@path_option("--plot", help="PNG to write; default: beside the JSON.")
@log_option
def fit_objectness(
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
