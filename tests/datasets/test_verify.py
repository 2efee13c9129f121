"""Copies of benchmarks with one thing wrong each: what is found, and what stays usable."""

import json
import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socl_pipeline.cli import cli
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.datasets.verify import check_sequence, splits_of, verify_copy
from socl_pipeline.errors import InputError

MANIFESTS = Path(__file__).parents[2] / "data_manifests"
BENCHMARKS = ["otb", "uav123", "lasot", "trackingnet", "got10k", "vot", "vot2016"]
FULL_TRUTH = [b for b in BENCHMARKS if b != "trackingnet"]


made = {}  # one copy serves all examples of a layout


def found(copy):
    """What was found in the copy's sequence, as (kind, fatal, what)."""
    return [(f.kind, f.fatal, f.what) for f in check_sequence(copy.dataset, copy.name).findings]


def only(copy, kind, fatal=True):
    """The one sentence that was found."""
    ((found_kind, found_fatal, what),) = found(copy)
    assert (found_kind, found_fatal) == (kind, fatal)
    return what


def second_line(copy, line):
    lines = copy.truth.read_text().splitlines()
    lines[1] = line
    copy.truth.write_text("\n".join(lines) + "\n")


def image(copy, index):
    """An image of the sequence; OTB's and UAV123's range begins later than their folder."""
    return copy.dataset.read(copy.name).frames[index]


@pytest.mark.parametrize("layout", BENCHMARKS)
def test_a_complete_copy_is_usable(make_copy, layout):
    dataset = make_copy(layout).dataset
    for split in splits_of(dataset.manifest, dataset.root):
        check = verify_copy(Dataset(dataset.manifest, dataset.root, split))
        assert check.usable and len(check.sequences) == 2
        assert [*check.findings, *(f for s in check.sequences for f in s.findings)] == []
        lines = list(check.lines())
        assert "findings: none" in lines[0] and lines[1].endswith(": usable")


@pytest.mark.parametrize("layout", BENCHMARKS)
class TestFrames:
    def test_no_folder(self, make_copy, layout):
        copy = make_copy(layout)
        copy.frames.rename(copy.dataset.root / "elsewhere")
        kinds = found(copy)
        assert ("folder", True) in [(k, fatal) for k, fatal, _ in kinds]
        assert any(str(copy.frames.parent) in what for _, _, what in kinds)

    def test_an_empty_folder(self, make_copy, layout):
        copy = make_copy(layout)
        for path in copy.frames.glob("*.jpg"):
            path.unlink()
        assert "there is no image in it" in only(copy, "folder")

    def test_a_hole(self, make_copy, layout):
        copy = make_copy(layout)
        path = image(copy, 1)
        path.unlink()
        numbering = [what for kind, _, what in found(copy) if kind == "numbering"]
        assert numbering == [f"{copy.frames}: image {int(path.stem)} is missing"]

    def test_an_empty_file(self, make_copy, layout):
        copy = make_copy(layout)
        image(copy, 2).write_bytes(b"")
        assert "the file is empty" in only(copy, "image")

    def test_a_file_that_is_cut_off(self, make_copy, layout):
        copy = make_copy(layout)
        path = image(copy, 2)
        path.write_bytes(path.read_bytes()[:-40])
        assert only(copy, "image") == f"{path}: the JPEG is cut off; copy the file again"

    def test_another_size(self, make_copy, other_size, layout):
        copy = make_copy(layout)
        path = image(copy, 2)
        path.write_bytes(other_size)
        assert only(copy, "size") == f"{path}: 24x36 pixels, the first image has 48x36"

    def test_a_link_to_nowhere(self, make_copy, layout):
        copy = make_copy(layout)
        path = image(copy, 1)
        path.unlink()
        path.symlink_to("nowhere.jpg")
        assert "cannot be read (No such file" in only(copy, "image")


