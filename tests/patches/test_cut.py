"""Patches of a real run of the stages: geometry, packing, and what is left out."""

import numpy as np
import pyarrow as pa
import pytest

from socl_pipeline.datasets.images import read_image
from socl_pipeline.errors import InputError
from socl_pipeline.patches.cut import patch_region
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.settings import PatchSettings
from socl_pipeline.top.store.store import TopStore

CLICKS = {1: (100.0, 60.0), 2: (30.5, 80.25), 3: (150.0, 5.0)}
STAGES = ("points", "proposals", "top_maps", "patches")


@pytest.fixture
def clips(write_clips, tmp_path, textured, raw_config):
    """A config for one clip of three frames with a green square around each click."""
    images = []
    for i, (x, y) in CLICKS.items():
        image = textured(i, 120, 160) // 3
        x0, y0 = round(x) - 3, round(y) - 3
        image[max(y0, 0) : y0 + 6, max(x0, 0) : x0 + 6] = (0, 255, 0)
        images.append(image)
    lines = ["video,frame,x,y", *(f"cat,{i},{x},{y}" for i, (x, y) in CLICKS.items())]
    manifest = write_clips(tmp_path / "clips", {"cat": images}, "\n".join(lines) + "\n")
    raw_config["datasets"]["demo"] = {"manifest": str(manifest)}
    return raw_config


@pytest.fixture
def built(clips, make_job):
    for stage in STAGES:
        job = make_job(stage, raw=clips)
        summary = job.execute()
    store = TopStore(make_job("top_maps", raw=clips).output)
    return PatchSet(job.output), store.rows(0, len(store)), summary


def test_the_click_is_at_the_centre(built):
    patches, _, _ = built
    assert len(patches) == 3 and patches.size == 96
    for row in range(3):
        red, green, blue = patches[row].image[46:50, 46:50].reshape(-1, 3).mean(axis=0)
        assert green > 180 and red < 80 and blue < 80


def regions(folder):
    tables = [
        pa.ipc.open_file(pa.memory_map(str(f))).read_all() for f in sorted(folder.glob("*.arrow"))
    ]
    return np.array(pa.concat_tables(tables)["region"].to_pylist())


def test_boxes_and_extents_coincide_with_the_store(built, make_job, clips):
    patches, top, _ = built
    found = regions(make_job("patches", raw=clips).output)
    for row, (x, y, side) in enumerate(found):
        patch, count = patches[row], top.count[row]
        np.testing.assert_allclose([x + side / 2, y + side / 2], CLICKS[row + 1], atol=1e-3)
        scale = 96 / side
        expected = (top.boxes[row] - [x, y, 0, 0]) * scale
        np.testing.assert_allclose(patch.boxes[:count], expected[:count], atol=1e-2)
        assert not patch.boxes[count:].any() and not patch.scores[count:].any()
        np.testing.assert_allclose(patch.scores, top.scores[row])
        assert patch.extent == pytest.approx(top.extents[row] * scale, rel=1e-5)
        assert side == pytest.approx(min(5 * top.extents[row], 1.5 * 160), rel=1e-5)


def test_pixels_coincide_with_the_frame(built, make_job, clips, tmp_path):
    """The patch, scaled back, shows what the frame shows there."""
    patches, _, _ = built
    for row, (x, y, side) in enumerate(regions(make_job("patches", raw=clips).output)):
        frame = read_image(tmp_path / f"clips/cat/{row + 1:04d}.png").astype(float)
        differences = []
        for i, j in np.ndindex(96, 96):
            fx, fy = int(x + (j + 0.5) * side / 96), int(y + (i + 0.5) * side / 96)
            if 1 <= fx < 159 and 1 <= fy < 119:
                differences.append(np.abs(patches[row].image[i, j] - frame[fy, fx]).mean())
        assert len(differences) > 500
        assert np.median(differences) < 6


def test_outside_the_frame_is_the_mean_colour(built, make_job, clips, tmp_path):
    patches, _, _ = built
    _, y, side = regions(make_job("patches", raw=clips).output)[2]
    assert y < -15, "the click is near the upper border"
    frame = read_image(tmp_path / "clips/cat/0003.png")
    strip = patches[2].image[: int(-y * 96 / side) - 3]
    assert np.abs(strip.reshape(-1, 3).mean(axis=0) - frame.reshape(-1, 3).mean(axis=0)).max() < 3


def test_statistics(built):
    stats = built[2].stats
    assert stats["patches"] == stats["frames"] == 3
    assert stats["size_px"] == 96 and stats["target_px"] == 19.2


def test_rows_of_each_video(demo, make_job):
    for stage in STAGES:
        job = make_job(stage)
        job.execute()
    patches = PatchSet(job.output)
    assert len(list(job.output.glob("*.arrow"))) > 1, "several shards"
    assert list(patches.videos) == [f"demo_train_{i:06d}" for i in range(1, 5)]
    rows = [r for own in patches.videos.values() for r in own]
    assert rows == list(range(len(patches)))
    for own in patches.videos.values():
        assert (np.diff(patches.frames[own]) > 0).all()


def test_a_broken_frame_is_left_out_everywhere(clips, make_job, tmp_path):
    make_job("points", raw=clips).execute()
    frame = tmp_path / "clips/cat/0002.png"
    frame.write_bytes(frame.read_bytes()[:50])
    make_job("proposals", raw=clips).execute()
    with pytest.raises(InputError, match=r"0002\.png: .*decode"):
        make_job("top_maps", raw=clips).execute()
    stats = {}
    for stage in STAGES[1:]:
        job = make_job(stage, raw=clips, bad_frames="skip")
        stats[stage] = job.execute().stats
    (skipped,) = stats["top_maps"]["skipped"]
    assert (skipped["video"], skipped["frame"]) == ("cat", 1)
    assert stats["top_maps"]["left_out"] == 1
    assert stats["patches"] == stats["patches"] | {"patches": 2, "frames": 3}
    assert PatchSet(job.output).frames.tolist() == [0, 2]


@pytest.mark.parametrize(("extent", "expected"), [(20, 100), (200, 240)])
def test_the_side_is_limited_by_the_frame(extent, expected):
    region = patch_region(np.array([50, 40]), extent, 160, PatchSettings(context=5))
    np.testing.assert_allclose(region, [50 - expected / 2, 40 - expected / 2, expected])


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no patches; run `socl patches`"):
        PatchSet(tmp_path)
