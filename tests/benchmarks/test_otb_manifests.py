import json
import os
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "data_manifests"
TARGETS = {"otb100": 100, "otb50": 50, "otb2013": 51}
VIDEOS = {"otb100": 98, "otb50": 49, "otb2013": 50}


def load(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


@pytest.fixture(scope="module")
def truth_lengths():
    """Frames of each official target, by casefolded name."""
    if "SOCL_TEST_DATA" not in os.environ:
        pytest.skip("SOCL_TEST_DATA is unset: no official truth to compare with")
    path = Path(os.environ["SOCL_TEST_DATA"]) / "results/otb100_groundtruth.json"
    truth = json.loads(path.read_text())
    return {n.casefold().replace("_", "-"): len(t["gt_rect"]) for n, t in truth.items()}


@pytest.mark.parametrize("name", TARGETS)
def test_counts_of_targets_and_videos(name):
    manifest = load(name)
    sequences = manifest["sequences"]
    assert manifest["name"] == name
    assert len(sequences) == TARGETS[name]
    assert len({entry.get("folder", target) for target, entry in sequences.items()}) == VIDEOS[name]


@pytest.mark.parametrize("name", TARGETS)
def test_no_target_is_written_twice(name):
    # YAML keeps the last of two equal keys without a word
    lines = (FOLDER / f"{name}.yaml").read_text().split("sequences:\n")[1].splitlines()
    assert sum(not line.lstrip().startswith("#") for line in lines) == TARGETS[name]


@pytest.mark.parametrize("name", ["otb50", "otb2013"])
def test_smaller_lists_are_part_of_otb100(name):
    everything = load("otb100")["sequences"]
    for target, entry in load(name)["sequences"].items():
        assert entry == everything[target], target


@pytest.mark.parametrize("name", TARGETS)
def test_entries_agree_with_the_official_truth(name, truth_lengths):
    for target, entry in load(name)["sequences"].items():
        assert target.casefold() in truth_lengths
        if "frames" in entry:
            first, last = entry["frames"]
            assert last - first + 1 == truth_lengths[target.casefold()], target
