import pytest

from socl_pipeline.trackers.scales import highest


@pytest.mark.parametrize(
    ("scores", "best"), [([1, 2, 3], 2), ([0, 0, 0, 0, 0], 2), ([4, 1, 4, 4, 1], 2), ([3, 1, 0], 0)]
)
def test_the_highest_score_wins_and_ties_go_to_the_middle(scores, best):
    assert highest(scores) == best
