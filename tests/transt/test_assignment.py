import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.transt.assignment import positive_cells


def slow(box: tuple[float, float, float, float], cells: int) -> set[tuple[int, int]]:
    """The rows and columns of a box's positives, cell after cell."""
    cx, cy, w, h = box
    ranges = []
    for middle, size in ((cx, w), (cy, h)):
        low, high = (math.ceil(v * cells) for v in (middle - size / 2, middle - size / 2 + size))
        inside = [i for i in range(cells) if low <= i < high]
        ranges.append(inside or [min(max(low, 0), cells - 1)])
    return {(row, column) for row in ranges[1] for column in ranges[0]}


def found(box: tuple[float, ...], cells: int) -> set[tuple[int, int]]:
    grid = positive_cells(torch.tensor([box]), cells).view(cells, cells)
    return {(int(r), int(c)) for r, c in grid.nonzero()}


# Sixteenths and thirty-seconds are exact in float32, so both count the same edges.
places = st.integers(-32, 64).map(lambda i: i / 32)
sizes = st.integers(0, 80).map(lambda i: i / 16)


@given(places, places, sizes, sizes, st.sampled_from([4, 8, 32]))
def test_positives_equal_a_loop(cx: float, cy: float, w: float, h: float, cells: int) -> None:
    assert found((cx, cy, w, h), cells) == slow((cx, cy, w, h), cells)


def test_by_hand() -> None:
    # x from 0.3 to 0.6: 2.4 to 4.8, so cells 3 and 4; y from 0.5 to 0.75: 4 to 6, so 4 and 5
    assert found((0.45, 0.625, 0.3, 0.25), 8) == {(4, 3), (4, 4), (5, 3), (5, 4)}


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ((0.0, 0.5, 0.5, 0.25), {(3, 0), (3, 1), (4, 0), (4, 1)}),  # left
        ((0.5, 0.0, 0.25, 0.5), {(0, 3), (1, 3), (0, 4), (1, 4)}),  # top
        ((1.0, 0.5, 0.5, 0.25), {(3, 6), (3, 7), (4, 6), (4, 7)}),  # right
        ((0.5, 1.0, 0.25, 0.5), {(6, 3), (7, 3), (6, 4), (7, 4)}),  # bottom
    ],
)
def test_a_box_that_leaves_the_patch(box: tuple[float, ...], wanted: set[tuple[int, int]]) -> None:
    assert found(box, 8) == wanted


def test_a_box_over_everything_and_one_without_a_cell() -> None:
    assert found((0.5, 0.5, 3.0, 3.0), 4) == {(r, c) for r in range(4) for c in range(4)}
    assert found((0.52, 0.52, 0.001, 0.001), 4) == {(3, 3)}
    assert found((1.5, -0.5, 0.1, 0.1), 4) == {(0, 3)}


def test_a_batch() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.25, 0.25, 0.5, 0.5]])
    positives = positive_cells(boxes, 4)
    assert positives.shape == (2, 16) and positives.dtype == torch.bool
    assert [found(tuple(b.tolist()), 4) for b in boxes] == [
        {(int(i) // 4, int(i) % 4) for i in row.nonzero()} for row in positives
    ]
