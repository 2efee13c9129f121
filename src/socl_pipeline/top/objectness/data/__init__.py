"""Tables that are shipped with the package."""

from pathlib import Path
from typing import Literal


def objectness_file(path: Path | None, views: Literal["context", "frame"] = "context") -> Path:
    """Return a user's objectness tables, or those shipped for a kind of view.

    `socl fit-objectness` made both on procedural scenes: what a cue says depends on the pixels
    and the surroundings that a view gives to a window.
    """
    return path or Path(__file__).with_name(f"objectness_{views}.json")
