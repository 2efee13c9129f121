"""Trackers of kind python: a user's class, found, checked and run as one of ours."""

import sys

import numpy as np
import pytest

from socl_pipeline.errors import InputError
from socl_pipeline.settings import Config, PythonTrackerSettings, validate_config
from socl_pipeline.trackers.base import AnswerError
from socl_pipeline.trackers.build import build_tracker
from socl_pipeline.trackers.run import run_once, run_sequence
from socl_pipeline.trackers.user import digest_code

IMAGE = np.zeros((40, 60, 3), np.uint8)
PLAIN = """
class Mine:
    confidence = 0.5
    def __init__(self, step=1):
        self.step = step
    def init(self, image, box):
        assert image.shape == (40, 60, 3)
        self.box = list(box)
    def update(self, image):
        self.box[0] += self.step
        return self.box
class Lost(Mine):
    def update(self, image):
        return None
class Wrong(Mine):
    def update(self, image):
        return 'here'
class NoUpdate:
    def init(self, image, box): pass
class Broken:
    def __init__(self): raise RuntimeError('no weights')
value = 3
"""
# what a class looks like that is derived from got10k.trackers.Tracker
TOOLKIT = """
class Base:
    def __init__(self, name, is_deterministic=False):
        self.name, self.is_deterministic = name, is_deterministic
    def init(self, image, box): raise NotImplementedError()
    def update(self, image): raise NotImplementedError()
    def track(self, img_files, box, visualize=False): ...
class Theirs(Base):
    def __init__(self):
        super().__init__('theirs', True)
    def init(self, image, box):
        assert image.size == (60, 40) and image.mode == 'RGB'
        self.box = box - [1, 1, 0, 0]
    def update(self, image):
        assert image.size == (60, 40)
        self.box = self.box + [2, 0, 0, 0]
        return self.box + [1, 1, 0, 0]
"""


@pytest.fixture(autouse=True)
def own_path(monkeypatch):
    """What a test puts on Python's path leaves it with the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def settings(tmp_path, request):
    """A function that returns the settings of a class in a module of the test's own."""
    name = f"user_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(PLAIN + TOOLKIT)

    def make(found, **others):
        raw = {"kind": "python", "class": f"{name}:{found}", "path": str(tmp_path), **others}
        return PythonTrackerSettings.model_validate(raw)

    return make


def boxes(settings, frames=3):
    return run_sequence(build_tracker(settings, None), [IMAGE] * frames, [5, 6, 7, 8])[0]


def test_a_users_class_runs_as_ours(settings):
    found = boxes(settings("Mine", arguments={"step": 2}))
    assert found.tolist() == [[5, 6, 7, 8], [7, 6, 7, 8], [9, 6, 7, 8]]
    tracker = build_tracker(settings("Mine"), None)
    tracker.init(IMAGE, [5, 6, 7, 8])
    assert tracker.confidence == 0.5
    tracker.correct([20, 20])  # it cannot be moved, so it starts afresh
    assert tracker.update(IMAGE).tolist() == [17.5, 16, 7, 8]


def test_a_class_of_the_got10k_toolkit_runs_as_it_is(settings):
    assert boxes(settings("Theirs"))[2].tolist() == [9, 6, 7, 8]
    assert build_tracker(settings("Theirs"), None).deterministic
    assert not build_tracker(settings("Mine"), None).deterministic


def test_a_class_that_counts_from_1_is_told_and_read_so(settings):
    tracker = build_tracker(settings("Mine", base=1), None)
    tracker.init(IMAGE, [5, 6, 7, 8])
    assert tracker._tracker.box == [6, 7, 7, 8]
    assert tracker.update(IMAGE).tolist() == [6, 6, 7, 8]


def test_a_frame_without_a_box(settings):
    assert np.isnan(boxes(settings("Lost"))[1:]).all()


@pytest.mark.parametrize(
    ("found", "what"),
    [
        ("Absent", "cannot be imported .*Absent"),
        ("NoUpdate", "has no method update; expected init"),
        ("Broken", r"cannot be made with arguments \{\} \(RuntimeError\('no weights'\)\)"),
        ("value", "is a int, no class"),
    ],
)
def test_what_is_wrong_with_a_class(settings, found, what):
    with pytest.raises(InputError, match=what):
        build_tracker(settings(found), None)


