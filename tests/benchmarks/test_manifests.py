"""The benchmarks' official lists, ranges and constants, as the manifests have them."""

from collections import Counter
from pathlib import Path

import pytest

from socl_pipeline.datasets.listing import official_frames
from socl_pipeline.datasets.manifest import load_manifest

FOLDER = Path(__file__).parents[2] / "data_manifests"
OTB_ATTRIBUTES = {"IV", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OPR", "OV", "BC", "LR"}
BENCHMARKS = ["otb2013", "otb50", "otb100", "uav123", "lasot", "got10k", "trackingnet"]
BENCHMARKS += ["vot2016", "vot2018"]


def load(name):
    return load_manifest(FOLDER / f"{name}.yaml")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_names_its_source(name):
    manifest = load(name)
    assert manifest.licence and manifest.citation and manifest.url.startswith("http")
    assert manifest.constants.kind == manifest.protocol


def test_protocols():
    other = {"got10k": "got10k", "trackingnet": "trackingnet", "vot2016": "vot", "vot2018": "vot"}
    for name in BENCHMARKS:
        assert load(name).protocol == other.get(name, "ope")


@pytest.mark.parametrize(
    ("name", "sequences", "frames"),
    [
        ("otb100", 100, 59035),  # 59040 without the five that are skipped of Tiger1
        ("otb2013", 51, 29486),
        ("uav123", 123, 112578),  # as its paper says
        ("lasot", 280, None),
        ("vot2016", 60, None),
        ("vot2018", 60, None),
    ],
)
def test_counts(name, sequences, frames):
    manifest = load(name)
    assert len(manifest.sequences) == sequences
    assert official_frames(manifest) == frames


def test_splits():
    sizes = {name: split.sequences for name, split in load("got10k").splits.items()}
    assert sizes == {"train": None, "val": 180, "test": 180}
    test = load("trackingnet").splits["test"]
    assert (test.folder, test.sequences) == ("TEST", 511)


@pytest.mark.parametrize(
    ("name", "target", "folder", "frames"),
    [
        ("otb100", "David", None, (300, 770)),
        ("otb100", "Tiger1", None, (6, 354)),
        ("otb100", "BlurCar1", None, (247, 988)),
        ("otb100", "Basketball", None, (1, 725)),
        ("uav123", "bike1", None, (1, 3085)),
        ("uav123", "bird1_2", "bird1", (775, 1477)),
        ("uav123", "truck4_2", "truck4", (577, 1261)),
        ("uav123", "uav1_1", "uav1", (1, 1555)),
        ("uav123", "group3_4", "group3", (4369, 5527)),
        ("lasot", "monkey-17", None, (1, 2260)),
        ("lasot", "airplane-1", None, None),
    ],
)
def test_ranges(name, target, folder, frames):
    entry = load(name).sequences[target]
    assert (entry.folder, entry.frames) == (folder, frames)


def test_uav123_cuts_targets_out_of_91_folders():
    entries = load("uav123").sequences
    assert len({entry.folder or name for name, entry in entries.items()}) == 91
    assert all(name.startswith(e.folder) for name, e in entries.items() if e.folder)


def test_lasot_tests_four_videos_of_each_of_70_categories():
    counts = Counter(name.rpartition("-")[0] for name in load("lasot").sequences)
    assert len(counts) == 70 and set(counts.values()) == {4}


def test_vot_lists_share_the_videos_that_were_kept():
    old, new = (set(load(name).sequences) for name in ("vot2016", "vot2018"))
    assert {"octopus", "tunnel", "marching"} <= old - new
    assert {"ants1", "zebrafish1", "drone1"} <= new - old
    assert len(old & new) == 50, "VOT2017 replaced the ten easiest"


@pytest.mark.parametrize(("name", "interval"), [("vot2016", (108, 371)), ("vot2018", (100, 356))])
def test_vot_constants(name, interval):
    constants = load(name).constants
    assert constants.eao_interval == interval
    assert (constants.repetitions, constants.skip, constants.burn_in) == (15, 5, 10)


def test_every_target_of_otb_has_attributes():
    counts = Counter()
    for entry in load("otb100").sequences.values():
        assert entry.attributes and set(entry.attributes) <= OTB_ATTRIBUTES
        assert len(set(entry.attributes)) == len(entry.attributes)
        counts.update(entry.attributes)
    assert set(counts) == OTB_ATTRIBUTES
    assert (counts["IV"], counts["OCC"], counts["OV"]) == (38, 49, 14)
