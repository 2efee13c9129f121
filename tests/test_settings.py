import json
from pathlib import Path

import pytest
import yaml

from socl_pipeline.cli import schema_text
from socl_pipeline.errors import InputError
from socl_pipeline.settings import expand, load_config, validate_config
from socl_pipeline.transt.loss import LossWeights
from socl_pipeline.transt.network import TransTShape

ROOT = Path(__file__).parents[1]
SHIPPED = sorted((ROOT / "config").glob("*.yaml"))
SCHEMA = ROOT / "workflow/schemas/config.schema.json"


def put(raw, key, value):
    *sections, last = key.split(".")
    for section in sections:
        raw = raw.setdefault(section, {})
    raw[last] = value


def sentence(raw):
    with pytest.raises(InputError) as caught:
        validate_config(raw, "config.yaml")
    return str(caught.value)


def test_defaults_are_the_papers(raw_config):
    for section in ("proposals", "top_maps", "patches"):
        del raw_config[section]
    raw_config["models"]["tiny"] = {}
    config = validate_config(raw_config, "test")
    assert config.proposals.random.count == 5000
    assert config.proposals.edgeboxes.max_boxes == 1000
    assert config.proposals.edgeboxes.radius_px == 30
    assert (config.top_maps.nms, config.top_maps.top_k) == (0.7, 64)
    model = config.models["tiny"]
    assert 2 * model.videos_per_batch == 192
    assert model.sns and model.mixup and model.lst


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("proposls", {}, "unknown key 'proposls': did you mean 'proposals'?"),
        ("top_maps.topk", 3, "unknown key 'top_maps.topk': did you mean 'top_k'?"),
        ("proposals.edgeboxes.radius", 3, "did you mean 'radius_px'?"),
        ("models.tiny.epoch", 3, "unknown key 'models.tiny.epoch': did you mean 'epochs'?"),
        ("models.tiny.augment.flips", True, "unknown key 'models.tiny.augment.flips': did you"),
        ("datasets.demo.points.noise", 3, "did you mean 'noise_px'?"),
        ("trackers.socl.modl", "tiny", "unknown key 'trackers.socl.modl': did you mean 'model'?"),
        ("trackers.kcf.nam", "kcf", "unknown key 'trackers.kcf.nam': did you mean 'name'?"),
        ("report.zzz", 1, "unknown key 'report.zzz': known are title, examples, palette"),
        ("top_maps.nms", 1.5, "top_maps.nms: input should be less than or equal to 1 (found 1.5)"),
        ("top_maps.shard_frames", 0, "top_maps.shard_frames: input should be greater than 0"),
        ("views.working_side", "big", "views.working_side: input should be a valid int"),
        ("views.working_side", 10, "views: working_side must be full or at least 64"),
        ("views.working_side", "full", "views: working_side: full goes with kind: frame"),
        ("views.kind", "crop", "views.kind: input should be 'context' or 'frame' (found 'crop')"),
        ("views.ratio", 1, "views.ratio: input should be greater than 1"),
        ("views.contxt", 4, "unknown key 'views.contxt': did you mean 'context'?"),
        ("proposals.working_side", 160, "unknown key 'proposals.working_side'"),
        ("top_maps.prior", "box", "top_maps.prior: expected top, gaussian, boxes, pseudo_boxes/"),
        ("top_maps", None, "top_maps: there is nothing below it; leave it out"),
        ("top_maps", [1], "top_maps: expected a mapping of keys (found [1])"),
        ("models.tiny.lst_mass", [0.9, 0.2], "models.tiny: lst_mass must be two numbers"),
        ("models.tiny.sns", False, "models.tiny: mixup mixes soft negative samples"),
        ("models.tiny.top_clip", 1.5, "top_clip must be auto or in (0, 1]"),
        ("models.tiny.top_gain", -1, "top_gain must be auto, raw or positive"),
        ("models.tiny.top_gain", "big", "models.tiny.top_gain: input should be a valid number"),
        ("models.tiny.lr_final", 1.0, "lr_final must not be above lr"),
        ("models.tiny.backbone", "vgg", "models.tiny.backbone: input should be 'alexnet_v1', 'res"),
        ("trackers.socl.model", "tiney", "trackers.socl.model: there is no model 'tiney': did you"),
        (
            "trackers.kcf.kind",
            "opncv",
            "kcf.kind: there is no kind 'opncv': did you mean 'opencv'?",
        ),
        (
            "trackers.kcf",
            {"name": "kcf"},
            "'trackers.kcf.kind' is missing: known are siamfc, opencv,",
        ),
        (
            "models.tiny.kind",
            "scl",
            "models.tiny.kind: there is no kind 'scl': did you mean 'socl'?",
        ),
        (
            "models.tiny.lr_decay_epochs",
            5,
            "models.tiny.lr_decay_epochs: expected a list (found 5)",
        ),
        ("tables.train", "table_1", "tables.train: expected a list (found 'table_1')"),
        (
            "datasets.demo.overrides",
            {"top_maps": {"nsm": 1}},
            "datasets.demo.overrides.top_maps: un",
        ),
        ("trackers.socl.weights", "imagenet", "leave out weights or model"),
        ("datasets", {}, "datasets: dictionary should have at least 1 item"),
        (
            "datasets.Bad Name",
            {"manifest": "x"},
            "datasets.Bad Name: a name has lower-case letters",
        ),
        ("models.a__b", {}, "models.a__b: a name has lower-case letters, digits and single under"),
    ],
)
def test_each_error_names_its_key(raw_config, key, value, expected):
    put(raw_config, key, value)
    message = sentence(raw_config)
    assert message.startswith("config.yaml: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("shap", {}, "unknown key 'models.transt.shap': did you mean 'shape'?"),
        ("shape.with", 8, "unknown key 'models.transt.shape.with': did you mean 'width'?"),
        ("augment.shift_px", 8, "unknown key 'models.transt.augment.shift_px'"),
        ("temperature", 0.1, "unknown key 'models.transt.temperature'"),
        ("window", 100, "models.transt.window: input should be a multiple of 8"),
        ("template", 24, "models.transt.template: input should be greater than or equal to 32"),
        ("shape.heads", 7, "models.transt.shape: heads must divide width, 256"),
        (
            "backbone",
            "alexnet_v1",
            "models.transt.backbone: input should be 'resnet50', 'res",
        ),
        ("augment.centre", 2, "models.transt.augment.centre: input should be less than 2"),
    ],
)
def test_each_error_of_a_transt_names_its_key(raw_config, key, value, expected):
    raw_config["models"]["transt"] = {"kind": "transt"}
    put(raw_config, f"models.transt.{key}", value)
    message = sentence(raw_config)
    assert expected in message and "\n" not in message