@pytest.mark.parametrize("layout", FULL_TRUTH)
class TestTruth:
    def test_no_file(self, make_copy, layout):
        copy = make_copy(layout)
        copy.truth.unlink()
        assert only(copy, "truth") == f"{copy.truth}: the annotation file is missing"

    def test_every_broken_line_is_named(self, make_copy, layout):
        copy = make_copy(layout)
        lines = copy.truth.read_text().splitlines()
        copy.truth.write_text("\n".join(["1,2,x,4", lines[1], "1,2,3", *lines[3:]]) + "\n")
        whats = [what for kind, fatal, what in found(copy) if kind == "truth" and fatal]
        assert [w.split(":")[0] for w in whats] == [f"{copy.truth}, line {i}" for i in (1, 3)]

    def test_too_many_lines(self, make_copy, layout):
        copy = make_copy(layout)
        n = len(copy.dataset.read(copy.name))
        with copy.truth.open("a") as file:
            file.write("1,2,3,4\n" * 2)
        expected = rf"{copy.truth}: {n + 2} lines for the {n} images"
        assert only(copy, "count").startswith(expected)

    def test_a_box_outside_the_image(self, make_copy, layout):
        copy = make_copy(layout)
        second_line(copy, "200,5,9,9")
        assert "lies outside the 48x36 frame" in only(copy, "box", fatal=False)

    def test_a_tracker_needs_a_first_box(self, make_copy, layout):
        copy = make_copy(layout)
        lines = copy.truth.read_text().splitlines()
        lines[0] = "200,5,9,9"
        copy.truth.write_text("\n".join(lines) + "\n")
        assert "outside" in only(copy, "box")


@pytest.mark.parametrize("layout", ["otb", "uav123", "lasot", "got10k"])
def test_a_box_without_area(make_copy, layout):
    copy = make_copy(layout)
    second_line(copy, "5,5,0,9")
    assert "has no area" in only(copy, "box", fatal=False)


