"""What TransT's models and trackers have in common."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from socl_pipeline.settings.datasets import expand

TrunkName = Literal["resnet50", "resnet18", "squeezenet1_1"]


def _filled(given: Any) -> Any:
    return expand(given) if isinstance(given, str) else given


WeightsFile = Annotated[Path, BeforeValidator(_filled)]
"""A file of weights; `~` and `${NAME}` are filled in."""
