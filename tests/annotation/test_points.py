"""The points table: which frames have a click, where it is, and which boxes are kept."""

import logging
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from socl_pipeline.annotation.points import SCHEMA, points_table
from socl_pipeline.datasets.video import Problem, Video
from socl_pipeline.errors import InputError
from socl_pipeline.settings import PointSettings


@pytest.fixture
def video(tmp_path):
    """A function that makes a video of n frames of 100 x 80 pixels, frame i of i + 1 bytes."""

    def make(name="a", n=6, points=None, problems=(), absent=()):
        boxes = np.array([[10 + i, 20 + i, 8, 6] for i in range(n)], float)
        flags = np.isin(np.arange(n), absent)
        frames = [tmp_path / name / f"{i:04d}.jpg" for i in range(n)]
        (tmp_path / name).mkdir(exist_ok=True)
        for i, frame in enumerate(frames):
            frame.write_bytes(b"x" * (i + 1))
        boxes[flags] = np.nan
        return Video(
            name=name,
            frames=frames,
            width=100,
            height=80,
            boxes=boxes if points is None else np.full((n, 4), np.nan),
            points=np.full((n, 2), np.nan) if points is None else np.array(points, float),
            absent=flags,
            cover=np.full(n, 8, np.int8),
            problems=[Problem(name, i, "broken") for i in problems],
        )

    return make


def xy(table):
    return np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1)


def test_clicks_are_the_centres_of_the_boxes(video, tmp_path):
    table = points_table([video("a"), video("b", n=2)], PointSettings(), tmp_path)
    assert table.schema.equals(SCHEMA)
    assert table["video"].to_pylist() == ["a"] * 6 + ["b"] * 2
    assert table["frame"].to_pylist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert table["path"][1].as_py() == "a/0001.jpg"
    assert table["bytes"][1].as_py() == 2
    assert set(table["width"].to_pylist()) == {100} and set(table["height"].to_pylist()) == {80}
    np.testing.assert_array_equal(xy(table)[:3], [[14, 23], [15, 24], [16, 25]])


def test_given_clicks_win_over_boxes(video, tmp_path):
    points = [[1, 2], [np.nan, np.nan], [5, 6]]
    table = points_table([video(n=3, points=points)], PointSettings(), tmp_path)
    assert table["frame"].to_pylist() == [0, 2]
    assert xy(table).tolist() == [[1, 2], [5, 6]]
    assert table["box_x"].null_count == 2


def test_bad_and_absent_frames_are_left_out(video, tmp_path):
    table = points_table([video(problems=[1], absent=[3])], PointSettings(), tmp_path)
    assert table["frame"].to_pylist() == [0, 2, 4, 5]


@pytest.mark.parametrize(("every", "kept"), [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4]), (10, [0])])
def test_sparse_boxes(video, tmp_path, every, kept):
    settings = PointSettings(sparse_box_every=every)
    table = points_table([video()], settings, tmp_path)
    frames = np.array(table["frame"])
    assert frames[~np.array(table["box_x"].is_null())].tolist() == kept
    given = table.filter(table["box_x"].is_valid())
    assert given["box_x"].to_pylist() == [10 + i for i in kept]
    assert given["box_h"].to_pylist() == [6] * len(kept)


def test_noise_moves_clicks_but_not_boxes(video, tmp_path):
    clean = points_table([video()], PointSettings(), tmp_path)
    noisy = points_table([video()], PointSettings(noise_px=5), tmp_path)
    np.testing.assert_allclose(np.linalg.norm(xy(noisy) - xy(clean), axis=1), 5, atol=1e-4)
    assert noisy["box_x"].equals(clean["box_x"])


