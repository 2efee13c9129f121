"""GOT-10k, OTB and clips, written by hand: what is read, and how each fault is named."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from socl_pipeline.datasets.manifest import Manifest, Sequence, load_manifest
from socl_pipeline.datasets.readers import (
    Dataset,
    read_clicks,
    read_got10k,
    read_numbers,
    read_otb,
)
from socl_pipeline.errors import InputError

WIDTH, HEIGHT = 32, 24


def write_frames(folder, numbers, digits=8, suffix=".jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image = np.full((HEIGHT, WIDTH, 3), number % 256, np.uint8)
        assert cv2.imwrite(str(folder / f"{number:0{digits}d}{suffix}"), image)


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def got10k(tmp_path):
    """A video of three frames in GOT-10k layout."""
    folder = tmp_path / "GOT-10k_Train_000001"
    write_frames(folder, (1, 2, 3))
    write_lines(folder / "groundtruth.txt", ["1.5,2,10,8", "2,3,10,8", "3,4,10,8"])
    return folder


@pytest.fixture
def otb(tmp_path):
    """A target of five images in OTB layout; boxes of all of them."""
    write_frames(tmp_path / "Tiger/img", range(1, 6), digits=4)
    write_lines(tmp_path / "Tiger/groundtruth_rect.txt", [f"{i},{i},4,3" for i in range(1, 6)])
    return tmp_path


class TestNumbers:
    @pytest.mark.parametrize(
        "line", ["1,2,3,4", "1\t2\t3\t4", "1 2  3 4", " 1, 2;3,\t4 ", "1,2 3;4"]
    )
    def test_delimiters(self, tmp_path, line):
        write_lines(tmp_path / "a.txt", [line, "5,6,7,8"])
        expected = [[1, 2, 3, 4], [5, 6, 7, 8]]
        np.testing.assert_array_equal(read_numbers(tmp_path / "a.txt", 4), expected)

    def test_lines_may_mix_delimiters_and_end_as_in_windows(self, tmp_path):
        (tmp_path / "a.txt").write_bytes(b"1,2,3,4\r\n5\t6 7.5 -8e1\r\n\r\n\n")
        expected = [[1, 2, 3, 4], [5, 6, 7.5, -80]]
        np.testing.assert_array_equal(read_numbers(tmp_path / "a.txt", 4), expected)

    @pytest.mark.parametrize("line", ["1,2,x,4", "1,2,3", "1,2,,4", "1,2,3,4,5", "", "1,2,3;4.5.6"])
    def test_a_bad_line_is_named(self, tmp_path, line):
        write_lines(tmp_path / "a.txt", ["1,2,3,4", line, "1,2,3,4"])
        with pytest.raises(InputError, match=r"a\.txt, line 2: expected 4 numbers") as caught:
            read_numbers(tmp_path / "a.txt", 4)
        assert repr(line) in str(caught.value)

    def test_wrong_count(self, tmp_path):
        write_lines(tmp_path / "a.txt", ["1", "0"])
        with pytest.raises(InputError, match=r"a\.txt: 2 lines for 3 frames"):
            read_numbers(tmp_path / "a.txt", 1, 3)

    def test_missing_file(self, tmp_path):
        with pytest.raises(InputError, match=r"a\.txt: the annotation file is missing"):
            read_numbers(tmp_path / "a.txt", 1)

    def test_empty_file(self, tmp_path):
        (tmp_path / "a.txt").write_text("")
        assert read_numbers(tmp_path / "a.txt", 4).shape == (0, 4)


class TestGot10k:
    def test_boxes_are_taken_as_they_are(self, got10k):
        video = read_got10k(got10k)
        assert video.name == got10k.name
        assert [p.name for p in video.frames] == ["00000001.jpg", "00000002.jpg", "00000003.jpg"]
        assert (video.width, video.height, len(video)) == (WIDTH, HEIGHT, 3)
        np.testing.assert_array_equal(video.boxes[0], [1.5, 2, 10, 8])
        assert np.isnan(video.points).all()
        assert not video.absent.any() and (video.cover == 8).all()
        assert video.problems == []

    def test_absent_frames_have_no_box_and_no_problem(self, got10k):
        write_lines(got10k / "absence.label", [0, 1, 0])
        write_lines(got10k / "cover.label", [8, 0, 5])
        write_lines(got10k / "groundtruth.txt", ["1,2,10,8", "0,0,0,0", "3,4,10,8"])
        video = read_got10k(got10k)
        assert video.absent.tolist() == [False, True, False]
        assert video.cover.tolist() == [8, 0, 5]
        assert np.isnan(video.boxes[1]).all() and not np.isnan(video.boxes[[0, 2]]).any()
        assert video.problems == []

    def test_a_test_video_has_one_box(self, got10k):
        write_lines(got10k / "groundtruth.txt", ["1,2,10,8"])
        video = read_got10k(got10k)
        np.testing.assert_array_equal(np.isnan(video.boxes).any(axis=1), [False, True, True])
        assert video.problems == []

    @pytest.mark.parametrize(
        ("line", "what"),
        [
            ("40,2,10,8", "box 40,2,10,8 lies outside the 32x24 frame"),
            ("2,-9,10,8", "box 2,-9,10,8 lies outside the 32x24 frame"),
            ("2,3,0,8", "box 2,3,0,8 has no area"),
            ("2,3,5,-1", "box 2,3,5,-1 has no area"),
            ("2,3,nan,8", "box 2,3,nan,8 is not four numbers"),
            ("inf,3,4,8", "box inf,3,4,8 is not four numbers"),
        ],
    )
    def test_a_bad_box_is_a_problem_of_its_frame(self, got10k, line, what):
        write_lines(got10k / "groundtruth.txt", ["1,2,10,8", line, "3,4,10,8"])
        (problem,) = read_got10k(got10k).problems
        assert (problem.video, problem.frame) == (got10k.name, 1)
        assert problem.reason == f"{got10k / 'groundtruth.txt'}, line 2: {what}"

    def test_a_box_partly_outside_is_fine(self, got10k):
        write_lines(got10k / "groundtruth.txt", ["-5,-5,10,8", "28,20,10,8", "3,4,99,99"])
        assert read_got10k(got10k).problems == []

    @pytest.mark.parametrize("lines", [2, 4])
    def test_wrong_line_count(self, got10k, lines):
        write_lines(got10k / "groundtruth.txt", ["1,2,10,8"] * lines)
        with pytest.raises(InputError, match=rf"groundtruth\.txt: {lines} lines for 3 frames"):
            read_got10k(got10k)

    def test_wrong_label_count(self, got10k):
        write_lines(got10k / "absence.label", [0, 0])
        with pytest.raises(InputError, match=r"absence\.label: 2 lines for 3 frames"):
            read_got10k(got10k)

    def test_an_empty_video(self, got10k):
        for path in got10k.glob("*.jpg"):
            path.unlink()
        with pytest.raises(InputError, match=r"GOT-10k_Train_000001: an empty video"):
            read_got10k(got10k)

    def test_a_missing_video(self, tmp_path):
        with pytest.raises(InputError, match="nothing: no such folder of frames"):
            read_got10k(tmp_path / "nothing")

    def test_a_first_frame_that_is_cut_off(self, got10k):
        first = got10k / "00000001.jpg"
        first.write_bytes(first.read_bytes()[:300])
        with pytest.raises(InputError, match=r"00000001\.jpg: the JPEG is cut off"):
            read_got10k(got10k)


class TestOtb:
    def test_boxes_become_zero_based(self, otb):
        video = read_otb(otb, "Tiger", Sequence())
        assert video.boxes.tolist() == [[i, i, 4, 3] for i in range(5)]
        assert [p.stem for p in video.frames] == ["0001", "0002", "0003", "0004", "0005"]

    def test_official_range_with_a_box_for_each_of_its_frames(self, otb):
        write_lines(otb / "Tiger/groundtruth_rect.txt", ["7,8,4,3", "9,9,4,3"])
        video = read_otb(otb, "Tiger", Sequence(frames=(2, 3)))
        assert [p.stem for p in video.frames] == ["0002", "0003"]
        assert video.boxes[:, :2].tolist() == [[6, 7], [8, 8]]

    def test_boxes_from_the_first_image_on_although_the_range_begins_later(self, otb):
        """Tiger1: the file has a line for each image up to the last one of the range."""
        video = read_otb(otb, "Tiger", Sequence(frames=(3, 5)))
        assert [p.stem for p in video.frames] == ["0003", "0004", "0005"]
        assert video.boxes[:, 0].tolist() == [2, 3, 4]

    def test_two_targets_of_one_folder(self, otb):
        write_lines(otb / "Tiger/groundtruth_rect.2.txt", ["21,1,4,3"] * 5)
        sequence = Sequence(folder="Tiger", groundtruth="groundtruth_rect.2.txt")
        video = read_otb(otb, "Tiger.2", sequence)
        assert video.name == "Tiger.2" and video.boxes[0, 0] == 20

    def test_other_digits(self, tmp_path):
        write_frames(tmp_path / "Board/img", (1, 2), digits=5)
        write_lines(tmp_path / "Board/groundtruth_rect.txt", ["1,1,2,2"] * 2)
        assert len(read_otb(tmp_path, "Board", Sequence(digits=5))) == 2

    @pytest.mark.parametrize("lines", [2, 4])
    def test_wrong_line_count(self, otb, lines):
        write_lines(otb / "Tiger/groundtruth_rect.txt", ["1,1,4,3"] * lines)
        expected = rf"groundtruth_rect\.txt: {lines} lines for the 3 frames 3 to 5"
        with pytest.raises(InputError, match=expected):
            read_otb(otb, "Tiger", Sequence(frames=(3, 5)))

    def test_missing_frames(self, otb):
        (otb / "Tiger/img/0003.jpg").unlink()
        (otb / "Tiger/img/0004.jpg").unlink()
        with pytest.raises(InputError, match="2 of 5 frames are missing, the first is 0003"):
            read_otb(otb, "Tiger", Sequence())


class TestClips:
    HEADER = "video,frame,x,y"

    @pytest.fixture
    def dataset(self, tmp_path):
        """A function that writes clicks for two clips of three frames and opens the dataset."""
        root = tmp_path / "clips"
        write_frames(root / "cat", (0, 5, 10), digits=4, suffix=".png")
        write_frames(root / "dog", (1, 2, 3), digits=2)
        manifest = {"name": "c", "title": "C", "layout": "clips", "root": str(root), "licence": "-"}

        def open_dataset(*lines, header=self.HEADER):
            write_lines(root / "clicks.csv", [header, *lines])
            return Dataset(Manifest.model_validate(manifest), root)

        return open_dataset

    def test_clicks_and_boxes(self, dataset):
        data = dataset(
            "dog,02,5.5,6,1,2,9,8",
            "cat,0000,1,2,,,,",
            "dog,01,7,8,,,,",
            header=self.HEADER + ",box_x,box_y,box_w,box_h",
        )
        assert data.names() == ["cat", "dog"]
        dog = data.read("dog")
        assert dog.points[:2].tolist() == [[7, 8], [5.5, 6]]
        assert dog.boxes[1].tolist() == [1, 2, 9, 8]
        assert np.isnan(dog.points[2]).all() and np.isnan(dog.boxes[[0, 2]]).all()

    @pytest.mark.parametrize(("frame", "index"), [("0", 0), ("0005", 1), ("5", 1), ("0010.png", 2)])
    def test_spellings_of_a_frame(self, dataset, frame, index):
        points = dataset(f"cat,{frame},3,4").read("cat").points
        assert np.flatnonzero(~np.isnan(points[:, 0])).tolist() == [index]

    def test_columns_may_stand_in_any_order(self, dataset):
        points = dataset("4,cat,3,5", header="y,video,x,frame").read("cat").points
        assert points[1].tolist() == [3, 4]

    @pytest.mark.parametrize("frame", ["7", "0005.jpg", "x"])
    def test_an_unknown_frame(self, dataset, frame):
        data = dataset("cat,0,1,1", f"cat,{frame},1,1")
        with pytest.raises(InputError, match=r"clicks\.csv, line 3: .*cat has no frame") as caught:
            data.read("cat")
        assert repr(frame) in str(caught.value) and "0000.png" in str(caught.value)

    def test_a_row_names_its_video_and_frame(self, dataset):
        with pytest.raises(InputError, match=r"clicks\.csv, line 3: a click needs"):
            dataset("cat,0,1,1", "cat,,1,1").names()

    @pytest.mark.parametrize(
        ("header", "what"),
        [
            ("video,frame,x,y,x,y,w,h", "column 'x' stands twice"),
            ("video,frame,x,y,w", "column 'w' is not known"),
            ("video;frame;x;y", "separated by commas; found 'video;frame;x;y'"),
            ("video,frame,x,y,box_x,box_y", "only box_x,box_y of"),
        ],
    )
    def test_a_header_that_would_be_misread(self, dataset, header, what):
        with pytest.raises(InputError, match=what):
            dataset("cat,0,1,1", header=header).names()

    def test_a_file_as_spreadsheets_write_it(self, dataset):
        points = dataset("cat , 0, 3 ,4", header="\ufeffVideo, Frame ,X,Y").read("cat").points
        assert points[0].tolist() == [3, 4]

    def test_other_encodings_are_named(self, dataset):
        data = dataset("cat,0,1,1")
        (data.root / "clicks.csv").write_bytes("vidéo,frame,x,y\n".encode("latin-1"))
        with pytest.raises(InputError, match="save the file as CSV UTF-8"):
            Dataset(data.manifest, data.root).names()

    def test_two_clicks_on_one_frame_are_an_error(self, dataset):
        data = dataset("cat,5,1,1", "dog,1,1,1", "cat,0005.png,9,9")
        with pytest.raises(InputError, match=r"clicks\.csv, line 4: .*line 2"):
            data.read("cat")

    @pytest.mark.parametrize("row", ["cat,5,1,x", "cat,5,1", "cat,5,1,"])
    def test_a_bad_number(self, dataset, row):
        data = dataset("cat,0,1,1", row)
        with pytest.raises(InputError, match=r"clicks\.csv, line 3: y is .*expected a number"):
            data.names()

    def test_blank_lines_count(self, dataset):
        with pytest.raises(InputError, match=r"clicks\.csv, line 4: x is 'a', expected a number"):
            dataset("cat,0,1,1", "", "cat,5,a,1").names()

    def test_half_a_box(self, dataset):
        header = self.HEADER + ",box_x,box_y,box_w,box_h"
        with pytest.raises(InputError, match=r"clicks\.csv, line 2: box_h is '', expected a numb"):
            dataset("cat,0,1,1,1,1,4,", header=header).names()

    @pytest.mark.parametrize("column", ["video", "frame", "x", "y"])
    def test_a_missing_column(self, dataset, column):
        header = ",".join(c for c in self.HEADER.split(",") if c != column)
        expected = rf"clicks\.csv, line 1: the column '{column}' is missing"
        with pytest.raises(InputError, match=expected):
            dataset("a,b,c", header=header).names()

    @pytest.mark.parametrize("point", ["-1,5", "33,5", "5,25", "nan,5"])
    def test_a_click_outside_the_frame(self, dataset, point):
        (problem,) = dataset("cat,0,1,1", f"cat,5,{point}").read("cat").problems
        assert (problem.video, problem.frame) == ("cat", 1)
        assert "clicks.csv, line 3: click" in problem.reason
        assert "outside the 32x24 frame" in problem.reason

    def test_a_box_outside_the_frame(self, dataset):
        header = self.HEADER + ",box_x,box_y,box_w,box_h"
        (problem,) = dataset("cat,0,1,1,50,50,4,4", header=header).read("cat").problems
        assert "clicks.csv, line 2: box 50,50,4,4 lies outside" in problem.reason

    def test_the_frames_of_a_click_are_missing(self, dataset):
        clips = dataset("cat,0,1,1", "cow,0,1,1")
        for use in (lambda: clips.read("cow"), clips.digest):
            with pytest.raises(InputError, match=r"clicks.csv, line 3: .*cow: no such folder of"):
                use()

    def test_no_click_at_all(self, dataset, tmp_path):
        with pytest.raises(InputError, match=r"clicks\.csv: there is no click in it"):
            dataset().names()
        with pytest.raises(InputError, match=r"none\.csv: the clicks are missing"):
            read_clicks(tmp_path / "none.csv")


class TestDataset:
    def test_demo_videos_in_the_order_of_the_list(self, demo):
        data = Dataset(load_manifest(demo.manifest), demo.root, "train")
        assert data.names() == [f"demo_train_{i:06d}" for i in range(1, 5)]
        assert len(data.read("demo_train_000002")) == 4

    def test_a_subset_keeps_its_own_order(self, demo):
        manifest = load_manifest(demo.manifest)
        wanted = ("demo_train_000003", "demo_train_000001")
        assert Dataset(manifest, demo.root, "train", wanted).names() == list(wanted)
        with pytest.raises(InputError, match="demo: there is no sequence 'x'"):
            Dataset(manifest, demo.root, "train", ("x",)).names()

    def test_an_unknown_split(self, demo):
        with pytest.raises(InputError, match="there is no split 'test'; known: train, val"):
            Dataset(load_manifest(demo.manifest), demo.root, "test").names()

    @pytest.mark.parametrize(("text", "what"), [(None, "is missing"), ("\n \n", "is empty")])
    def test_the_list_of_videos(self, tmp_path, demo, text, what):
        (tmp_path / "train").mkdir()
        if text is not None:
            (tmp_path / "train/list.txt").write_text(text)
        with pytest.raises(InputError, match=rf"list\.txt: the list of videos {what}"):
            Dataset(load_manifest(demo.manifest), tmp_path, "train").names()

    @pytest.mark.parametrize(
        "change",
        [
            lambda folder: (folder / "groundtruth.txt").write_text("1,2,3,4\n" * 3),
            lambda folder: write_lines(folder / "absence.label", [0, 0, 1]),
            lambda folder: (folder / "00000003.jpg").rename(folder / "00000004.jpg"),
        ],
    )
    def test_the_digest_watches_annotations_and_frames(self, got10k, demo, change):
        root = got10k.parent
        write_lines(root / "list.txt", [got10k.name])
        manifest = load_manifest(demo.manifest).model_dump()
        manifest["splits"] = {"train": {"folder": "."}}
        data = Dataset(Manifest.model_validate(manifest), root, "train")
        before = data.digest()
        assert data.digest() == before
        change(got10k)
        assert data.digest() != before


@pytest.mark.skipif("SOCL_TEST_DATA" not in os.environ, reason="SOCL_TEST_DATA is unset")
def test_real_otb_sequences():
    """Every OTB sequence of the test data has boxes inside its frames."""
    shipped = Path(__file__).parents[2] / "data_manifests/otb100.yaml"
    manifest = load_manifest(shipped)
    found = {p.parent.parent for p in Path(os.environ["SOCL_TEST_DATA"]).glob("**/img/0001.jpg")}
    known = [f for f in sorted(found) if f.name in manifest.sequences]
    if not known:
        pytest.skip("no OTB sequence below SOCL_TEST_DATA")
    for folder in known[:3]:
        sequence = manifest.sequences[folder.name]
        video = read_otb(folder.parent, folder.name, sequence)
        assert len(video) == len(video.boxes), json.dumps(folder.name)
        assert (video.boxes[:, :2] >= -1).all() and (video.boxes[0, 2:] > 0).all()
