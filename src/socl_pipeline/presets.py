"""Presets: named sets of values that stand in for what a config leaves out."""

from collections.abc import Mapping
from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "fast": {"views": {"working_side": 128}},
    # The letter of the paper: OpenCV's EdgeBoxes of the whole frame, nothing made smaller.
    "paper_strict": {
        "views": {"kind": "frame", "working_side": "full", "min_side_px": 10.0},
        "proposals": {"edgeboxes": {"search": "opencv", "min_box_area_px": 1000.0}},
    },
}


def with_preset(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config's raw data over the values of the preset that it names."""
    preset = PRESETS.get(str(raw.get("preset", "default")), {})
    return _over(preset, raw)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `above`, and of `below` what `above` does not say, section by section."""
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping):
            merged[key] = _over(below[key], above[key])
    return merged
