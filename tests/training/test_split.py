import pytest

from socl_pipeline.training.split import split_videos


@pytest.mark.parametrize(
    ("count", "share", "held"), [(10, 0.2, 2), (10, 0, 0), (3, 0.8, 1), (2, 0.5, 0), (1, 0.5, 0)]
)
def test_split(count, share, held):
    names = [f"v{i}" for i in range(count)]
    kept, out = split_videos(names, share, seed=1)
    assert len(out) == held and sorted(kept + out) == sorted(names)
    assert (kept, out) == split_videos(names, share, seed=1)


def test_splits_differ_by_seed():
    names = [f"v{i}" for i in range(20)]
    assert len({tuple(split_videos(names, 0.2, s)[1]) for s in range(8)}) > 4
