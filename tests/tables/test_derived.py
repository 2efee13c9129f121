"""Derived names: what an entry with variants is, and what is said about a wrong one."""

import json

import pytest

from socl_pipeline.errors import InputError
from socl_pipeline.settings import validate_config
from socl_pipeline.settings.derived import derived_name, simplest, split_name
from socl_pipeline.settings.tables import packaged_tables


@pytest.fixture
def config(raw_config):
    """The small config, validated after a test has changed it."""
    return lambda: validate_config(raw_config, "test")


def test_names_are_split_and_joined():
    assert split_name("a_b__c__d1") == ("a_b", ["c", "d1"])
    assert derived_name("a", None, "b__c", "d") == "a__b__c__d"


def test_a_model_variant_changes_its_keys_only(config):
    base, gst = config().models["tiny"], config().model("tiny__gst__seed3")
    assert (gst.sns, gst.mixup, gst.lst, gst.seed) == (False, False, False, 3)
    assert gst.model_copy(update={"sns": True, "mixup": True, "lst": True, "seed": 0}) == base


def test_later_variants_win(config):
    assert config().model("tiny__clip05__clip20").top_clip == 0.2


def test_another_kind_keeps_the_keys_that_it_has(raw_config, config):
    raw_config["models"]["tiny"]["temperature"] = 0.3
    bce = config().model("tiny__bce__t30")
    assert (bce.kind, bce.box_threshold, bce.window, bce.epochs) == ("bce", 0.3, 159, 2)
    assert not hasattr(bce, "temperature")


def test_a_written_config_derives_the_same_entries(raw_config, config):
    """The jobs read the config that Snakemake wrote, in which every default stands."""
    raw_config["preset"] = "fast"
    written = json.loads(config().model_dump_json())
    again = validate_config(written, "written")
    assert again.model("tiny__bce") == config().model("tiny__bce")
    assert again.dataset("demo__boxes") == config().dataset("demo__boxes")
    assert again.for_dataset("demo__boxes") == config().for_dataset("demo__boxes")


def test_a_tracker_follows_its_model(raw_config, config):
    raw_config["variants"] = {"trackers": {"gst": {"normalize": "none"}}}
    base, tracker = config().trackers["socl"], config().tracker("socl__gst__seed1")
    assert tracker == base.model_copy(update={"model": "tiny__gst__seed1", "normalize": "none"})


def test_an_untrained_tracker_has_the_network_of_its_model_and_its_own_seed(raw_config, config):
    raw_config["models"]["tiny"]["backbone"] = "resnet18"
    tracker = config().tracker("socl__untrained__seed2")
    assert (tracker.model, tracker.backbone, tracker.seed) == (None, "resnet18", 2)


def test_a_declared_tracker_may_run_on_a_derived_model(raw_config, config):
    raw_config["trackers"]["gst"] = {"kind": "siamfc", "model": "tiny__gst"}
    assert config().tracker("gst").model == "tiny__gst"
    assert config().tracker("gst__seed1").model == "tiny__gst__seed1"


def test_budgets_are_those_of_the_config(raw_config, config):
    raw_config["tables"] = {"hours": [1, 2]}
    points = config().dataset("demo__boxes__budget2").points
    assert (points.hours, points.seconds_per_frame) == (2, 10.2)


def test_variants_of_the_config_take_the_place_of_packaged_ones(raw_config, config):
    raw_config["variants"] = {"models": {"clip05": {"top_clip": 0.04}, "hot": {"temperature": 1}}}
    assert config().model("tiny__clip05").top_clip == 0.04
    assert config().model("tiny__hot").temperature == 1


