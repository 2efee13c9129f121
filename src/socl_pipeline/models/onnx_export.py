"""A trained backbone as an ONNX file, for use without this package and without torch."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from socl_pipeline.errors import InputError
from socl_pipeline.models.backbone import Backbone
from socl_pipeline.pipeline.artifact import atomic_path

_NEEDED = ("onnx", "onnxscript")  # what torch's exporter imports
_OLDEST_TORCH = "2.7"  # whose exporter takes names of free sizes
INPUT, OUTPUT = "images", "features"


def export_onnx(backbone: Backbone, path: Path, metadata: dict[str, str], size: int = 255) -> None:
    """Write `backbone` to an ONNX file; number and size of the images stay free.

    The network reads `images` (N, 3, H, W), float32 RGB from 0 to 255, and gives `features`
    (N, channels, H', W'). `metadata` goes into the file's metadata_props, with the geometry of
    the cells (stride, offset, receptive_field). size: side of the images that the exporter
    follows through the network, in pixels.

    Raises:
        InputError: a package that torch's exporter needs is missing, or torch is too old.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"export needs {' and '.join(missing)}; install them: pip install 'socl_pipeline[onnx]'"
        )
    if torch.__version__ < _OLDEST_TORCH:
        raise InputError(
            f"export needs torch {_OLDEST_TORCH} or later, this is {torch.__version__}; install a "
            "later one, or export on another machine"
        )
    with _quiet_exporter():
        program = torch.onnx.export(
            backbone.eval(),
            (torch.zeros(2, 3, size, size),),  # two: the exporter takes a size of 1 for constant
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
            verbose=False,
        )
    assert program is not None  # only the exporter's old way returns nothing
    geometry = {k: str(getattr(backbone, k)) for k in ("stride", "offset", "receptive_field")}
    program.model.metadata_props.update(metadata | geometry)
    with atomic_path(path) as temporary:
        program.save(temporary, external_data=False)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep to itself what torch's exporter says about torchvision and about torch's own code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
