from pathlib import Path

import pytest
import yaml

from socl_pipeline.datasets.manifest import (
    OpeConstants,
    dataset_root,
    load_manifest,
    require_root,
)
from socl_pipeline.errors import InputError

SHIPPED = sorted((Path(__file__).parents[2] / "data_manifests").glob("*.yaml"))
MINIMAL = {"name": "a", "title": "A", "layout": "clips", "root": "/a", "licence": "-"}


@pytest.fixture
def write(tmp_path):
    def write_manifest(**changes):
        path = tmp_path / "a.yaml"
        path.write_text(yaml.safe_dump(MINIMAL | changes))
        return path

    return write_manifest


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_manifests_are_valid(path):
    manifest = load_manifest(path)
    assert manifest.name == path.stem
    assert manifest.licence
    needed = {"clips": manifest.clicks, "got10k": manifest.splits, "trackingnet": manifest.splits}
    assert needed.get(manifest.layout, manifest.sequences)


def test_defaults_of_the_layouts(write):
    manifest = load_manifest(
        write(splits={"train": {"folder": "t"}}, sequences={"S": {}, "T": {"frames": [3, 9]}})
    )
    assert manifest.clicks == "clicks.csv"
    assert manifest.splits["train"].list == "list.txt"
    assert manifest.sequences["S"].groundtruth == "groundtruth_rect.txt"
    assert manifest.sequences["S"].digits == 4
    assert manifest.sequences["T"].frames == (3, 9)


def test_sequences_may_be_a_list_of_names(write):
    sequences = load_manifest(write(sequences=["b", "a"])).sequences
    assert list(sequences) == ["b", "a"] and sequences["a"].frames is None


def test_constants_follow_the_protocol(write):
    assert load_manifest(write()).constants == OpeConstants()
    assert load_manifest(write(protocol="got10k")).constants.repetitions == 3
    vot = load_manifest(write(protocol="vot", constants={"eao_interval": [100, 356]})).constants
    assert vot.eao_interval == (100, 356)
    assert (vot.skip, vot.burn_in, vot.repetitions, vot.sensitivity) == (5, 10, 15, 30)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"licens": "x"}, "unknown key 'licens': did you mean 'licence'?"),
        ({"layout": "voc"}, "layout: input should be 'got10k', 'otb'"),
        ({"protocol": "vot"}, "'constants.eao_interval' is missing"),
        ({"constants": {"eao_interval": [1, 2]}}, "unknown key 'constants.eao_interval'"),
        ({"protocol": "vot", "constants": {"eao_interval": [9, 2]}}, "expected 1 <= first <= last"),
        ({"protocol": "otb"}, "a.yaml: protocol: input should be 'ope', 'got10k',"),
        ({"constants": 3}, "constants: "),
        ({"sequences": ["a", "b", "a"]}, "sequences: 'a' is listed twice"),
        ({"splits": {"train": {"folders": "t"}}}, "unknown key 'splits.train.folders': did you"),
        ({"splits": {"t": {"folder": "t", "truth": "no"}}}, "be 'given' or 'withheld'"),
        ({"splits": {"train": {}}}, "'splits.train.folder' is missing"),
        ({"sequences": {"S": {"frames": [1]}}}, "sequences.S.frames"),
        ({"sequences": {"S": {"frames": [9, 3]}}}, "frames are 9 to 3: expected 0 <= first"),
    ],
)
def test_errors_name_file_and_key(write, changes, expected):
    path = write(**changes)
    with pytest.raises(InputError) as caught:
        load_manifest(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)


def test_a_split_may_withhold_its_truth(write):
    splits = {"val": {"folder": "v"}, "test": {"folder": "t", "truth": "withheld"}}
    manifest = load_manifest(write(splits=splits))
    assert [manifest.withholds(s) for s in ("val", "test", "other")] == [False, True, False]
    shipped = {p.stem: load_manifest(p) for p in SHIPPED}
    said = {(n, s) for n, m in shipped.items() for s in m.splits if m.withholds(s)}
    assert said == {("got10k", "test"), ("trackingnet", "test")}


def test_a_manifest_that_changed_is_read_again(write):
    assert load_manifest(write(title="A")).title == "A"
    assert load_manifest(write(title="B")).title == "B"


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: no such manifest"):
        load_manifest(tmp_path / "none.yaml")


def test_broken_yaml_is_named(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(InputError, match=r"a\.yaml: not valid YAML"):
        load_manifest(tmp_path / "a.yaml")


def test_the_root_is_expanded_and_can_be_overridden(write, monkeypatch):
    monkeypatch.setenv("A_ROOT", "/from/env")
    manifest = load_manifest(write(root="${A_ROOT:-data/a}"))
    assert dataset_root(manifest) == Path("/from/env")
    assert dataset_root(manifest, "/other") == Path("/other")
    monkeypatch.delenv("A_ROOT")
    assert dataset_root(manifest) == Path("data/a")


def test_a_missing_root_is_an_error_unless_it_can_be_drawn(write, tmp_path):
    manifest = load_manifest(write())
    with pytest.raises(InputError, match=r"config: the folder .*nowhere of A does not exist"):
        require_root(manifest, tmp_path / "nowhere", "config")
    require_root(manifest, tmp_path, "config")
    drawn = load_manifest(write(generate={}))
    require_root(drawn, tmp_path / "nowhere", "config")
