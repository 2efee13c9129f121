"""Tables that are shipped with the package."""

from pathlib import Path


def objectness_file(path: Path | None) -> Path:
    """Return a user's objectness tables, or the shipped ones (`socl fit-objectness` made them)."""
    return path or Path(__file__).with_name("objectness.json")
