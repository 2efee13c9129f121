"""Presets: named sets of values that stand in for what a config leaves out."""

import copy
from collections.abc import Mapping
from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "fast": {"views": {"working_side": 120, "detail": 480}},
    # The letter of the paper: OpenCV's EdgeBoxes of the whole frame, nothing made smaller.
    "paper_strict": {
        "views": {"kind": "frame", "working_side": "full", "min_side_px": 10.0},
        "proposals": {"edgeboxes": {"search": "opencv", "min_box_area_px": 1000.0}},
    },
}


def with_preset(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config's raw data over the values of the preset that it names."""
    return overlay(PRESETS.get(str(raw.get("preset", "default")), {}), raw)


def overlay(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `values` laid over it, section by section; neither is changed."""
    merged = copy.deepcopy(dict(base))
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), dict):
            merged[key] = overlay(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged
