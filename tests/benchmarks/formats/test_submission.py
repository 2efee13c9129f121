"""Archives for evaluation servers: what is written passes, what a server refuses is named."""

import zipfile

import numpy as np
import pytest

from socl_pipeline.benchmarks.formats.submission import (
    SERVERS,
    check_archive,
    read_archive,
    write_archive,
)
from socl_pipeline.benchmarks.tracks import INITIALISED, TRACKED, Run
from socl_pipeline.errors import InputError

FRAMES = 3
GOT10K = [f"GOT-10k_Test_{i:06d}" for i in range(1, 181)]
TRACKINGNET = [f"video{i:03d}_0" for i in range(511)]
STATES = np.array([INITIALISED, TRACKED, TRACKED], np.int8)


def one_pass(offset=0.0):
    boxes = np.array([[1.0, 2, 30, 40], [2, 3, 30, 40], [3, 4, 30, 41]])
    boxes[:, 0] += offset
    return Run(boxes, np.full(FRAMES, 0.01), STATES)


def results(names, repetitions=1):
    return {name: [one_pass(i) for i in range(repetitions)] for name in names}


def rewritten(path, change):
    """Write an archive again with `change` applied to its files."""
    texts = read_archive(path)
    change(texts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return path


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Good archives for both servers, with the frames that they were written for."""
    folder = tmp_path_factory.mktemp("archives")
    for server, names in (("got10k", GOT10K), ("trackingnet", TRACKINGNET)):
        write_archive(SERVERS[server], results(names), folder / f"{server}.zip")
    return folder


@pytest.mark.parametrize(
    ("server", "names", "files", "first"),
    [
        ("got10k", GOT10K, 360, "GOT-10k_Test_000001/GOT-10k_Test_000001_001.txt"),
        ("trackingnet", TRACKINGNET, 511, "video000_0.txt"),
    ],
)
def test_what_is_written_passes(archives, tmp_path, server, names, files, first):
    path = archives / f"{server}.zip"
    texts = read_archive(path)
    assert len(texts) == files
    assert texts[first].splitlines()[1] == "2.000,3.000,30.000,40.000"
    check_archive(SERVERS[server], path, None)
    check_archive(SERVERS[server], path, dict.fromkeys(names, FRAMES))
    write_archive(SERVERS[server], results(names), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_got10k_takes_three_repetitions_and_one_folder_above(tmp_path):
    path = tmp_path / "x.zip"
    write_archive(SERVERS["got10k"], results(GOT10K, 3), path)
    times = read_archive(path)[f"{GOT10K[0]}/{GOT10K[0]}_time.txt"]
    assert times.splitlines()[0] == "0.01000000,0.01000000,0.01000000"
    texts = read_archive(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/x", "")
        for name, text in texts.items():
            archive.writestr(f"./tracker/{name}", text)
    check_archive(SERVERS["got10k"], path, None)


A, T = f"{GOT10K[4]}/{GOT10K[4]}", TRACKINGNET[4]


def without(key):
    return lambda texts: texts.pop(key)


def with_text(key, text):
    return lambda texts: texts.update({key: text})


@pytest.mark.parametrize(
    ("server", "change", "what"),
    [
        ("got10k", without(f"{A}_001.txt"), "000005: 0 repetitions"),
        ("got10k", without(f"{A}_time.txt"), "000005_time.txt: missing"),
        ("got10k", with_text(f"{A}_002.txt", "1,2,3,4\n" * 3), "000005: 2 repetitions"),
        ("got10k", with_text(f"{A}_001.txt", "1 2 3 4\n" * 3), "line 1: .* separated by commas"),
        ("got10k", with_text(f"{A}_001.txt", "1,2,3,4\n1,nan,3,4\n1,2,3,4"), "line 2: NaN"),
        ("got10k", with_text(f"{A}_001.txt", "1,2,3,4\n1,inf,3,4\n1,2,3,4"), "line 2: expected"),
        ("got10k", with_text(f"{A}_001.txt", "1,2,3,4\n" * 2), "2 boxes for 3 frames"),
        ("got10k", with_text(f"{A}_001.txt", ""), "an empty file"),
        ("got10k", with_text(f"{A}_time.txt", "0.1\n" * 2), "_time.txt: 2 lines"),
        ("got10k", with_text(f"{A}_time.txt", "0.1\nnan\n0.1"), "negative or NaN seconds"),
        ("got10k", with_text(f"{A}_time.txt", "0.1,0.1\n" * 3), "the seconds of 1 repetitions"),
        ("got10k", with_text("readme.md", "x"), "readme.md: not expected"),
        ("trackingnet", without(f"{T}.txt"), f"{T}.txt: missing"),
        ("trackingnet", with_text("more.txt", "1,2,3,4\n"), "more.txt: not expected"),
        ("trackingnet", with_text("a/more.txt", "1,2,3,4\n"), "a/more.txt: in a folder"),
        ("trackingnet", with_text("more.csv", "1,2,3,4\n"), "more.csv: not expected"),
        ("trackingnet", with_text(f"{T}.txt", "1,2,3,4\n" * 4), "4 boxes for 3 frames"),
        ("trackingnet", with_text(f"{T}.txt", "1,2,3\n" * 3), "line 1: expected 4 numbers"),
    ],
)
def test_what_a_server_would_refuse(archives, tmp_path, server, change, what):
    path = tmp_path / "x.zip"
    path.write_bytes((archives / f"{server}.zip").read_bytes())
    expected = dict.fromkeys({"got10k": GOT10K, "trackingnet": TRACKINGNET}[server], FRAMES)
    with pytest.raises(InputError, match=f"server would refuse this: .*{what}"):
        check_archive(SERVERS[server], rewritten(path, change), expected)


def test_sequences_are_counted_where_no_benchmark_names_them(archives, tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes((archives / "trackingnet.zip").read_bytes())
    with pytest.raises(InputError, match="510 sequences; its test set has 511"):
        check_archive(SERVERS["trackingnet"], rewritten(path, without(f"{T}.txt")), None)


def test_many_faults_are_counted(archives, tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes((archives / "got10k.zip").read_bytes())
    rewritten(path, lambda texts: texts.clear())
    with pytest.raises(InputError, match=r"\(and 170 more\)$"):
        check_archive(SERVERS["got10k"], path, None)


@pytest.mark.parametrize(
    ("server", "runs", "what"),
    [
        ("got10k", results(GOT10K[:2]), "2 sequences; its test set has 180"),
        ("got10k", results([*GOT10K[1:], "other"]), "other: not a sequence of its test set"),
        ("trackingnet", results(TRACKINGNET[1:]), "510 sequences; its test set has 511"),
        (
            "trackingnet",
            {"a": [Run(np.full((3, 4), np.nan), np.zeros(3), STATES)]},
            "sequence a: no box in 3 frames, the first is 0",
        ),
    ],
)
def test_nothing_is_written_that_would_be_refused(tmp_path, server, runs, what):
    with pytest.raises(InputError, match=what):
        write_archive(SERVERS[server], runs, tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []


def test_no_archive_at_all(tmp_path):
    with pytest.raises(InputError, match=r"x.zip: no such archive"):
        read_archive(tmp_path / "x.zip")
    (tmp_path / "x.zip").write_text("x")
    with pytest.raises(InputError, match=r"x.zip: not a zip archive"):
        read_archive(tmp_path / "x.zip")


def test_an_archive_that_cannot_be_unpacked(tmp_path):
    """Flags and method are those of the entry, in the file and again in the directory behind it."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "1,2,3,4")
    plain = path.read_bytes()
    directory = plain.index(b"PK\x01\x02")
    for header, directory_entry, value, what in (
        (6, 8, 1, "a.txt needs a password, which the servers do not have; zip the files again"),
        (8, 10, 9, r"cannot be unpacked \(.*not supported\); zip the files again"),
    ):
        changed = bytearray(plain)
        changed[header] = changed[directory + directory_entry] = value
        path.write_bytes(changed)
        with pytest.raises(InputError, match=what):
            read_archive(path)
