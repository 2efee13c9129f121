from types import SimpleNamespace

import numpy as np
import pytest

from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.errors import InputError
from socl_pipeline.top.objectness.boxed_frames import csv_frames, dataset_frames


@pytest.fixture
def photos(tmp_path, textured):
    """A folder with two images of 80 x 60 pixels and a function that writes the CSV."""
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "in/b.jpg"):
        (tmp_path / name).write_bytes(encode_jpeg(textured(1, 60, 80), 90))
    table = tmp_path / "boxes.csv"
    return SimpleNamespace(folder=tmp_path, table=table, write=table.write_text)


def test_boxes_of_a_csv(photos):
    photos.write("y,X,w,h, image\n1,2,30,20,a.jpg\n\n5,6,7,8,in/b.jpg\n0,10,20,30.5,a.jpg\n")
    first, second = csv_frames(photos.table, photos.folder)
    assert (first.group, first.path) == ("a.jpg", photos.folder / "a.jpg")
    np.testing.assert_array_equal(first.boxes, [[2, 1, 30, 20], [10, 0, 20, 30.5]])
    np.testing.assert_array_equal(second.boxes, [[6, 5, 7, 8]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image,x,y,w\n", "line 1: the columns are 'image,x,y,w'; expected image,x,y,w,h"),
        ("", "line 1: the columns are ''"),
        ("image,x,y,w,h\n", "there is no box in it"),
        ("image,x,y,w,h\na.jpg,1,2,3\n", "line 2: 4 fields, expected 5"),
        ("image,x,y,w,h\na.jpg,1,two,3,4\n", "line 2: y is 'two', expected a number"),
        ("image,x,y,w,h\na.jpg,1,2,3,4\nc.jpg,1,2,3,4\n", "line 3: image 'c.jpg' is not in"),
        ("image,x,y,w,h\n,1,2,3,4\n", "line 2: image '' is not in"),
        ("image,x,y,w,h\na.jpg,1,2,0,4\n", "line 2: box 1,2,0,4 has no area"),
        ("image,x,y,w,h\na.jpg,90,2,5,4\n", "lies outside the 80x60 frame"),
        ("image,x,y,w,h\na.jpg,nan,2,5,4\n", "is not four numbers"),
    ],
)
def test_lines_that_cannot_be_used_are_named(photos, text, expected):
    photos.write(text)
    with pytest.raises(InputError) as caught:
        csv_frames(photos.table, photos.folder)
    assert str(caught.value).startswith(str(photos.table)) and expected in str(caught.value)


def test_a_csv_that_is_no_text_is_named(photos):
    photos.table.write_bytes(b"image,x,y,w,h\n\xff\xfe")
    with pytest.raises(InputError, match=r"boxes\.csv: not UTF-8 text"):
        csv_frames(photos.table, photos.folder)


@pytest.fixture
def dataset(demo):
    return Dataset(load_manifest(demo.manifest), demo.root, "train")


@pytest.mark.parametrize(
    ("every", "most", "per_video"),
    [(1, 100, [4, 4, 4, 4]), (2, 100, [2, 2, 2, 2]), (1, 6, [1, 2, 1, 2]), (1, 2, [1, 0, 1, 0])],
)
def test_frames_of_a_dataset_are_spread_over_its_videos(dataset, every, most, per_video):
    frames = dataset_frames(dataset, every, most)
    names = dataset.names()
    assert [sum(f.group == n for f in frames) for n in names] == per_video
    for frame in frames:
        video = dataset.read(frame.group)
        i = video.frames.index(frame.path)
        np.testing.assert_array_equal(frame.boxes, video.boxes[i : i + 1])
        assert i % every == 0


def test_frames_without_a_usable_box_are_left_out(write_clips, tmp_path, textured):
    images = [textured(i, 40, 60) for i in range(3)]
    clicks = (
        "video,frame,x,y,box_x,box_y,box_w,box_h\n"
        "v,1,20,20,10,10,20,20\nv,2,20,20,,,,\nv,3,20,20,10,10,-5,20\n"
    )
    manifest = load_manifest(write_clips(tmp_path / "c", {"v": images}, clicks))
    (frame,) = dataset_frames(Dataset(manifest, tmp_path / "c"), 1, 10)
    assert frame.path.name == "0001.png" and frame.boxes.tolist() == [[10, 10, 20, 20]]


def test_a_dataset_without_boxes_is_an_error(write_clips, tmp_path, textured):
    manifest = write_clips(tmp_path / "c", {"v": [textured(0, 40, 60)]}, "video,frame,x,y\nv,1,2,3")
    with pytest.raises(InputError, match="no frame of c has a box"):
        dataset_frames(Dataset(load_manifest(manifest), tmp_path / "c"), 1, 10)