def test_the_defaults_of_a_transt_are_the_published(raw_config):
    raw_config["models"]["transt"] = {"kind": "transt", "weights": "imagenet"}
    model = validate_config(raw_config, "c").models["transt"]
    assert (model.template, model.window, model.backbone) == (128, 256, "resnet50")
    assert (model.optimizer, model.lr, model.trunk_lr, model.weight_decay) == (
        *("adamw", 2e-4, 2e-5, 1e-4),
    )
    assert (model.epochs, model.lr_decay_epochs, model.max_gap) == (500, (250,), 100)
    assert TransTShape(**model.shape.model_dump()) == TransTShape()
    assert LossWeights(**model.loss.model_dump()) == LossWeights()


@pytest.mark.parametrize(
    ("kind", "model"), [("siamfc", "transt"), ("eco", "transt"), ("transt", "tiny")]
)
def test_trackers_run_models_of_their_kind(raw_config, kind, model):
    raw_config["models"]["transt"] = {"kind": "transt"}
    raw_config["trackers"] = {"good": {"kind": "transt", "model": "transt"}}
    again = json.loads(validate_config(raw_config, "c").model_dump_json())
    assert validate_config(again, "c") == validate_config(raw_config, "c"), "defaults written out"
    raw_config["trackers"]["odd"] = {"kind": kind, "model": model}
    assert "trackers of kind transt run models of that kind, and no others do" in sentence(
        raw_config
    )


@pytest.mark.parametrize("kind", ["siamfc", "opencv"])
def test_a_tracker_may_have_the_name_of_its_kind(raw_config, kind):
    raw_config["trackers"][kind] = {"kind": kind, "name": "kcf", "zzz": 1}
    message = sentence(raw_config)
    assert f"unknown key 'trackers.{kind}.zzz'" in message


def test_an_error_in_a_list_is_one_error(raw_config):
    rows = [{"label": "a"}, {"label": "b", "columns": [{"label": "c", "modle": "gst"}]}]
    put(raw_config, "tables.own.table_own", {"title": "Own", "rows": rows})
    assert sentence(raw_config) == (
        "config.yaml: unknown key 'tables.own.table_own.rows.1.columns.0.modle': did you mean "
        "'model'?"
    )


def test_a_missing_key_is_named(raw_config):
    del raw_config["datasets"]["demo"]["manifest"]
    assert sentence(raw_config) == "config.yaml: 'datasets.demo.manifest' is missing"


