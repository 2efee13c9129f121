import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socl_pipeline.benchmarks.vot.raster import overlaps
from socl_pipeline.errors import InputError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/vot_overlaps.json").read_text())
COLUMNS = {"rounded": 2, "truncated": 3, "toolkit": 4}
WIDTH, HEIGHT = 64, 48
LAST = WIDTH - 1, HEIGHT - 1


def rounded_away(value):
    return int(value + 0.5) if value >= 0 else -int(0.5 - value)


def slow_mask(region, rule):
    """Mark the pixels of a region one by one, as `RasterRule` reads."""
    if len(region) == 8:
        corners = [(region[i], region[i + 1]) for i in range(0, 8, 2)]
    else:
        x, y, w, h = region
        if rule == "toolkit":
            x, y, w, h = round(x), round(y), round(w) - 1, round(h) - 1
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
    if rule != "truncated":
        to_whole = rounded_away if rule == "rounded" else round
        corners = [(to_whole(x), to_whole(y)) for x, y in corners]
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for row in range(HEIGHT):
        crossings = []
        for (x, y), (other_x, other_y) in zip(corners, corners[1:] + corners[:1], strict=True):
            low, high = min(y, other_y), max(y, other_y)
            if low < high and (low < row if rule == "truncated" else low <= row) and row <= high:
                crossings.append(x + (row - y) / (other_y - y) * (other_x - x))
        for column in range(WIDTH):
            if crossings:
                end = int(max(crossings)) + (rule != "truncated")
                mask[row, column] = int(min(crossings)) <= column < end
    return mask


def slow_overlap(first, second, rule):
    a, b = slow_mask(first, rule), slow_mask(second, rule)
    return np.sum(a & b) / np.sum(a | b)


def inner_boxes():
    return st.tuples(
        st.integers(0, 30 * 8),
        st.integers(0, 20 * 8),
        st.integers(16, 25 * 8),
        st.integers(16, 200),
    ).map(lambda box: np.array(box) / 8)


def inner_polygons():
    """Rotated boxes inside the image whose corners no rounding can move across a border."""

    def turned(box, angle):
        x, y, w, h = box
        corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 4
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return (np.round((corners @ turn + [x + 15, y + 12]) * 16) / 16).ravel()

    return st.builds(turned, inner_boxes(), st.floats(0.1, 1.4))


def regions():
    return inner_boxes() | inner_polygons()


@pytest.mark.parametrize("rule", COLUMNS)
def test_overlaps_are_those_of_the_challenge_s_own_software(rule):
    width, height = GOLDEN["size"]
    for row in GOLDEN["rows"]:
        (overlap,) = overlaps([row[0]], [row[1]], (width - 1, height - 1), rule)
        assert overlap == pytest.approx(row[COLUMNS[rule]], abs=1e-7), row


@given(regions(), regions(), st.sampled_from(["rounded", "toolkit", "truncated"]))
@settings(max_examples=30)
def test_overlaps_are_those_of_masks(first, second, rule):
    (overlap,) = overlaps([first], [second], LAST, rule)
    expected = slow_overlap(first, second, rule)
    # 32 bits may put a crossing of the truncated rule on the other side of a pixel's border
    assert overlap == pytest.approx(expected, abs=0.05 if rule == "truncated" else 1e-12)


@given(regions(), regions(), st.integers(0, 3), st.integers(0, 3), st.sampled_from([*COLUMNS]))
def test_whole_pixels_of_shift_inside_the_image_change_nothing(first, second, right, down, rule):
    def moved(region):
        shift = np.tile([2 * right, 2 * down], len(region) // 2)  # toolkit: halves go to even
        shift[2:] *= len(region) == 8
        return region + shift

    (before,) = overlaps([first], [second], (500, 500), rule)
    (after,) = overlaps([moved(first)], [moved(second)], (500, 500), rule)
    assert after == pytest.approx(before, abs=0.05 if rule == "truncated" else 1e-12)


@given(regions(), regions(), st.sampled_from([*COLUMNS]))
def test_overlap_has_no_direction(first, second, rule):
    assert overlaps([first], [second], LAST, rule) == overlaps([second], [first], LAST, rule)
    assert overlaps([first], [first], LAST, rule) == 1


def test_raster_decides_what_a_failure_is():
    """Analytic IoU 0.02 is no overlap under the Python toolkit's rule, and 0.887 is 9 / 11."""
    first, second = [[0, 0, 10, 10]] * 2, [[9.6, 0, 10, 10], [0.6, 0, 10, 10]]
    assert overlaps(first, second, (99, 99), "toolkit") == pytest.approx([0, 9 / 11])
    assert overlaps(first, second, (99, 99), "rounded") == pytest.approx([1 / 21, 10 / 12])
    assert overlaps(first, second, (99, 99), "truncated") == pytest.approx([1 / 19, 1])


def test_only_what_is_inside_the_image_counts():
    (cut,) = overlaps([[-10, 0, 20, 9]], [[0, 0, 10, 9]], (99, 99))
    (whole,) = overlaps([[10, 0, 20, 9]], [[20, 0, 10, 9]], (99, 99))
    assert cut == 1
    assert whole == pytest.approx(11 / 21)
    assert overlaps([[-30, 5, 9, 9]], [[-30, 5, 9, 9]], (99, 99)) == 0


def test_nan_is_no_number():
    assert np.isnan(overlaps([[np.nan] * 4], [[0, 0, 5, 5]], (9, 9)))
    assert np.isnan(overlaps([[0, 0, 5, 5]], [[np.nan] * 8], (9, 9)))


@pytest.mark.parametrize("rule", COLUMNS)
def test_a_huge_box_covers_the_image_and_an_endless_one_is_none(rule):
    truth = [[10, 10, 20, 20]]
    (expected,) = overlaps([[-50, -50, 1000, 1000]], truth, LAST, rule)
    assert overlaps([[-1e30, -1e30, 2e30, 2e30]], truth, LAST, rule) == expected > 0
    assert overlaps([[1e30, 1e30, 1e30, 1e30]], truth, LAST, rule) == 0
    for endless in ([1e200, 0, 1, 1], [-np.inf, 0, np.inf, 9]):
        assert np.isnan(overlaps([endless], truth, LAST, rule))


def test_misshapen_input_is_refused():
    box = [[0, 0, 5, 5]]
    with pytest.raises(InputError, match=r"shape \(1, 5\): expected \(n, 4\) or \(n, 8\)"):
        overlaps([[1, 2, 3, 4, 5]], box, (9, 9))
    with pytest.raises(InputError, match="1 regions to compare with 2"):
        overlaps(box, box * 2, (9, 9))
    with pytest.raises(InputError, match="'exact': expected rounded, truncated, toolkit"):
        overlaps(box, box, (9, 9), "exact")
