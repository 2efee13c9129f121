import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import (
    SUMMARY,
    Recipe,
    Summary,
    atomic_path,
    build,
    canonical_json,
    content_hash,
    digest_files,
    lock,
    publish,
    read_summary,
    write_atomic,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def reversed_keys(value):
    if isinstance(value, dict):
        return {k: reversed_keys(v) for k, v in reversed(value.items())}
    return [reversed_keys(v) for v in value] if isinstance(value, list) else value


def recipe(**changes):
    plain = {"stage": "points", "version": 1, "params": {"a": 1, "b": [2]}, "inputs": {"x": "00"}}
    return Recipe(**plain | changes)


class TestRecipe:
    @given(VALUES)
    def test_keys_do_not_depend_on_the_order_of_dicts(self, value):
        assert content_hash(value) == content_hash(reversed_keys(value))

    @given(VALUES, VALUES)
    def test_other_content_has_another_hash(self, a, b):
        assert (content_hash(a) == content_hash(b)) == (canonical_json(a) == canonical_json(b))

    def test_everything_counts(self):
        changes = [
            {},
            {"stage": "track"},
            {"version": 2},
            {"params": {"a": 1, "b": [3]}},
            {"params": {"a": 1}},
            {"inputs": {"x": "01"}},
            {"inputs": {"y": "00"}},
        ]
        assert len({recipe(**c).key for c in changes}) == len(changes)
        assert recipe().key == recipe(params={"b": [2], "a": 1}).key


class TestSummary:
    def test_round_trip(self, tmp_path):
        summary = Summary(recipe(), "abc", {"frames": 3, "skipped": []})
        path = tmp_path / "s.json"
        write_atomic(path, summary.to_json())
        assert read_summary(path) == summary
        assert f'"key": "{recipe().key}"' in path.read_text()

    def test_equal_summaries_are_equal_bytes(self):
        assert (
            Summary(recipe(), "a", {"x": 1, "y": 2}).to_json()
            == Summary(recipe(), "a", {"y": 2, "x": 1}).to_json()
        )

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"recipe": {"stage": 1}}'])
    def test_files_that_are_none(self, tmp_path, text):
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(InputError, match=r"s\.json: not a summary of this package"):
            read_summary(tmp_path / "s.json")

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match=r"s\.json: the artifact is not built yet"):
            read_summary(tmp_path / "s.json")


class TestFiles:
    def test_an_atomic_path_appears_at_the_end(self, tmp_path):
        target = tmp_path / "new/a.txt"
        with atomic_path(target) as temporary:
            temporary.write_text("x")
            assert not target.exists()
        assert target.read_text() == "x" and list(target.parent.iterdir()) == [target]

    def test_a_failed_one_leaves_nothing_and_keeps_the_old(self, tmp_path):
        target = tmp_path / "a.txt"
        target.write_text("old")
        with pytest.raises(KeyboardInterrupt), atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt
        assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]

    def test_digests_depend_on_names_and_bytes(self, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "a").write_text("1")
        (tmp_path / "sub/b").write_text("2")
        (tmp_path / ".hidden").write_text("3")
        first = digest_files(tmp_path, ("**/*",))
        (tmp_path / ".hidden").write_text("4")
        assert digest_files(tmp_path, ("**/*",)) == first
        assert digest_files(tmp_path, ("a", "**/*")) == first
        only_a = digest_files(tmp_path, ("a",))
        (tmp_path / "sub/b").write_text("5")
        assert digest_files(tmp_path, ("**/*",)) != first
        assert digest_files(tmp_path, ("a",)) == only_a
        (tmp_path / "a").rename(tmp_path / "c")
        assert digest_files(tmp_path, ("c",)) != only_a
        assert digest_files(tmp_path / "c", ()) == digest_files(tmp_path / "c", ("*",))


