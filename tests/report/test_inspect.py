"""`socl inspect`: what a store holds in words, and pictures of its frames."""

import cv2
import numpy as np
import pytest
from PIL import Image

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import Job, Target
from socl_pipeline.report import frames as frames_module
from socl_pipeline.report.frames import save_frames
from socl_pipeline.report.inspect import inspect_store
from socl_pipeline.settings import validate_config

CONFIG = "unused.yaml"


@pytest.fixture(scope="module")
def store(demo, tmp_path_factory):
    """The published store of the small demo dataset, its points table beside it."""
    folder = tmp_path_factory.mktemp("inspect")
    raw = {
        "datasets": {"demo": {"manifest": str(demo.manifest)}},
        "proposals": {"random": {"count": 200}},
        "top_maps": {"top_k": 16},
        "models": {"m": {}},
    }
    config = validate_config(raw, "test")
    for stage in ("points", "proposals", "top_maps"):
        job = Job(config, Target.of(stage, dataset="demo"), folder / "r", folder / "c", 0)
        job.execute()
    return job.output


@pytest.fixture
def inspected(store, demo):
    """A function that returns the lines of the command."""

    def run(out=None, path=store, root=demo.root, **options):
        return list(inspect_store(path, CONFIG, "demo", out, root=root, **options))

    return run


def test_a_store_in_words(inspected):
    text = "\n".join(inspected())
    for expected in (
        "16 in 4 videos",
        "16 scored",
        "1 of 512 frames",
        "16.0 a frame, at most 16",
        "bytes a frame: boxes ",
        "32 x 32, clip 0.1, gain 10.0; a square around the click, 4 extents wide",
        "points.parquet: the same frames and clicks; built from 16 rows",
        "stage top_maps, version 2",
        "nms          0.7",
        "left out     0 frames",
    ):
        assert expected in text


def test_a_store_without_its_points_table(inspected, store, tmp_path):
    (tmp_path / "moved.zarr").symlink_to(store.resolve())
    lines = inspected(path=tmp_path / "moved.zarr")
    assert any("no points.parquet beside the store (give --points)" in line for line in lines)
    with pytest.raises(InputError, match=r"points\.parquet: no such points table"):
        inspected(tmp_path / "x.png", tmp_path / "moved.zarr", frame="demo_train_000002:1")


def test_a_frame_as_a_picture(inspected, tmp_path):
    out = tmp_path / "new/frame.png"
    assert inspected(out, frame="demo_train_000002:1") == [f"{out}: demo_train_000002:1"]
    picture = cv2.imread(str(out))
    panels = [picture[:, i * 366 : i * 366 + 360].astype(int) for i in range(3)]
    assert picture.shape == (270, 3 * 360 + 2 * 6, 3)
    assert (np.abs(panels[0] - panels[1]).mean() > 1) and (np.abs(panels[1] - panels[2]).mean() > 9)


@pytest.mark.parametrize("name", ["v.mp4", "v.avi"])
def test_a_video_as_a_film(inspected, tmp_path, name):
    out = tmp_path / name
    assert inspected(out, video="demo_train_000003") == [
        f"{out}: 4 of 4 frames of demo_train_000003"
    ]
    film = cv2.VideoCapture(str(out))
    shapes = []
    while (read := film.read())[0]:
        shapes.append(read[1].shape)
    assert shapes == [(270, 1092, 3)] * 4


def test_a_video_as_a_gif(inspected, tmp_path):
    inspected(tmp_path / "v.gif", video="demo_train_000003")
    with Image.open(tmp_path / "v.gif") as film:
        assert (film.n_frames, film.size) == (4, (1092, 270))


def test_a_video_as_a_folder(inspected, tmp_path):
    inspected(tmp_path / "v", video="demo_train_000003")
    assert sorted(p.name for p in (tmp_path / "v").iterdir()) == [f"{i:08d}.png" for i in range(4)]


def test_odd_pictures_become_films_too(tmp_path):
    picture = np.zeros((5, 7, 3), np.uint8)
    assert save_frames(iter([(0, picture), (3, picture)]), tmp_path / "v.mp4") == 2
    assert cv2.VideoCapture(str(tmp_path / "v.mp4")).read()[1].shape == (6, 8, 3)


def test_a_film_that_cannot_be_written(inspected, tmp_path, monkeypatch):
    monkeypatch.setitem(frames_module.CODECS, ".mp4", "none")
    with pytest.raises(InputError, match="this build of OpenCV cannot write none video"):
        inspected(tmp_path / "v.mp4", video="demo_train_000003")


@pytest.mark.parametrize(
    ("options", "out", "message"),
    [
        ({"frame": "nothing:0"}, "x.png", "no video 'nothing' in the store; it has demo_train_"),
        ({"frame": "demo_train_000001:9"}, "x.png", "its 4 frames of that video are between 0"),
        ({"frame": "demo_train_000001"}, "x.png", "expected VIDEO:INDEX"),
        ({"frame": "demo_train_000001:0"}, "x.bmp", "expected a name that ends in .png"),
        ({"frame": "demo_train_000001:0"}, None, "--out for the picture"),
        ({"frame": "a:0", "video": "a"}, "x.png", "give either --frame or --video"),
        ({"video": "demo_train_000001"}, "x.mkv", "ends in .mp4, .avi or .gif"),
    ],
)
def test_what_cannot_be_drawn(inspected, tmp_path, options, out, message):
    with pytest.raises(InputError, match=message):
        inspected(out and tmp_path / out, **options)
    assert not list(tmp_path.iterdir())


def test_a_video_without_a_scored_frame(tmp_path):
    for name in ("v.mp4", "v.gif", "v"):
        with pytest.raises(InputError, match="every frame of the video was left out"):
            save_frames(iter([]), tmp_path / name)