def test_what_is_no_box(settings):
    with pytest.raises(InputError, match=r"Wrong.update returned 'here'; expected a box"):
        boxes(settings("Wrong"))
    # a fault of the tracker in one sequence, which is no reason to stop the others
    result = run_once(build_tracker(settings("Wrong"), None), [IMAGE] * 3, [5, 6, 7, 8])
    assert isinstance(result.crash, AnswerError) and np.isnan(result.run.boxes[1:]).all()


def test_a_module_that_is_not_there():
    missing = PythonTrackerSettings.model_validate({"kind": "python", "class": "no.such:Class"})
    for call in (digest_code, lambda s: build_tracker(s, None)):
        with pytest.raises(InputError, match=r"'no.such:Class': cannot be imported .*PYTHONPATH"):
            call(missing)


def test_a_module_of_the_same_name_elsewhere(tmp_path):
    (tmp_path / "json.py").write_text(PLAIN)
    raw = {"kind": "python", "class": "json:Mine", "path": str(tmp_path)}
    with pytest.raises(InputError, match="rename yours"):
        build_tracker(PythonTrackerSettings.model_validate(raw), None)


def test_the_code_and_the_files_that_arguments_name_are_digested(settings, tmp_path):
    weights = tmp_path / "weights.pth"
    entry = settings("Mine", arguments={"weights": str(weights), "step": 1})
    plain = digest_code(entry)
    weights.write_bytes(b"a")
    first = digest_code(entry)
    weights.write_bytes(b"b")
    second = digest_code(entry)
    module = next(tmp_path.glob("user_*.py"))
    module.write_text(PLAIN + TOOLKIT + "# changed\n")
    assert len({plain, first, second, digest_code(entry)}) == 4
    assert digest_code(entry) == digest_code(entry)


def test_all_modules_of_a_package_are_digested(tmp_path):
    package = tmp_path / "userpackage_digest" / "inner"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text(PLAIN)
    raw = {"kind": "python", "class": "userpackage_digest.inner:Mine", "path": str(tmp_path)}
    entry = PythonTrackerSettings.model_validate(raw)
    before = digest_code(entry)
    (package.parent / "other.py").write_text("x = 1\n")
    assert digest_code(entry) != before


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """A module that Python finds, with the classes above; its name and file."""
    name = f"user_{abs(hash(request.node.nodeid))}"
    path = tmp_path / f"{name}.py"
    path.write_text(PLAIN.replace("(40, 60, 3)", "(120, 160, 3)"))
    monkeypatch.syspath_prepend(tmp_path)
    return name, path


def test_one_line_of_config_runs_a_class_through_the_stages(raw_config, make_job, module):
    name, path = module
    raw_config["trackers"] = {"mine": f"{name}:Mine"}

    def job(stage="track"):
        return make_job(stage, raw=raw_config, tracker="mine")

    summary = job().execute()
    assert summary.stats["sequences"] == 2
    assert set(job("scores").execute().stats["auc"]) == {"mine"}
    before, fingerprint = job().recipe.key, job().fingerprint
    path.write_text(path.read_text() + "# edited\n")
    assert job().recipe.key != before and job().fingerprint != fingerprint


def test_the_short_form_is_kind_python(raw_config):
    raw_config["trackers"]["mine"] = "my.module:MyTracker"
    config = validate_config(raw_config, "test")
    assert config.tracker("mine").class_ == "my.module:MyTracker"
    assert Config.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("my_module", r"trackers.mine.class: expected package.module:Class \(found 'my_module'\)"),
        ({"kind": "python"}, "'trackers.mine.class' is missing"),
        ({"kind": "python", "class": "a:B", "clas": 1}, "did you mean 'class'"),
        ({"kind": "results", "format": "otb"}, "'trackers.mine.folder' is missing"),
        ({"kind": "results", "folder": "x", "format": "mat"}, "trackers.mine.format: .*'otb'"),
    ],
)
def test_what_is_wrong_with_an_entry(raw_config, entry, what):
    raw_config["trackers"]["mine"] = entry
    with pytest.raises(InputError, match=what):
        validate_config(raw_config, "test")
