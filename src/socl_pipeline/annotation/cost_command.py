"""`socl cost`: what clicks, boxes and both cost, for a dataset or a number of frames."""

import json
from pathlib import Path

import click

from socl_pipeline.annotation.schemes import all_schemes, cost_text
from socl_pipeline.errors import InputError
from socl_pipeline.options import config_option, count_option, results_option
from socl_pipeline.pipeline.artifact import read_summary
from socl_pipeline.pipeline.job import Job, Target, open_dataset
from socl_pipeline.settings import Config, load_config


@click.command("cost")
@config_option
@results_option
@click.option("--dataset", help="In the config.  [default: its first]")
@count_option("--frames", help="So many frames, instead of a dataset.")
@count_option("--every", default=10, help="With --frames: a sparse box on every n-th.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: `costs` and the `prices`.")
def cost(
    config: Path, results: Path, dataset: str | None, frames: int | None, every: int, as_json: bool
) -> None:
    """Hours and fees of annotation: boxes, points, or points and sparse boxes.

    Of a dataset the frames that stage points annotates count, once it has run; before, all frames
    of its videos. The prices are the config's (section `costs`); their defaults are the paper's.
    """
    if frames is not None and dataset is not None:
        raise InputError("cost: --frames and --dataset exclude each other; give one")
    loaded = load_config(config)
    if frames is not None:
        boxes = -(-frames // every)
    else:
        frames, boxes = annotated_frames(loaded, dataset or next(iter(loaded.datasets)), results)
    costs = all_schemes(frames, boxes, loaded.costs)
    if as_json:
        plain = {"costs": [c.plain() for c in costs], "prices": loaded.costs.model_dump()}
        click.echo(json.dumps(plain, indent=1))
    else:
        click.echo(cost_text(costs, loaded.costs))


def annotated_frames(config: Config, dataset: str, results: Path) -> tuple[int, int]:
    """Return how many frames of a dataset are annotated, and how many of them have a sparse box.

    From the summary of stage points; where it has not run, all frames of the videos, and boxes as
    `points.sparse_box_every` says. Raises InputError for an unknown dataset or a missing root.
    """
    points = Job(config, Target.of("points", dataset=dataset), results)
    if points.summary_path.exists():
        stats = read_summary(points.summary_path).stats
        return int(stats["frames"]), int(stats["boxes"])
    source = open_dataset(config.dataset(dataset))
    try:
        lengths = [len(source.read(name).frames) for name in source.names()]
    except InputError as error:
        raise InputError(
            f"cost: the frames of dataset {dataset} cannot be counted ({error}); "
            "`--frames N` prices so many without it"
        ) from None
    every = config.dataset(dataset).points.sparse_box_every
    return sum(lengths), sum(-(-length // every) for length in lengths)
