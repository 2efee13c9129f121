"""Result files of other toolkits: what is written is read again, and what is wrong is named."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.benchmarks.formats.layouts import ResultFolder, format_of
from socl_pipeline.benchmarks.tracks import FAILED, INITIALISED, SKIPPED, TRACKED, Run
from socl_pipeline.errors import InputError

NAN = np.nan
SHIFT = np.array([1, 1, 0, 0])
BOXES = np.array([[10.25, 20.5, 30, 40], [11.0625, -0.00001, 30.5, 39.75], [12, 22, 31, 41]])


def one_pass(boxes=BOXES, seconds=None):
    states = np.array([INITIALISED] + [TRACKED] * (len(boxes) - 1), np.int8)
    unknown = np.full(len(boxes), NAN)
    return Run(np.array(boxes, float), unknown if seconds is None else np.array(seconds), states)


def folder(path, name, layout="otb", resets=False, base=None):
    return ResultFolder(path, format_of(name, layout, resets, base), resets)


def lines(path):
    return path.read_text().splitlines()


@pytest.mark.parametrize(
    ("name", "layout", "file", "first"),
    [
        ("otb", "otb", "Deer.txt", "11.2500,21.5000,30.0000,40.0000"),
        ("lasot", "lasot", "Deer.txt", "11.2500,21.5000,30.0000,40.0000"),
        ("trackingnet", "trackingnet", "Deer.txt", "10.250,20.500,30.000,40.000"),
        ("got10k", "got10k", "Deer/Deer_001.txt", "10.250,20.500,30.000,40.000"),
        ("pysot", "otb", "Deer.txt", "11.25,21.5,30.0,40.0"),
        ("pysot", "trackingnet", "Deer.txt", "10.25,20.5,30.0,40.0"),
        ("pysot", "got10k", "Deer/Deer_001.txt", "10.25,20.5,30.0,40.0"),
        ("vot", "otb", "unsupervised/Deer/Deer_001.txt", "1"),
    ],
)
def test_each_layout_has_its_files_and_counts_from_its_pixel(tmp_path, name, layout, file, first):
    folder(tmp_path, name, layout).write("Deer", [one_pass()])
    assert lines(tmp_path / file)[0] == first


@pytest.mark.parametrize("name", ["otb", "lasot", "trackingnet", "got10k", "pysot", "vot"])
@given(
    st.lists(
        st.tuples(*[st.floats(-500, 2000, width=32)] * 2, *[st.floats(0.5, 900, width=32)] * 2),
        min_size=1,
        max_size=5,
    )
)
def test_round_trips_are_exact_within_the_digits(tmp_path_factory, name, boxes):
    path = tmp_path_factory.mktemp("results")
    form = format_of(name, "got10k", False)
    run = one_pass(boxes, np.linspace(0.001, 0.1, len(boxes)))
    ResultFolder(path, form).write("a", [run])
    again = ResultFolder(path, form).read("a", len(boxes))[0]
    kept = again.states == TRACKED if name == "vot" else slice(None)
    # half a unit of the last digit; sums with the base round, too
    bound = 1e-9 if form.decimals is None else 0.5000001 * 10.0**-form.decimals
    assert np.abs(again.boxes - run.boxes)[kept].max(initial=0) <= bound
    if form.times:
        np.testing.assert_allclose(again.seconds, run.seconds, atol=5.1e-9)
    else:
        assert np.isnan(again.seconds).all()


def test_written_again_a_file_does_not_change(tmp_path):
    folder(tmp_path / "a", "got10k").write("s", [one_pass()])
    read = folder(tmp_path / "a", "got10k").read("s", 3)
    folder(tmp_path / "b", "got10k").write("s", read)
    names = [tmp_path / x / "s" / "s_001.txt" for x in "ab"]
    assert names[0].read_text() == names[1].read_text()
    assert "-0.000" not in names[0].read_text()


@pytest.mark.parametrize("separator", [",", "\t", " ", ", ", ";"])
def test_all_separators_of_matlab_and_python_are_read(tmp_path, separator):
    rows = [separator.join(str(v) for v in row) for row in (BOXES + SHIFT).tolist()]
    (tmp_path / "Deer.txt").write_text("\n".join(rows) + "\n\n")
    found = folder(tmp_path, "otb").read("Deer", 3)[0]
    np.testing.assert_allclose(found.boxes, BOXES)


def test_the_base_can_be_another(tmp_path):
    (tmp_path / "Deer.txt").write_text("1,2,3,4\n")
    assert folder(tmp_path, "otb").read("Deer", 1)[0].boxes[0].tolist() == [0, 1, 3, 4]
    assert folder(tmp_path, "otb", base=0).read("Deer", 1)[0].boxes[0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["Jogging-1", "jogging_1", "Jogging.1"])
def test_targets_are_found_under_the_names_of_other_toolkits(tmp_path, name):
    (tmp_path / f"{name}.txt").write_text("1,2,3,4\n")
    assert folder(tmp_path, "otb").find("Jogging.1") == [tmp_path / f"{name}.txt"]
    assert folder(tmp_path, "otb").find("Jogging.2") == []


def test_of_two_names_that_look_alike_neither_is_guessed(tmp_path):
    for name in ("jogging-1", "jogging_1"):
        (tmp_path / f"{name}.txt").write_text("1,2,3,4\n")
    assert folder(tmp_path, "otb").find("Jogging.1") == []


def test_repetitions_and_their_times(tmp_path):
    runs = [one_pass(BOXES + i, [0.1 * i, 0.2, 0.3]) for i in (1, 2, 3)]
    folder(tmp_path, "got10k").write("s", runs)
    assert lines(tmp_path / "s" / "s_time.txt")[0] == "0.10000000,0.20000000,0.30000000"
    found = folder(tmp_path, "got10k").read("s", 3)
    assert [run.seconds[0] for run in found] == pytest.approx([0.1, 0.2, 0.3])
    np.testing.assert_allclose(found[2].boxes, BOXES + 3, atol=5e-4)
    folder(tmp_path / "flat", "otb").write("s", runs)  # a place for the first one only
    np.testing.assert_allclose(
        folder(tmp_path / "flat", "otb").read("s", 3)[0].boxes, BOXES + 1, atol=5e-5
    )


def test_trackers_run_on_where_lasots_truth_ends(tmp_path):
    for name in ("monkey-17", "monkey-3"):
        (tmp_path / f"{name}.txt").write_text("1,2,3,4\n" * 5)
    results = folder(tmp_path, "lasot", "lasot")
    assert len(results.read("monkey-17", 3)[0].boxes) == 3
    with pytest.raises(InputError, match=r"monkey-3.txt: 5 lines for the 3 frames"):
        results.read("monkey-3", 3)


VOT = Run(
    np.array([[NAN] * 4, [5, 6, 7, 8.5], [NAN] * 4, [NAN] * 4, [NAN] * 4, [1, 2, 3, 4]]),
    np.array([0.1, 0.2, 0.3, 0, 0.1, 0.2]),
    np.array([INITIALISED, TRACKED, FAILED, SKIPPED, INITIALISED, TRACKED], np.int8),
)


@pytest.mark.parametrize("name", ["vot", "pysot"])
def test_vots_codes(tmp_path, name):
    folder(tmp_path, name, "vot", resets=True).write("ants", [VOT, VOT])
    path = tmp_path / "baseline" / "ants" / "ants_001.txt"
    numbers = "6.0000,7.0000,7.0000,8.5000"
    assert lines(path) == ["1", numbers, "2", "0", "1", "2.0000,3.0000,3.0000,4.0000"]
    found = folder(tmp_path, name, "vot", resets=True).read("ants", 6)
    assert len(found) == 2
    np.testing.assert_array_equal(found[1].boxes, VOT.boxes)
    np.testing.assert_array_equal(found[1].states, VOT.states)
    if name == "vot":
        np.testing.assert_allclose(found[1].seconds, VOT.seconds)


def test_other_formats_cannot_say_that_a_tracker_was_restarted(tmp_path):
    with pytest.raises(InputError, match=r"run with restarts .* take format vot or pysot"):
        folder(tmp_path, "otb").write("ants", [VOT])


def test_polygons_become_the_boxes_around_them(tmp_path):
    path = tmp_path / "baseline" / "ants" / "ants_001.txt"
    path.parent.mkdir(parents=True)
    path.write_text("1\n3,2,7,4,5,9,2,6\n")
    found = folder(tmp_path, "vot", "vot", resets=True).read("ants", 2)[0]
    assert found.boxes[1].tolist() == [1, 1, 6, 8]


def binary(*regions):
    """The binary form of the Python VOT toolkit."""
    data = struct.pack("<hI", 1, len(regions))
    for region in regions:
        if isinstance(region, int):
            data += struct.pack("<BI", 0, region)
        elif len(region) == 4:
            data += struct.pack("<B4f", 1, *region)
        else:
            data += struct.pack(f"<BH{len(region)}f", 2, len(region) // 2, *region)
    return data


def test_the_binary_form_of_the_python_toolkit(tmp_path):
    path = tmp_path / "baseline" / "ants" / "ants_001.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(binary(1, (6, 7, 7, 8.5), 2, 0, (3, 2, 7, 4, 5, 9, 2, 6)))
    (path.parent / "ants_001_time.value").write_text("0.5\n0.25\n\n\n0.125\n")
    found = folder(tmp_path, "vot", "vot", resets=True).read("ants", 5)[0]
    assert found.states.tolist() == [INITIALISED, TRACKED, FAILED, SKIPPED, TRACKED]
    assert found.boxes[[1, 4]].tolist() == [[5, 6, 7, 8.5], [1, 1, 6, 8]]
    np.testing.assert_array_equal(found.seconds, [0.5, 0.25, NAN, NAN, 0.125])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="ends too early"):
        folder(tmp_path, "vot", "vot", resets=True).read("ants", 5)
    path.write_bytes(struct.pack("<hIB", 1, 1, 3))
    with pytest.raises(InputError, match="frame 0: a mask"):
        folder(tmp_path, "vot", "vot", resets=True).read("ants", 1)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("otb", "1,2,3,4\n1,2,3\n", r"a.txt, line 2: expected 4 numbers, found '1,2,3'"),
        ("otb", "1,2,3,4\n1,2,x,4\n", "a.txt, line 2: expected 4 numbers"),
        ("otb", "1,2,3,4\n", "a.txt: 1 lines for the 2 frames of the sequence"),
        ("vot", "1\n7\n", "a_001.txt, line 2: expected a code 0, 1 or 2"),
        ("vot", "1\n1,2,3\n", "a_001.txt, line 2: expected a code 0, 1 or 2.* found '1,2,3'"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, name, text, what):
    results = folder(tmp_path, name)
    results.expected("a").parent.mkdir(parents=True, exist_ok=True)
    results.expected("a").write_text(text)
    with pytest.raises(InputError, match=what):
        results.read("a", 2)


@pytest.mark.parametrize("text", ["0.1\n", "0.1\n0.2,0.3\n", "0.1,0.2\n0.1,0.2\n", "a\nb\n"])
def test_bad_times_are_named(tmp_path, text):
    results = folder(tmp_path, "got10k")
    results.write("s", [one_pass(BOXES[:2])])
    (tmp_path / "s" / "s_time.txt").write_text(text)
    with pytest.raises(InputError, match=r"s_time.txt"):
        results.read("s", 2)


def test_a_missing_sequence_says_where_it_should_be(tmp_path):
    with pytest.raises(InputError, match=r"s/s_001.txt: no results of sequence s"):
        folder(tmp_path, "got10k").read("s", 2)


def test_frames_without_a_box_have_no_overlap_with_anything(tmp_path):
    boxes = BOXES.copy()
    boxes[2] = NAN
    folder(tmp_path, "got10k").write("s", [one_pass(boxes)])
    assert lines(tmp_path / "s" / "s_001.txt")[2] == "0,0,0,0"