@pytest.mark.parametrize("layout", BENCHMARKS)
@given(content=st.one_of(st.binary(max_size=80), st.text("0123456789.,-ena \n", max_size=80)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_no_truth_file_ends_the_check(make_copy, layout, content):
    """Whatever a file holds: it is read, or named."""
    copy = made.get(layout) or made.setdefault(layout, make_copy(layout))
    copy.truth.write_bytes(content if isinstance(content, bytes) else content.encode())
    for _, _, what in found(copy):
        assert str(copy.dataset.root) in what


def test_the_official_range_counts_not_the_folder(make_copy):
    """OTB has a range within the images; what lies beyond it need not be there."""
    copy = make_copy("otb")
    (copy.frames / "0001.jpg").unlink()
    (copy.frames / "0006.jpg").write_bytes(b"")
    assert found(copy) == []
    (copy.frames / "0004.jpg").unlink()
    (copy.frames / "0005.jpg").unlink()
    assert only(copy, "numbering").endswith("images 4 to 5 are missing")


def test_a_line_for_every_image_up_to_the_range_is_fine(make_copy):
    copy = make_copy("otb")  # as Tiger1
    copy.truth.write_text("1,1,9,9\n" + copy.truth.read_text())
    assert found(copy) == []


def test_images_with_the_same_number(make_copy):
    copy = make_copy("got10k")
    (copy.frames / "2.jpg").write_bytes((copy.frames / "00000002.jpg").read_bytes())
    whats = [what for kind, _, what in found(copy) if kind == "numbering"]
    assert whats == [f"{copy.frames}: image 2 is there 2 times"]


def test_a_name_that_is_no_number(make_copy):
    copy = make_copy("lasot")
    (copy.frames / "thumb.jpg").write_bytes((copy.frames / "00000001.jpg").read_bytes())
    assert "thumb.jpg: expected a number" in only(copy, "numbering")
    otb = make_copy("otb")
    (otb.frames / "thumb.jpg").write_bytes(b"")
    assert "thumb.jpg: expected a number" in only(otb, "numbering", fatal=False)


def test_numbers_far_apart_are_counted_not_listed(make_copy):
    copy = make_copy("vot")
    (copy.frames / "00000004.jpg").rename(copy.frames / "99999999999999.jpg")
    assert only(copy, "numbering").endswith("images 4 to 99999999999998 are missing")


def test_another_first_number_is_odd(make_copy):
    copy = make_copy("got10k")
    for path in sorted(copy.frames.glob("*.jpg")):
        path.rename(copy.frames / f"{int(path.stem) - 1:08d}.jpg")
    assert "images start at 0, those of official copies at 1" in only(copy, "numbering", False)


def test_missing_labels_are_odd(make_copy):
    copy = make_copy("lasot")
    (copy.truth.parent / "out_of_view.txt").unlink()
    assert "out_of_view.txt: missing; the target counts" in only(copy, "label", fatal=False)


def test_labels_that_do_not_fit(make_copy):
    copy = make_copy("got10k")
    (copy.truth.parent / "cover.label").write_text("8\n")
    assert "cover.label: 1 lines for 4 frames" in only(copy, "sequence")


def test_absent_frames_need_no_box(make_copy):
    copy = make_copy("lasot")
    assert found(copy) == []
    (copy.truth.parent / "full_occlusion.txt").write_text("0,0,0,0,0")
    assert "box -1,-1,0,0 has no area" in only(copy, "box", fatal=False)


def test_one_bad_sequence_does_not_end_it(make_copy):
    copy = make_copy("vot")
    copy.truth.write_bytes(bytes(range(256)))
    check = verify_copy(copy.dataset)
    assert [s.usable for s in check.sequences] == [False, True] and not check.usable
    assert list(check.lines())[-1] == "vot: not usable, 1 of 2 sequences are broken"


def test_only_some_findings_of_a_kind_are_printed(make_copy):
    copy = make_copy("got10k")
    copy.truth.write_text("x\n" * 4)
    check = verify_copy(copy.dataset)
    lines = [line for line in check.lines() if "GOT_1" in line]
    assert len(lines) == 4 and lines[-1].strip() == "GOT_1: and 1 more of this kind"
    assert len(check.as_dict()["sequences"][0]["findings"]) == 4


@pytest.mark.parametrize("layout", ["got10k", "trackingnet"])
def test_the_official_number_of_sequences(make_copy, layout):
    copy = make_copy(layout)
    if layout == "got10k":
        (copy.dataset.layout.index).write_text("GOT_1\n")
    else:
        copy.truth.unlink()
    check = verify_copy(copy.dataset)
    assert not check.usable
    assert check.findings[0].what.endswith("1 sequences, a complete copy has 2")
    wrong, counts, verdict = check.lines()
    assert wrong.startswith("wrong  ") and counts.endswith("findings: list 1")
    assert verdict.endswith("not usable, it is not complete")
    part = Dataset(copy.dataset.manifest, copy.dataset.root, copy.dataset.split, ("GOT_1",))
    if layout == "got10k":
        assert verify_copy(part).usable


def test_a_missing_list_is_a_finding(make_copy):
    copy = make_copy("got10k")
    copy.dataset.layout.index.unlink()
    check = verify_copy(copy.dataset)
    assert not check.usable and "list of videos is missing" in check.findings[0].what


@pytest.mark.parametrize("layout", ["otb", "lasot", "got10k"])
def test_a_misspelt_name_is_told_the_nearest_folder_that_is_left(make_copy, layout):
    """The folder is there under another name; those of other sequences are none to suggest."""
    copy = make_copy(layout)
    folder = next(p for p in (copy.frames, *copy.frames.parents) if p.name == copy.name)
    folder.rename(folder.with_name(f"{copy.name}x"))
    what = only(copy, "folder")
    assert what.endswith(f"no such folder of frames: did you mean '{copy.name}x'?")
    with pytest.raises(InputError, match=f"frames: did you mean '{copy.name}x'"):
        copy.dataset.digest()
    folder.with_name(f"{copy.name}x").rename(folder.with_name("~~"))
    assert only(copy, "folder").endswith("no such folder of frames")


def test_a_misspelt_subset_is_told_the_nearest_sequence(make_copy):
    dataset = make_copy("otb").dataset
    part = Dataset(dataset.manifest, dataset.root, only=("Carr",))
    with pytest.raises(InputError, match=r"otb: there is no sequence 'Carr': did you mean 'Car'\?"):
        part.names()
    (finding,) = verify_copy(part).findings
    assert "did you mean 'Car'?" in finding.what


def test_splits_that_are_there(make_copy):
    copy = make_copy("trackingnet")
    manifest = copy.dataset.manifest
    assert splits_of(manifest, copy.dataset.root) == ["test"]
    with pytest.raises(InputError, match="none of the folders TEST, TRAIN_0 of TRACKINGNET"):
        splits_of(manifest, copy.dataset.root / "TEST")


def test_clips_are_checked_too(write_clips, textured, tmp_path):
    pictures = [textured(i, 20, 30) for i in range(2)]
    clicks = "video,frame,x,y\ncat,1,3,4\ncat,2,99,4\n"
    manifest = load_manifest(write_clips(tmp_path / "clips", {"cat": pictures}, clicks))
    (check,) = verify_copy(Dataset(manifest, tmp_path / "clips")).sequences
    ((finding,),) = [check.findings]
    assert check.usable and "line 3: click 99,4 lies outside" in finding.what


class TestCommand:
    @pytest.fixture
    def manifest(self, make_copy, tmp_path):
        """A copy, and the file of its manifest."""
        copy = make_copy("otb")
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(json.loads(copy.dataset.manifest.model_dump_json())))
        return copy, path

    def run(self, *arguments):
        return CliRunner().invoke(cli, ["benchmarks", *map(str, arguments)])

    def test_a_usable_copy(self, manifest, tmp_path):
        _, path = manifest
        result = self.run("verify", path, "--json", tmp_path / "report.json")
        assert result.exit_code == 0
        assert result.output.splitlines()[-1] == "otb: usable"
        (report,) = json.loads((tmp_path / "report.json").read_text())
        assert report["usable"] and [s["images"] for s in report["sequences"]] == [4, 4]

    def test_a_broken_copy(self, manifest):
        copy, path = manifest
        copy.truth.unlink()
        result = self.run("verify", path, "--root", copy.dataset.root)
        assert result.exit_code == 1
        assert f"wrong  Car: {copy.truth}: the annotation file is missing" in result.output
        assert self.run("verify", path, "--sequence", "Dog").exit_code == 0

    def test_an_unknown_name(self, manifest, tmp_path, monkeypatch):
        monkeypatch.chdir(MANIFESTS.parent)
        result = self.run("verify", "otb2015x")
        assert isinstance(result.exception, InputError)
        assert "there is no manifest 'otb2015x': did you mean 'otb2013'?" in str(result.exception)
        result = self.run("verify", "otb100", "--root", tmp_path / "none")
        assert "none: no such folder; pass the copy of OTB-100" in str(result.exception)

    def test_the_list(self, monkeypatch):
        monkeypatch.chdir(MANIFESTS.parent)
        rows = [line.split() for line in self.run("list").output.splitlines()]
        assert ["uav123", "123", "112578", "ope"] in [row[:4] for row in rows]
        assert ["trackingnet", "test", "511", "-", "trackingnet"] in [row[:5] for row in rows]
        assert not {"clips", "demo"} & {row[0] for row in rows}


@pytest.mark.skipif("SOCL_TEST_DATA" not in os.environ, reason="SOCL_TEST_DATA is unset")
@pytest.mark.parametrize(
    ("name", "folder", "split"), [("otb100", "otb", ""), ("got10k", "clips", "train")]
)
def test_real_copies_are_clean(name, folder, split):
    root = Path(os.environ["SOCL_TEST_DATA"]) / "data" / folder
    there = tuple(p.name for p in sorted(root.iterdir())) if name == "otb100" else None
    check = verify_copy(Dataset(load_manifest(MANIFESTS / f"{name}.yaml"), root, split, there))
    assert check.usable and len(check.sequences) in (12, 43)
    assert [s.name for s in check.sequences if s.findings] == []