def test_a_subset_keeps_its_clicks(video, tmp_path):
    videos = [video(name) for name in "abcd"]
    full = points_table(videos, PointSettings(noise_px=5), tmp_path)
    part = points_table(videos, PointSettings(noise_px=5, videos=2, frame_fraction=0.5), tmp_path)
    keys = zip(full["video"].to_pylist(), full["frame"].to_pylist(), strict=True)
    of = dict(zip(keys, xy(full).tolist(), strict=True))
    assert part.num_rows == 6
    for name, frame, point in zip(
        part["video"].to_pylist(), part["frame"].to_pylist(), xy(part).tolist(), strict=True
    ):
        assert point == of[name, frame]


def test_noisy_clicks_stay_in_the_frame(video, tmp_path):
    clicks = points_table([video()], PointSettings(noise_px=500), tmp_path)
    assert (xy(clicks) >= 0).all() and (xy(clicks) <= [100, 80]).all()


class TestStage:
    """The whole stage on demo videos, one of which is broken."""

    @pytest.fixture
    def broken(self, demo, tmp_path, raw_config):
        """The demo's config on a copy of its data whose second video has a bad box."""
        root = tmp_path / "data"
        shutil.copytree(demo.root, root)
        truth = root / "train/demo_train_000002/groundtruth.txt"
        lines = truth.read_text().splitlines()
        truth.write_text("\n".join([*lines[:2], "900,900,5,5", lines[3]]) + "\n")
        labels = truth.with_name("absence.label")
        labels.write_text("0\n" * len(lines))
        raw_config["datasets"]["demo"]["root"] = str(root)
        return raw_config

    def test_counts_cost_and_recipe(self, make_job):
        job = make_job("points")
        stats = job.execute().stats
        table = pq.read_table(job.output)
        assert stats["videos"] == 4 and stats["frames"] == table.num_rows <= 16
        assert stats["boxes"] == table.num_rows - table["box_x"].null_count
        assert stats["annotation_hours"] == round(table.num_rows * 2.27 / 3600, 3)
        assert stats["skipped"] == []
        metadata = job.recipe.metadata()["socl_recipe"]
        assert table.schema.metadata[b"socl_recipe"].decode() == metadata

    def test_fail_stops_with_file_and_line(self, make_job, broken):
        job = make_job("points", raw=broken, bad_frames="fail")
        with pytest.raises(InputError, match=r"groundtruth\.txt, line 3: box 900.*skip"):
            job.execute()
        assert not job.output.exists()

    def test_skip_lists_what_was_left_out(self, make_job, broken, caplog):
        job = make_job("points", raw=broken, bad_frames="skip")
        with caplog.at_level(logging.WARNING):
            (skipped,) = job.execute().stats["skipped"]
        assert (skipped["video"], skipped["frame"]) == ("demo_train_000002", 2)
        assert "line 3: box 900,900,5,5 lies outside" in skipped["reason"]
        assert "left out" in caplog.text
        rows = pq.read_table(job.output)
        bad = [
            (v, f)
            for v, f in zip(rows["video"].to_pylist(), rows["frame"].to_pylist(), strict=True)
            if (v, f) == ("demo_train_000002", 2)
        ]
        assert bad == []

    def test_the_dataset_decides_unless_the_command_line_does(self, make_job, broken):
        broken["datasets"]["demo"]["on_bad_frame"] = "skip"
        assert len(make_job("points", raw=broken).execute().stats["skipped"]) == 1

    def test_a_broken_video_is_one_problem(self, make_job, broken, tmp_path):
        (tmp_path / "data/train/demo_train_000003/groundtruth.txt").write_text("1,2,3,4\n1,2\n")
        with pytest.raises(InputError, match=r"\(and 1 more\)"):
            make_job("points", raw=broken).execute()
        stats = make_job("points", raw=broken, bad_frames="skip").execute().stats
        assert [s["frame"] for s in stats["skipped"]] == [2, None]
        assert stats["videos"] == 3

    def test_nothing_left(self, make_job, raw_config):
        raw_config["datasets"]["demo"]["points"] = {"hours": 1e-9}
        with pytest.raises(InputError, match="no frame is left to annotate"):
            make_job("points", raw=raw_config).execute()
