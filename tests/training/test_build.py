"""From settings to what is trained."""

import pytest

from socl_pipeline.socl.prior import CellGrid
from socl_pipeline.training.build import target_share


def test_the_clip_follows_the_size_of_the_target(trainer):
    run = trainer()
    assert run.clip == pytest.approx(min(0.5, (32 / 48) ** 2))
    assert trainer(top_clip=0.3).clip == 0.3
    assert target_share(64, CellGrid(39.5, 8, 22)) == pytest.approx((64 / 176) ** 2)
    assert target_share(500, CellGrid(39.5, 8, 22)) == 0.5, "some background is always left"
