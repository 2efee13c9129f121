"""Presets stand in for what a config leaves out, and for nothing else."""

import copy
import json
from pathlib import Path

import pytest

from socl_pipeline.errors import InputError
from socl_pipeline.presets import PRESETS, with_preset
from socl_pipeline.settings import validate_config

SCHEMA = Path(__file__).parents[1] / "workflow/schemas/config.schema.json"


@pytest.fixture
def bare(raw_config):
    """A config that says nothing of what presets decide."""
    return {key: raw_config[key] for key in ("datasets", "models")}


def test_a_preset_fills_in_what_is_left_out(bare):
    assert validate_config(bare | {"preset": "fast"}, "test").views.working_side == 120
    assert validate_config(bare, "test") == validate_config(bare | {"preset": "default"}, "test")


def test_paper_strict_is_opencvs_search_in_the_full_frame(bare):
    config = validate_config(bare | {"preset": "paper_strict"}, "test")
    assert (config.views.kind, config.views.working_side) == ("frame", "full")
    assert config.views.read_side is None and config.views.zoom(5000) == 1
    boxes = config.proposals.edgeboxes
    assert (boxes.search, boxes.max_boxes, boxes.radius_px) == ("opencv", 1000, 30)
    assert boxes.min_box_area_px == 1000, "OpenCV's default"
    assert config.proposals.random.count == 5000


def test_what_a_user_writes_wins_key_by_key(bare):
    own = {"views": {"min_side_px": 4.0}, "proposals": {"edgeboxes": {"alpha": 0.5}}}
    config = validate_config(bare | {"preset": "paper_strict"} | own, "test")
    assert (config.views.kind, config.views.min_side_px) == ("frame", 4)
    assert config.views.working_side == "full"
    boxes = config.proposals.edgeboxes
    assert (boxes.search, boxes.alpha, boxes.min_box_area_px) == ("opencv", 0.5, 1000)
    own["proposals"]["edgeboxes"]["search"] = "local"
    config = validate_config(bare | {"preset": "paper_strict"} | own, "test")
    assert config.proposals.edgeboxes.search == "local"


def test_a_preset_makes_no_difference_but_by_its_values(bare):
    written = copy.deepcopy(bare) | PRESETS["paper_strict"]
    by_hand = validate_config(written, "test")
    by_name = validate_config(bare | {"preset": "paper_strict"}, "test")
    assert by_hand == by_name.model_copy(update={"preset": "default"})


def test_presets_are_laid_under_a_config_without_changing_either(bare):
    presets, raw = copy.deepcopy(PRESETS), bare | {"preset": "fast", "views": {"ratio": 2.0}}
    before = copy.deepcopy(raw)
    merged = with_preset(raw)
    assert merged["views"] == {"working_side": 120, "detail": 480, "ratio": 2.0}
    merged["views"]["working_side"] = 7
    assert raw == before and presets == PRESETS


def test_an_unknown_preset_is_one_sentence(bare):
    with pytest.raises(InputError) as caught:
        validate_config(bare | {"preset": "papr"}, "config.yaml")
    known = "'default', 'fast' or 'paper_strict'"
    assert str(caught.value) == f"config.yaml: preset: input should be {known} (found 'papr')"


@pytest.mark.parametrize("preset", [["fast"], {"fast": 1}, None, 3])
def test_a_preset_that_is_no_name_is_one_sentence(bare, preset):
    with pytest.raises(InputError, match=r"^config\.yaml: preset: input should be 'default'"):
        validate_config(bare | {"preset": preset}, "config.yaml")


def test_a_wrong_value_over_a_preset_is_named(bare):
    raw = bare | {"preset": "paper_strict", "views": {"kind": "context"}}
    with pytest.raises(InputError, match="views: working_side: full goes with kind: frame"):
        validate_config(raw, "config.yaml")
    with pytest.raises(InputError, match="views: expected a mapping of keys"):
        validate_config(bare | {"preset": "fast", "views": 3}, "config.yaml")


def test_the_schema_knows_the_presets():
    preset = json.loads(SCHEMA.read_text())["properties"]["preset"]
    assert preset["enum"] == list(PRESETS) and preset["default"] == "default"
