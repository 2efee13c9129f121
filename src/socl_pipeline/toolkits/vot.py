"""Our trackers for the VOT toolkit, which talks TraX with a process of the tracker's.

`python -m socl_pipeline.toolkits.vot --config FILE --tracker NAME` is that process; it needs the
module `trax` (`pip install vot-trax`). The toolkit hands on boxes as the sequences' files have
them and takes them for indices of an array, from 0; the files of VOT2013 to VOT2019 count from 1.
"""

import shlex
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from socl_pipeline.datasets.images import read_image
from socl_pipeline.datasets.polygons import polygon_boxes
from socl_pipeline.errors import InputError
from socl_pipeline.options import name_options, path_option, results_option
from socl_pipeline.toolkits.boxes import in_their_pixels
from socl_pipeline.trackers.base import Box, Tracker


def serve(tracker: Tracker, trax: Any, base: int = 0) -> None:
    """Answer the toolkit's requests until it quits.

    trax: the module, of version 4. base: what the sequences count pixels from. Of a rotated start
    that upright box is taken on which our own runs start (`datasets.polygons`).
    Raises InputError for a request with other than one object.
    """
    shift = np.array([base, base, 0, 0], np.float64)
    regions = [trax.Region.RECTANGLE, trax.Region.POLYGON]
    with trax.Server(regions, [trax.Image.PATH], ["color"]) as server:
        while (request := server.wait()).type != trax.TraxStatus.QUIT:
            image = read_image(Path(request.image["color"].path()))
            if request.objects:
                box = _start(request.objects, trax) - shift
                tracker.init(image, box)
            else:
                box = tracker.update(image)
            x, y, w, h = (float(v) for v in in_their_pixels(box, shift))
            server.status([(trax.Rectangle.create(x, y, w, h), _sureness(tracker))])


def _start(objects: Any, trax: Any) -> Box:
    """Return the box (4,) to start on, in the toolkit's pixels."""
    if len(objects) != 1:
        raise InputError(f"the toolkit gives {len(objects)} objects; our trackers follow one")
    region, _ = objects[0]
    if region.type == trax.Region.POLYGON and region.size() == 4:
        return polygon_boxes(np.array([list(region)], np.float64).reshape(1, 8))[0]
    return np.array(region.bounds(), np.float64)


def _sureness(tracker: Tracker) -> dict[str, float]:
    """Return a tracker's confidence as the toolkit's property; nothing where it is unknown."""
    confidence = float(getattr(tracker, "confidence", np.nan))
    return {"confidence": confidence} if np.isfinite(confidence) else {}


def ini_section(
    config: Path, tracker: str, dataset: str | None, results: Path, base: int = 0
) -> str:
    """Return the section of the toolkit's trackers.ini that runs a tracker of a config.

    Arguments as of `main`. The toolkit starts a tracker in a folder of its own: paths are absolute.
    """
    words = [sys.executable, "-m", "socl_pipeline.toolkits.vot"]
    words += ["--config", str(config.resolve()), "--tracker", tracker]
    words += ["--dataset", dataset] if dataset else []
    words += ["--results", str(results.resolve()), "--base", str(base)]
    return f"[{tracker}]\nlabel = {tracker}\nprotocol = trax\ncommand = {shlex.join(words)}\n"


@click.command()
@path_option("--config", "-c", required=True, help="Config file (YAML).")
@name_options("tracker")
@click.option("--dataset", help="That its model was trained on, if it has one.")
@results_option
@click.option("--base", type=click.IntRange(0, 1), default=0, help="What sequences count from.")
def main(config: Path, tracker: str, dataset: str | None, results: Path, base: int) -> None:
    """Run a tracker for the VOT toolkit, which starts this command itself."""
    from socl_pipeline.toolkits.configured import configured_tracker

    try:
        import trax
    except ImportError:
        raise InputError(
            "the module trax is missing, through which the VOT toolkit talks to trackers; run "
            "`pip install vot-trax`"
        ) from None
    serve(configured_tracker(config, tracker, dataset, results), trax, base)


if __name__ == "__main__":
    main()
