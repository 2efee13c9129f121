"""Our trackers for the VOT toolkit: a fake of TraX's documented server says what is asked."""

import configparser
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from socl_pipeline.errors import InputError
from socl_pipeline.toolkits.vot import ini_section, main, serve


class Region:
    RECTANGLE, POLYGON = "rectangle", "polygon"

    def __init__(self, *values):
        self.values = values
        self.type = self.RECTANGLE if len(values) == 4 else self.POLYGON

    def bounds(self):
        return self.values

    def size(self):
        return len(self.values) // 2

    def __iter__(self):
        return iter(zip(self.values[::2], self.values[1::2], strict=True))

    @classmethod
    def create(cls, *values):
        return cls(*values)


def trax(requests, replies):
    """A module that asks for what is in `requests` (regions, None: go on) and keeps replies."""

    class Server:
        def __init__(self, regions, images, channels):
            assert regions == ["rectangle", "polygon"]
            assert (images, channels) == (["path"], ["color"])
            self._requests = iter(requests)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            replies.append("closed")

        def wait(self):
            request = next(self._requests, "quit")
            if request == "quit":
                return SimpleNamespace(type="quit")
            path, region = request
            kind = "initialize" if region else "frame"
            image = {"color": SimpleNamespace(path=lambda: str(path))}
            return SimpleNamespace(type=kind, image=image, objects=region)

        def status(self, objects):
            [(region, properties)] = objects
            replies.append((region.values, properties))

    status = SimpleNamespace(QUIT="quit", INITIALIZE="initialize", FRAME="frame")
    image = SimpleNamespace(PATH="path")
    return SimpleNamespace(
        Server=Server, Region=Region, Rectangle=Region, Image=image, TraxStatus=status
    )


class Mover:
    """Goes a pixel to the right with each frame."""

    confidence = np.nan

    def init(self, image, box):
        self.box = np.array(box, float)

    def update(self, image):
        self.box[0] += 1
        self.confidence = 0.75
        return self.box


@pytest.fixture
def frame(tmp_path) -> Path:
    path = tmp_path / "1.png"
    assert cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
    return path


@pytest.mark.parametrize("base", [0, 1])
def test_requests_are_answered_until_the_toolkit_quits(frame, base):
    replies = []
    start, again = [(Region(5, 6, 7, 8), {})], [(Region(1, 2, 3, 4), {})]
    asked = [(frame, start), (frame, None), (frame, None), (frame, again), (frame, None)]
    serve(Mover(), trax(asked, replies), base)
    assert [r[0][:2] for r in replies[:-1]] == [(5, 6), (6, 6), (7, 6), (1, 2), (2, 2)]
    assert replies[0][1] == {} and replies[1][1] == {"confidence": 0.75}
    assert replies[-1] == "closed"


def test_the_tracker_counts_from_0(frame):
    mover = Mover()
    serve(mover, trax([(frame, [(Region(5, 6, 7, 8), {})])], []), base=1)
    assert mover.box.tolist() == [4, 5, 7, 8]


def test_a_frame_without_a_box_is_an_empty_one(frame):
    class Lost(Mover):
        def update(self, image):
            return np.full(4, np.nan)

    replies = []
    serve(Lost(), trax([(frame, [(Region(5, 6, 7, 8), {})]), (frame, None)], replies), 1)
    assert replies[1][0] == (0, 0, 0, 0)


def test_a_rotated_start(frame):
    replies = []
    square = Region(5, 6, 11, 6, 11, 12, 5, 12)
    serve(Mover(), trax([(frame, [(square, {})])], replies))
    assert replies[0][0] == (5, 6, 7, 7)


def test_several_objects_are_refused(frame):
    with pytest.raises(InputError, match="gives 2 objects; our trackers follow one"):
        serve(Mover(), trax([(frame, [(Region(5, 6, 7, 8), {})] * 2)], []))


def test_the_section_of_trackers_ini_starts_this_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parser = configparser.ConfigParser()
    parser.read_string(ini_section(Path("my config.yaml"), "kcf", "demo", Path("results"), 1))
    assert parser["kcf"]["protocol"] == "trax"
    words = shlex.split(parser["kcf"]["command"])
    assert words[:3] == [sys.executable, "-m", "socl_pipeline.toolkits.vot"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert options == {
        "--config": str(tmp_path / "my config.yaml"),
        "--tracker": "kcf",
        "--dataset": "demo",
        "--results": str(tmp_path / "results"),
        "--base": "1",
    }


def test_without_trax_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trax", None)
    with pytest.raises(InputError, match="pip install vot-trax"):
        CliRunner().invoke(main, ["--config", "x", "--tracker", "kcf"], catch_exceptions=False)
