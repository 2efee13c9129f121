"""The layouts of the benchmarks: what is read of a copy, and how each fault is named."""

from pathlib import Path

import numpy as np
import pytest

from socl_pipeline.benchmarks.protocols import PROTOCOLS
from socl_pipeline.benchmarks.scores import Scorer
from socl_pipeline.benchmarks.tracks import Run, Track
from socl_pipeline.datasets.layouts.vot import read_tags
from socl_pipeline.datasets.manifest import VotConstants
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.datasets.video import require_truth
from socl_pipeline.errors import InputError
from socl_pipeline.settings import BenchmarkSettings

BENCHMARKS = ["otb", "uav123", "lasot", "trackingnet", "got10k", "vot", "vot2016"]
NAMES = {
    "otb": ["Car", "Dog"],
    "uav123": ["bird_1", "bird_2"],
    "lasot": ["cat-1", "cat-20"],
    "trackingnet": ["a_b-1_0", "z_0"],
    "got10k": ["GOT_1", "GOT_2"],
    "vot": ["ants", "bag"],
    "vot2016": ["ants", "bag"],
}


def replace_line(path, number, line):
    lines = path.read_text().splitlines()
    lines[number - 1 : number] = [line] if line is not None else []
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("layout", BENCHMARKS)
def test_every_layout_reads_its_copy(make_copy, layout):
    dataset = make_copy(layout).dataset
    assert dataset.is_there()
    assert dataset.names() == NAMES[layout]
    for name in dataset.names():
        video = dataset.read(name)
        n = len(video.frames)
        assert video.name == name and (video.width, video.height) == (48, 36)
        assert video.boxes.shape == (n, 4) and video.absent.shape == (n,)
        assert not np.isnan(video.boxes[0]).any(), "a tracker can start"
        assert video.problems == []
    assert not Dataset(dataset.manifest, dataset.root / "none", dataset.split).is_there()


@pytest.mark.parametrize("layout", BENCHMARKS)
def test_the_digest_follows_frames_and_boxes_but_not_attributes(make_copy, layout):
    copy = make_copy(layout)
    before, attributes = copy.dataset.digest(), copy.dataset.digest_attributes()
    files = [p for p in copy.dataset.layout.files(copy.name).attributes if p.exists()]
    for path in files:
        path.unlink()
    assert copy.dataset.digest() == before
    assert (copy.dataset.digest_attributes() != attributes) == bool(files)
    replace_line(copy.truth, 1, "1,1,5,5")
    changed = copy.dataset.digest()
    assert changed != before
    sorted(copy.frames.glob("*.jpg"))[0].unlink()
    assert copy.dataset.digest() not in (before, changed)


@pytest.mark.parametrize("layout", BENCHMARKS)
def test_a_workflow_watches_the_truth(make_copy, layout):
    copy = make_copy(layout)
    watched = copy.dataset.watched_files()
    assert copy.truth in watched and len(set(watched)) == len(watched)
    assert all(path.is_file() for path in watched)


@pytest.mark.parametrize("layout", ["uav123", "lasot", "trackingnet", "vot", "vot2016"])
class TestFaults:
    def test_missing_frames(self, make_copy, layout):
        copy = make_copy(layout)
        sorted(copy.frames.glob("*.jpg"))[-2].unlink()
        with pytest.raises(InputError, match=r"1 of \d frames are missing|lines for \d+ frames"):
            if layout == "trackingnet":  # else the first box alone fits any number of frames
                replace_line(copy.truth, 2, "1,2,3,4")
            copy.dataset.read(copy.name)

    def test_too_few_lines(self, make_copy, layout):
        copy = make_copy(layout)
        replace_line(copy.truth, 1, "1,2,3,4\n1,2,3,4")
        with pytest.raises(InputError, match=r"\.txt: \d lines for (the )?\d+ frames") as caught:
            copy.dataset.read(copy.name)
        assert str(copy.truth) in str(caught.value)

    @pytest.mark.parametrize("line", ["1,2,x,4", "1,2,3", "1,2,3,4,5"])
    def test_a_broken_line(self, make_copy, layout, line):
        copy = make_copy(layout)
        replace_line(copy.truth, 1, line)
        with pytest.raises(InputError, match=r"\.txt, line 1: expected 4.* numbers, found"):
            copy.dataset.read(copy.name)

    def test_missing_truth(self, make_copy, layout):
        copy = make_copy(layout)
        copy.truth.unlink()
        with pytest.raises(InputError, match="the annotation file is missing"):
            copy.dataset.read(copy.name)

    def test_truth_that_is_no_text(self, make_copy, layout):
        copy = make_copy(layout)
        copy.truth.write_bytes(b"\xff\xd8\xff\xe0")
        with pytest.raises(InputError, match="not a text file"):
            copy.dataset.read(copy.name)


