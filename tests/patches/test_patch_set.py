"""Packed patches in several files: rows, names, boxes, and what is left open."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.errors import InputError
from socl_pipeline.patches.cut import patch_schema
from socl_pipeline.patches.patch_set import PatchSet

SIZE, TOP_K = 24, 3
NAMES = ["b", "b", "a", "a", "a", "c", "c", "b"]  # a video may end in one file and go on in another


def record(row, image=None):
    flat = np.full((SIZE, SIZE, 3), 10 * row, np.uint8) if image is None else image
    return {
        "video": NAMES[row],
        "frame": 5 * row,
        "jpeg": encode_jpeg(flat, 95),
        "region": [0.0, 0.0, float(SIZE)],
        "extent": 2.0 * row,
        "boxes": np.arange(4 * TOP_K) + 100.0 * row,
        "scores": np.arange(TOP_K) + row / 10,
    }


def write(folder, parts, **changed):
    folder.mkdir()
    schema = patch_schema(TOP_K, {"size": str(SIZE)})
    for rows in parts:
        with (
            pa.OSFile(str(folder / f"{rows.start:09d}.arrow"), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
        ):
            records = [changed.get(f"row{r}") or record(r) for r in rows]
            writer.write_table(pa.Table.from_pylist(records, schema), max_chunksize=2)
    return PatchSet(folder)


@pytest.fixture
def patches(tmp_path):
    return write(tmp_path / "p", [range(0, 3), range(3, 3), range(3, 8)])


def test_rows_of_videos_over_files(patches):
    assert len(patches) == 8 and patches.size == SIZE
    rows = {name: own.tolist() for name, own in patches.videos.items()}
    assert rows == {"b": [0, 1, 7], "a": [2, 3, 4], "c": [5, 6]}
    assert list(rows) == ["b", "a", "c"], "in the order of their first rows"
    assert patches.frames.tolist() == [5 * r for r in range(8)]


@pytest.mark.parametrize("rows", [[0], [7, 0, 3, 3, 2], np.array([4, 6]), range(8), []])
def test_boxes_and_pixels_of_rows_in_any_order(patches, rows):
    boxes, scores = patches.boxes(rows)
    images = np.zeros((len(rows), SIZE, SIZE, 3), np.uint8)
    patches.decode(rows, images)
    wanted = [record(r) for r in rows]
    expected = np.reshape([w["boxes"] for w in wanted], (-1, TOP_K, 4))
    np.testing.assert_array_equal(boxes, expected)
    np.testing.assert_allclose(scores, np.reshape([w["scores"] for w in wanted], (-1, TOP_K)))
    level = np.reshape([10.0 * r for r in rows], (-1, 1, 1, 1))
    np.testing.assert_allclose(images, np.broadcast_to(level, images.shape), atol=1)


def test_one_patch(patches):
    patch = patches[6]
    assert patch.image.shape == (SIZE, SIZE, 3) and patch.extent == 12
    assert patch.boxes.tolist() == (np.arange(4 * TOP_K) + 600).reshape(-1, 4).tolist()


@pytest.mark.parametrize("row", [-1, 8])
def test_a_row_that_is_not_there(patches, row):
    with pytest.raises(IndexError, match="of 8 patches"):
        patches[row]


def test_a_patch_of_another_size_or_none(tmp_path):
    small = record(1, np.zeros((SIZE - 1, SIZE, 3), np.uint8))
    cut_off = record(2)
    cut_off["jpeg"] = cut_off["jpeg"][:200]
    patches = write(tmp_path / "p", [range(8)], row1=small, row2=cut_off)
    for row in (1, 2):
        with pytest.raises(InputError, match=f"patch {row} cannot be decoded; rebuild"):
            patches[row]


def test_no_descriptor_stays_open(patches):
    """A large set has more files than a process may have open."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("no /proc to look into")
    held = {d.readlink().suffix for d in list(descriptors.iterdir()) if d.is_symlink()}
    assert ".arrow" not in held and len(patches) == 8


def test_files_without_patches(tmp_path):
    with pytest.raises(InputError, match="no patches; run `socl patches`"):
        write(tmp_path / "p", [range(0, 0)])