def test_all_errors_at_once(raw_config):
    raw_config |= {"one": 1, "two": 2}
    message = sentence(raw_config)
    assert "unknown key 'one'" in message and "unknown key 'two'" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n- b\n", "expected a mapping of sections, found list"),
        ("", "expected a mapping of sections, found NoneType"),
        ("a: [1\nb: 2\n", "not valid YAML"),
    ],
)
def test_files_that_are_no_config(tmp_path, text, expected):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=expected) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.yaml: no such config file"):
        load_config(tmp_path / "absent.yaml")


def test_yaml_gives_the_same_config(tmp_path, raw_config):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw_config))
    assert load_config(path) == validate_config(raw_config, "test")


def test_a_config_cannot_be_changed(raw_config):
    config = validate_config(raw_config, "test")
    with pytest.raises(ValueError, match="frozen"):
        config.top_maps.nms = 0.1


def test_expand(monkeypatch):
    monkeypatch.setenv("DATA", "/data")
    monkeypatch.delenv("NONE", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert expand("$DATA/x") == "/data/x"
    assert expand("${DATA:-/other}/x") == "/data/x"
    assert expand("${NONE:-/other}/x") == "/other/x"
    assert expand("${NONE:-}x") == "x"
    assert expand("~/x") == "/home/me/x"
    assert expand("${NONE:-~/data}/x") == "/home/me/data/x"


@pytest.mark.skipif(not SHIPPED, reason="no shipped config yet")
@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_shipped_configs_are_valid(path):
    config = load_config(path)
    for entry in (*config.datasets.values(), *config.benchmarks.values()):
        assert (ROOT / entry.manifest).is_file(), entry.manifest


@pytest.mark.skipif(not SCHEMA.exists(), reason="no schema file yet")
def test_schema_file_is_up_to_date():
    regenerate = "regenerate it: socl schema > workflow/schemas/config.schema.json"
    assert SCHEMA.read_text() == schema_text(), regenerate


@pytest.mark.parametrize(("given", "used"), [("auto", 10.0), ("raw", "raw"), (3, 3.0)])
def test_an_automatic_gain_is_recorded_as_the_number_that_it_means(raw_config, given, used):
    put(raw_config, "models.tiny.top_gain", given)
    assert validate_config(raw_config, "test").models["tiny"].top_gain == used


def test_a_tracker_correlates_as_its_model_learnt(raw_config):
    raw_config["models"]["tiny"]["window"] = 159
    raw_config["models"]["box"] = {"kind": "bce"}
    raw_config["trackers"]["box"] = {"kind": "siamfc", "model": "box"}
    config = validate_config(raw_config, "c.yaml")
    normalize = {n: config.tracker(n).normalize for n in ("socl", "box", "socl__bce")}
    assert normalize == {"socl": "cell", "box": "none", "socl__bce": "none"}
    raw_config["trackers"]["box"]["normalize"] = "cell"
    with pytest.raises(InputError, match="similarity: correlation; leave normalize out"):
        validate_config(raw_config, "c.yaml")
    raw_config["trackers"]["box"]["normalize"] = "none"
    validate_config(raw_config, "c.yaml")
    raw_config["models"]["box"]["similarity"] = "cosine"
    with pytest.raises(InputError, match="similarity: cosine; leave normalize out"):
        validate_config(raw_config, "c.yaml")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"hog_channels": 0}, "there are no features: leave out hog_channels: 0, or name a"),
        ({"layers": {"layer3": 4}}, "layers need a network: name a model or a backbone"),
        ({"weights": "w.npz"}, "weights need a backbone to go into"),
        ({"model": "tiny", "backbone": "resnet18"}, "model brings its own backbone"),
        ({"backbone": "alexnet_v1", "weights": "imagenet"}, "weights: imagenet is for"),
        ({"backbone": "resnet18", "layers": {"layer3": 0}}, "layers.layer3"),
        ({"scales": 4}, "scales must be odd"),
    ],
)
def test_an_eco_tracker_says_what_it_lacks(raw_config, entry, expected):
    raw_config["trackers"]["cf"] = {"kind": "eco"} | entry
    assert expected in sentence(raw_config)


def test_tables_vary_a_filter_on_a_model(raw_config):
    raw_config["trackers"]["cf"] = {"kind": "eco"}
    raw_config["tables"] = {"cf_tracker": "cf"}
    assert "tables.cf_tracker: 'cf' must be of kind eco and name a model" in sentence(raw_config)
    raw_config["trackers"]["cf"]["model"] = "tiny"
    assert validate_config(raw_config, "test").tables.cf_tracker == "cf"