@pytest.mark.parametrize(
    ("lookup", "name", "sentence"),
    [
        ("model", "tiny__gts", "model 'tiny__gts': there is no variant 'gts': did you mean 'gst'?"),
        ("model", "tine__gst", "there is no model 'tine' in the config; known: tiny"),
        ("model", "tiny__t30", "model 'tiny__t30': unknown key 'box_threshold': known are"),
        ("model", "tiny__odd", "model 'tiny__odd': there is no kind 'odd'; known: socl, bce"),
        ("tracker", "socl__gts", "there is no variant 'gts': did you mean 'gst'?"),
        ("tracker", "socl__untrained__gst", "there is no variant 'gst': known are untrained"),
        ("tracker", "kcf__seed1", "tracker 'kcf__seed1': unknown key 'seed'"),
        ("dataset", "demo__box", "there is no variant 'box': did you mean 'boxes'?"),
        ("dataset", "demo__budget5", "tables.hours has 4 budgets, so there is no 'budget5'"),
        ("table", "table_11", "there is no table 'table_11' in the config; known: table_1"),
        ("benchmark", "vol", "there is no benchmark 'vol' in the config; known: val"),
    ],
)
def test_a_wrong_name_is_one_sentence(raw_config, config, lookup, name, sentence):
    raw_config["variants"] = {"models": {"odd": {"kind": "odd"}}}
    with pytest.raises(InputError) as caught:
        getattr(config(), lookup)(name)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_name_is_reduced_to_what_changes_something(config):
    model = config().model
    assert simplest(model, "tiny__full__seed0") == "tiny"
    assert simplest(model, "tiny__bce__t30__seed1") == "tiny__bce__seed1"
    assert simplest(model, "tiny__gst__full__mixup") == "tiny__mixup"
    tracker = config().tracker
    assert simplest(tracker, "socl__full__seed0") == "socl"
    assert simplest(tracker, "socl__gst__seed0") == "socl__gst"
    assert simplest(config().dataset, "demo__noise20__boxes") == "demo__noise20__boxes"


def test_a_double_underscore_is_kept_for_derived_names(raw_config):
    raw_config["models"]["tiny__gst"] = {}
    with pytest.raises(InputError, match=r"models\.tiny__gst"):
        validate_config(raw_config, "test")


def test_every_packaged_variant_resolves(config):
    variants = packaged_tables().variants
    for name in variants.datasets:
        config().for_dataset(f"demo__{name}")
    for name, delta in variants.models.items():
        config().model(f"tiny__bce__{name}" if "box_threshold" in delta else f"tiny__{name}")
    for name in variants.trackers:
        config().tracker(f"socl__{name}")


def test_overrides_are_of_one_dataset(raw_config, config):
    raw_config["datasets"]["other"] = raw_config["datasets"]["demo"] | {
        "overrides": {"top_maps": {"prior": "boxes"}, "patches": {"context": 5.5}}
    }
    other = config().for_dataset("other")
    assert (other.top_maps.prior, other.top_maps.top_k, other.patches.context) == ("boxes", 16, 5.5)
    assert config().for_dataset("demo") == config()
    assert config().for_dataset("other__gaussian").top_maps.prior == "gaussian"
    assert config().for_dataset("other__gaussian").patches.context == 5.5


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"top_maps": {"nsm": 1}}, "overrides.top_maps: unknown key 'nsm': did you mean 'nms'?"),
        ({"patches": {"size": 0}}, "overrides.patches: size: input should be greater than 0"),
        ({"models": {}}, "datasets.demo.overrides.models"),
    ],
)
def test_bad_overrides_are_seen_at_once(raw_config, config, overrides, sentence):
    raw_config["datasets"]["demo"]["overrides"] = overrides
    with pytest.raises(InputError) as caught:
        config()
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"model": "tine"}, "tables.model: there is no model 'tine': did you mean 'tiny'?"),
        ({"tracker": "scl"}, "tables.tracker: there is no tracker 'scl': did you mean 'socl'?"),
        ({"dataset": "dem"}, "tables.dataset: there is no dataset 'dem': did you mean 'demo'?"),
        ({"benchmarks": ["vl"]}, "tables.benchmarks: there is no benchmark 'vl': did you mean"),
        ({"own": {"t": {"title": "T", "rows": []}}}, "tables.own.t.rows"),
        ({"own": {"t": {"title": "T", "rows": [{"lable": ""}]}}}, "unknown key 'tables.own.t.rows"),
    ],
)
def test_bad_tables_are_seen_at_once(raw_config, config, tables, sentence):
    raw_config["tables"] = tables
    with pytest.raises(InputError) as caught:
        config()
    assert sentence in str(caught.value)
