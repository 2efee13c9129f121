import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.pseudo_boxes.snippets import Snippet, bundles_of, snippets_of


def test_from_box_to_box_and_to_both_ends_of_a_video():
    videos = np.array([3, 3, 3, 3, 3, 7, 7, 9, 9])
    boxed = np.array([0, 1, 0, 1, 0, 0, 0, 1, 1], bool)
    assert snippets_of(videos, boxed) == [
        Snippet(0, 1, 3, opens=True, closes=False),  # with the row before its box
        Snippet(3, 3, 5, opens=False, closes=True),
        Snippet(7, 7, 8, opens=True, closes=False),  # video 7 has no box
        Snippet(8, 8, 9, opens=False, closes=True),
    ]


def test_no_box_gives_no_snippet():
    assert snippets_of(np.zeros(4, int), np.zeros(4, bool)) == []
    assert bundles_of([], 10) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=40))
def test_snippets_cover_each_row_of_videos_with_a_box_once(rows):
    rows.sort(key=lambda row: row[0])
    videos, boxed = (np.array(column) for column in zip(*rows, strict=True))
    snippets = snippets_of(videos, boxed)
    covered = [row for s in snippets for row in range(s.start, s.stop)]
    assert covered == np.flatnonzero(np.isin(videos, videos[boxed])).tolist()
    assert [s.box for s in snippets] == np.flatnonzero(boxed).tolist()
    assert sum(s.opens for s in snippets) == sum(s.closes for s in snippets)


@pytest.mark.parametrize(("count", "most", "sizes"), [(5, 10, [1] * 5), (7, 3, [3, 3, 1])])
def test_bundles_are_few_and_keep_the_order(count, most, sizes):
    snippets = [Snippet(i, i, i + 1, False, False) for i in range(count)]
    bundles = bundles_of(snippets, most)
    assert [len(b) for b in bundles] == sizes
    assert [s for b in bundles for s in b] == snippets