class TestBuild:
    def maker(self, calls, content="done"):
        def make(path):
            calls.append(path)
            path.write_text(content)
            return {"calls": len(calls)}

        return make

    def test_made_once(self, tmp_path):
        calls = []
        path, first = build(recipe(), tmp_path, "out.txt", self.maker(calls))
        again, second = build(recipe(), tmp_path, "out.txt", self.maker(calls))
        assert len(calls) == 1 and path == again and first == second
        assert path == tmp_path / "points" / recipe().key / "out.txt"
        assert first.digest == digest_files(path, ())

    def test_other_recipes_are_made_apart(self, tmp_path):
        calls = []
        build(recipe(), tmp_path, "out.txt", self.maker(calls, "one"))
        other, _ = build(recipe(version=2), tmp_path, "out.txt", self.maker(calls, "two"))
        assert len(calls) == 2 and other.read_text() == "two"

    def test_there_and_back_is_found_in_the_cache(self, tmp_path):
        calls, target, summary_path = [], tmp_path / "r/out.txt", tmp_path / "r/out.summary.json"
        for version, content in ((1, "A"), (2, "B"), (1, "not made again")):
            made = build(
                recipe(version=version), tmp_path / "c", "out.txt", self.maker(calls, content)
            )
            publish(*made, target, summary_path)
        assert len(calls) == 2
        assert target.read_text() == "A" and read_summary(summary_path).recipe.version == 1

    def test_a_killed_one_leaves_its_work(self, tmp_path):
        made = []

        def make(path):
            path.mkdir(exist_ok=True)
            for i in range(5):
                if not (path / str(i)).exists():
                    if i == 3 and 3 not in made:
                        made.append(3)
                        raise KeyboardInterrupt
                    (path / str(i)).write_text("x")
                    made.append(i)
            return {}

        with pytest.raises(KeyboardInterrupt):
            build(recipe(), tmp_path, "out", make)
        assert not (tmp_path / "points" / recipe().key / SUMMARY).exists()
        build(recipe(), tmp_path, "out", make)
        assert made == [0, 1, 2, 3, 3, 4]

    def test_the_maker_may_give_the_digest(self, tmp_path):
        def make(path):
            path.write_text("x")
            return {"digest": "mine", "frames": 2}

        _, summary = build(recipe(), tmp_path, "out", make)
        assert summary.digest == "mine" and summary.stats == {"frames": 2}


class TestLock:
    SCRIPT = """
import sys, time
from pathlib import Path
from socl_pipeline.pipeline.artifact import lock
with lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.readline()
    Path(sys.argv[2]).write_text("released")
"""

    def test_a_second_process_waits(self, tmp_path):
        path, released = tmp_path / "a/x.lock", tmp_path / "released"
        command = [sys.executable, "-c", self.SCRIPT, str(path), str(released)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as first:
            assert first.stdout.readline() == "locked\n"
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as second:
                time.sleep(1)
                second.stdin.write("\n")
                second.stdin.flush()
                assert second.poll() is None and not released.exists()
                first.communicate("\n")
                assert second.communicate()[0] == "locked\n"
                assert second.returncode == 0

    def test_a_process_that_dies_lets_go(self, tmp_path):
        script = (
            "import os, sys; from pathlib import Path\n"
            "from socl_pipeline.pipeline.artifact import lock\n"
            "with lock(Path(sys.argv[1])): os._exit(3)\n"
        )
        path = tmp_path / "x.lock"
        assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode == 3
        with lock(path):
            pass


class TestPublish:
    @pytest.fixture
    def payloads(self, tmp_path):
        made = {}
        for name in "ab":
            folder = tmp_path / "cache" / name
            folder.mkdir(parents=True)
            (folder / "file").write_text(name)
            made[name] = (folder, Summary(recipe(version=ord(name)), name, {}))
        return made

    def test_a_link_replaces_a_link(self, tmp_path, payloads):
        target, summary = tmp_path / "results/x", tmp_path / "results/x.summary.json"
        for name in "aba":
            publish(*payloads[name], target, summary)
            assert target.is_symlink() and (target / "file").read_text() == name
            assert read_summary(summary).digest == name
        assert {p.name for p in target.parent.iterdir()} == {"x", "x.summary.json"}

    def test_links_survive_a_move_of_everything(self, tmp_path, payloads):
        target = tmp_path / "results/deep/x"
        publish(*payloads["a"], target, tmp_path / "results/deep/x.summary.json")
        assert not target.readlink().is_absolute()

    def test_relative_folders(self, tmp_path, payloads, monkeypatch):
        monkeypatch.chdir(tmp_path)
        folder, summary = payloads["a"]
        relative = folder.relative_to(tmp_path)
        publish(
            relative, summary, relative.parents[1] / "out/x", relative.parents[1] / "out/x.json"
        )
        assert (tmp_path / "out/x/file").read_text() == "a"

    def test_a_real_folder_is_refused_untouched(self, tmp_path, payloads):
        target = tmp_path / "results/x"
        target.mkdir(parents=True)
        (target / "precious").write_text("x")
        with pytest.raises(InputError, match="a folder stands where a link should be"):
            publish(*payloads["a"], target, tmp_path / "results/x.summary.json")
        assert [p.name for p in target.parent.rglob("*")] == ["x", "precious"]