def test_attributes_of_the_manifest_have_a_digest_of_their_own(make_copy):
    copy = make_copy("otb")
    content = copy.dataset.manifest.model_dump()
    content["sequences"][copy.name]["attributes"] = ("IV", "OPR")
    changed = Dataset(type(copy.dataset.manifest).model_validate(content), copy.dataset.root)
    assert changed.digest() == copy.dataset.digest()
    assert changed.digest_attributes() != copy.dataset.digest_attributes()


def test_otb_attributes_are_the_manifests(make_copy):
    copy = make_copy("otb")
    assert copy.dataset.read("Car").attributes == {"IV", "OCC"}
    assert copy.dataset.read("Dog").attributes == frozenset()


class TestUav123:
    def test_a_target_is_a_range_of_a_folders_images(self, make_copy):
        video = make_copy("uav123").dataset.read("bird_2")
        assert [p.stem for p in video.frames] == [f"{i:06d}" for i in range(5, 10)]
        assert video.boxes[0].tolist() == [0, 4, 10, 8], "1-based in the file"

    def test_out_of_view_has_no_box(self, make_copy):
        video = make_copy("uav123").dataset.read("bird_1")
        assert video.absent.tolist() == [False, False, False, True]
        assert np.isnan(video.boxes[3]).all()

    def test_attributes(self, make_copy):
        copy = make_copy("uav123")
        assert copy.dataset.read("bird_1").attributes == {"SV", "FOC", "SOB"}
        (path,) = copy.dataset.layout.files("bird_1").attributes
        path.write_text("1,0,1\n")
        with pytest.raises(InputError, match=r"att/bird_1\.txt: 3 flags, expected 12"):
            copy.dataset.read("bird_1")


class TestLasot:
    def test_boxes_are_one_based_and_absent_ones_are_gone(self, make_copy):
        video = make_copy("lasot").dataset.read("cat-20")
        assert video.boxes[1].tolist() == [1, 5, 10, 8]
        assert video.absent.tolist() == [False, False, False, True, False]
        assert np.isnan(video.boxes[3]).all()
        assert video.attributes == {"IV", "FOC"}

    def test_either_file_of_flags_makes_a_frame_absent(self, make_copy):
        copy = make_copy("lasot")
        (copy.truth.parent / "out_of_view.txt").write_text("0\n1\n0\n0\n0\n")  # or one a line
        assert copy.dataset.read("cat-1").absent.tolist() == [False, True, False, True, False]

    def test_flags_for_other_frames_are_an_error(self, make_copy):
        copy = make_copy("lasot")
        (copy.truth.parent / "out_of_view.txt").write_text("0,0,0")
        with pytest.raises(InputError, match=r"out_of_view\.txt: 3 flags, expected 5"):
            copy.dataset.read("cat-1")
        (copy.truth.parent / "out_of_view.txt").write_text("no")
        with pytest.raises(InputError, match=r"out_of_view\.txt: expected 5 flags of 0 or 1"):
            copy.dataset.read("cat-1")

    def test_without_folders_of_categories(self, make_copy):
        copy = make_copy("lasot")
        (copy.dataset.root / "cat/cat-1").rename(copy.dataset.root / "cat-1")
        assert len(copy.dataset.read("cat-1")) == 5

    def test_a_range_leaves_later_images_out(self, make_copy):
        """As monkey-17, whose truth ends before its images do."""
        copy = make_copy("lasot")
        sequences = {"cat-1": {"frames": [1, 4]}}
        manifest = copy.dataset.manifest.model_dump() | {"sequences": sequences}
        replace_line(copy.truth, 5, None)
        (copy.truth.parent / "full_occlusion.txt").write_text("0,0,0,1")
        (copy.truth.parent / "out_of_view.txt").write_text("0,0,0,0")
        dataset = Dataset(type(copy.dataset.manifest).model_validate(manifest), copy.dataset.root)
        assert len(dataset.read("cat-1")) == 4


class TestWithheldTruth:
    @pytest.mark.parametrize("layout", ["trackingnet", "got10k"])
    def test_a_test_split_can_be_tracked_and_not_scored(self, make_copy, layout):
        dataset = make_copy(layout).dataset
        dataset = Dataset(dataset.manifest, dataset.root, "test")
        video = dataset.read(dataset.names()[0])
        assert not np.isnan(video.boxes[0]).any() and video.withheld
        key = r"`truth: withheld` in splits\.test of m\.yaml"
        with pytest.raises(InputError, match=f"{video.name}: only its first box .*{key}"):
            require_truth(video, Path("m.yaml"), "test")

    def test_the_stage_refuses_it(self, make_copy):
        dataset = make_copy("trackingnet").dataset
        settings = BenchmarkSettings(manifest="-", protocol="trackingnet", split="test")
        with pytest.raises(InputError, match="only its first box is given, so it cannot be"):
            Scorer.of(settings, dataset)

    @pytest.mark.parametrize("layout", ["otb", "uav123", "lasot", "vot", "got10k"])
    def test_other_videos_can_be_scored(self, make_copy, layout):
        copy = make_copy(layout)
        video = copy.dataset.read(copy.name)
        assert not video.withheld
        require_truth(video, Path("m.yaml"), "val")


