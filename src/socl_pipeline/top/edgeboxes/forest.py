"""Edges of a user's structured forest (Dollar and Zitnick, ICCV 2013), through OpenCV.

None is shipped: the authors' forest, model.yml.gz, is licensed for research only.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.top.edgeboxes.edges import EdgeMap, thin

NODES = ("options", "childs", "featureIds", "thresholds", "edgeBoundaries", "edgeBins")


def forest_edges(image: NDArray[np.uint8], model: Path) -> EdgeMap:
    """Return the thinned edges of a uint8 RGB image (H, W, 3).

    model: a structured forest in OpenCV's format. Raises InputError if it cannot be used.
    """
    detector = _detector(model)
    strength = detector.detectEdges(image.astype(np.float32) / 255)
    return thin(strength, detector.computeOrientation(strength))


@lru_cache(maxsize=1)
def _detector(model: Path) -> Any:
    """Return the detector of a model file, read once a process: that takes seconds."""
    _check_model(model)
    try:
        return cv2.ximgproc.createStructuredEdgeDetection(str(model))
    except cv2.error as error:
        raise _unusable(model, f"OpenCV says: {' '.join(str(error.err).split())}") from None


def _check_model(model: Path) -> None:
    """Raise InputError for a file that is no forest: OpenCV would end the process on some."""
    if not model.is_file():
        raise _unusable(model, "there is no such file")
    try:
        storage = cv2.FileStorage(str(model), cv2.FILE_STORAGE_READ)
    except (cv2.error, SystemError):
        raise _unusable(model, "it is not a YAML file that OpenCV can read") from None
    missing = [name for name in NODES if storage.getNode(name).empty()]
    storage.release()
    if missing:
        raise _unusable(model, f"it lacks {missing[0]!r}")


def _unusable(model: Path, reason: str) -> InputError:
    return InputError(
        f"{model}: not usable as proposals.edgeboxes.model, {reason}; give a structured forest in "
        "OpenCV's format (model.yml.gz) or leave the key out for smoothed colour gradients"
    )
