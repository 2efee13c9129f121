"""What TransT's models and trackers have in common."""

from typing import Literal

TrunkName = Literal["resnet50", "resnet18", "squeezenet1_1"]
