import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socl_pipeline.benchmarks.box_text import read_boxes
from socl_pipeline.errors import InputError


def written(folder, text):
    path = folder / "boxes.txt"
    path.write_bytes(text.encode())
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(*[st.decimals(-9999, 9999, places=3)] * 4), min_size=1, max_size=4))
def test_decimals_are_read_to_the_last_bit(tmp_path, rows):
    path = written(tmp_path, "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    np.testing.assert_array_equal(read_boxes(path), np.array(rows, dtype=float))


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3,4\n5,6,7,8\n",
        "1,2,3,4\n5,6,7,8",
        "1 2 3 4\r\n5\t6\t7\t8\r\n\r\n",
        " 1, 2, 3, 4\n5;6;7;8;\n\n\n",
        "1.0,2.,3.00,4\n5e0,.6e1,7,8\n",
        "﻿1,2,3,4\n5,6,7,8\n",
        "1.0000000000000000000000000,2,3,4\n+5,6,7,8\n",
    ],
)
def test_all_spellings_mean_the_same(tmp_path, text):
    np.testing.assert_array_equal(read_boxes(written(tmp_path, text)), [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_nan_and_inf_are_numbers_and_an_empty_file_has_no_boxes(tmp_path):
    found = read_boxes(written(tmp_path, "NaN,nan,NaN,NaN\n-1.5,inf,3,4\n"))
    np.testing.assert_array_equal(found, [[np.nan] * 4, [-1.5, np.inf, 3, 4]])
    assert read_boxes(written(tmp_path, "\n")).shape == (0, 4)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1,2,3,4\n1,2,3\n1,2,3,4\n", "line 2"),
        ("1,2,3,4,5\n", "line 1"),
        ("1,2,3,4\n\n1,2,3,4\n", "line 2"),
        ("x,y,w,h\n1,2,3,4\n", "line 1"),
        ("1,2,3,4\n1,2,3,4.5.6\n", "line 2"),
        ("1,2,3,-\n", "line 1"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, line):
    with pytest.raises(InputError, match=f"boxes.txt, {line}: expected 4 numbers, found '"):
        read_boxes(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none.txt: no such file of boxes"):
        read_boxes(tmp_path / "none.txt")
