"""Which square of the image a sample is, and at which resolution."""

import math
from dataclasses import dataclass

from socl_pipeline.settings.eco import EcoSettings

LEAST_OBJECT = 5.0  # px that the scale limits leave of a sample (ECO)


@dataclass(frozen=True)
class SampleGeometry:
    """The square around an object; lengths in px of the patch unless said otherwise."""

    side: int  # of the sample
    object_size: tuple[float, float]  # w, h of the object at scale 1
    scale: float  # image px per patch px in the first frame
    limits: tuple[float, float]  # of the scale


def sample_geometry(
    size: tuple[float, float], image_size: tuple[int, int], unit: int, settings: EcoSettings
) -> SampleGeometry:
    """Return the geometry for an object of w, h px in an image of w, h px.

    The search area w h search_area^2 is brought between least_area and most_area; its side is
    rounded up to a whole number of `unit` px (ECO; pyCFTrackers and pytracking add up to two more
    to have an odd number, which the series here do not need).
    """
    area = size[0] * size[1] * settings.search_area**2
    wanted = min(max(area, settings.least_area), settings.most_area)
    scale = math.sqrt(area / wanted)
    object_size = (size[0] / scale, size[1] / scale)
    side = unit * math.ceil(math.sqrt(wanted) / unit)
    least, most = _limits(side, object_size, image_size, settings)
    # a first box may be larger than the image, or tiny: it is right all the same
    limits = (min(least, scale), max(most, scale))
    return SampleGeometry(side, object_size, scale, limits)


def _limits(
    side: int,
    object_size: tuple[float, float],
    image_size: tuple[int, int],
    settings: EcoSettings,
) -> tuple[float, float]:
    """Return the least and largest scale, whole powers of the scale step (ECO)."""
    step = settings.scale_step
    least = math.ceil(math.log(LEAST_OBJECT / side) / math.log(step))
    ratio = min(image_size[0] / object_size[0], image_size[1] / object_size[1])
    most = math.floor(math.log(ratio) / math.log(step))
    return step**least, step ** max(least, most)