class TestTrackingNet:
    def test_images_are_sorted_by_number(self, make_copy):
        video = make_copy("trackingnet").dataset.read("z_0")
        assert [p.stem for p in video.frames] == [str(i) for i in range(12)]
        assert video.boxes[0].tolist() == [1.5, 2, 10, 8], "taken as it is"

    def test_training_videos_have_all_boxes(self, make_copy):
        copy = make_copy("trackingnet")
        copy.truth.write_text("1,2,3,4\n" * 12)
        assert not np.isnan(copy.dataset.read("z_0").boxes).any()

    def test_without_annotations_there_are_no_names(self, make_copy):
        dataset = make_copy("trackingnet").dataset
        dataset = Dataset(dataset.manifest, dataset.root, "train_0")
        with pytest.raises(InputError, match="TRAIN_0/anno: there is no annotation file"):
            dataset.names()


@pytest.mark.parametrize("layout", ["vot", "vot2016"])
class TestVot:
    def test_corners_become_zero_based(self, make_copy, layout):
        video = make_copy(layout).dataset.read("ants")
        assert video.polygons.shape == (4, 8)
        assert video.polygons[0].tolist() == [20, 10, 30, 20, 20, 30, 10, 20]
        # the square on its tip has half of the area of the upright box around it
        side = 20 * np.sqrt(0.5) + 1
        expected = [20 - (side - 1) / 2, 20 - (side - 1) / 2, side, side]
        np.testing.assert_allclose(video.boxes[0], expected)

    def test_an_upright_box_stays_as_it_is(self, make_copy, layout):
        copy = make_copy(layout)
        replace_line(copy.truth, 3, "6,5,10,10")
        video = copy.dataset.read("ants")
        np.testing.assert_allclose(video.boxes[1:3], [[5, 4, 10, 10]] * 2)
        # 8 numbers name the last pixel; 4 beside them reach a pixel further, as in Matlab
        assert video.polygons[1].tolist() == [5, 4, 14, 4, 14, 13, 5, 13]
        assert video.polygons[2].tolist() == [5, 4, 15, 4, 15, 14, 5, 14]

    @pytest.mark.parametrize("convention", PROTOCOLS["vot"].conventions)
    def test_a_truth_of_boxes_is_met_by_itself(self, make_copy, layout, convention):
        copy = make_copy(layout)
        copy.truth.write_text("6.5,5,10,10\n" * 3 + "nan,nan,nan,nan\n")
        video = copy.dataset.read("ants")
        assert video.polygons is None and video.absent.tolist() == [False] * 3 + [True]
        assert video.boxes[0].tolist() == [5.5, 4, 10, 10]
        states = np.array([1, 0, 0, 0], np.int8)
        manifest = copy.dataset.manifest.model_copy(
            update={"constants": VotConstants(eao_interval=(2, 3), burn_in=1)}
        )
        track = Track((Run(video.boxes, np.zeros(4), states),))
        found = PROTOCOLS["vot"].score(manifest, [video], {"ants": track}, convention)
        assert found.overall.curves["eao_curve"][1:3].tolist() == [1, 1]

    def test_tags_of_frames_and_of_the_sequence(self, make_copy, layout):
        copy = make_copy(layout)
        tags = read_tags(copy.truth.parent, 4)
        assert tags["occlusion"].tolist() == [False, True, False, False]
        assert not tags["camera_motion"].any() and len(tags["camera_motion"]) == 4
        assert copy.dataset.read("ants").attributes == {"occlusion"}

    def test_a_tag_is_0_or_1(self, make_copy, layout):
        copy = make_copy(layout)
        copy.dataset.layout.files("ants").attributes[1].write_text("0\n2\n")
        with pytest.raises(InputError, match=r"occlusion\.\w+: expected a 0 or a 1"):
            copy.dataset.read("ants")

    def test_frames_without_truth_are_absent(self, make_copy, layout):
        copy = make_copy(layout)
        replace_line(copy.truth, 4, ",".join(["nan"] * 8))
        assert copy.dataset.read("ants").absent.tolist() == [False, False, False, True]

    def test_a_manifest_without_names_reads_the_copys_list(self, make_copy, layout):
        copy = make_copy(layout)
        content = copy.dataset.manifest.model_dump() | {"sequences": {}}
        manifest = type(copy.dataset.manifest).model_validate(content)
        dataset = Dataset(manifest, copy.dataset.root)
        assert dataset.names() == ["ants", "bag"] and dataset.is_there()
        assert len(dataset.read("bag")) == 4
        assert copy.dataset.root / "list.txt" in dataset.watched_files()
