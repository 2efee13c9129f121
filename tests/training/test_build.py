"""From settings to what is trained."""

import pytest

from socl_pipeline.socl.prior import CellGrid
from socl_pipeline.training.build import target_share, top_rendering


def test_the_clip_follows_the_size_of_the_target(trainer):
    found = top_rendering(trainer().objective)
    assert found["clip"] == pytest.approx(min(0.5, (32 / 48) ** 2))
    assert found["grid"] == {"start": 39.5, "step": 8, "cells": 6}
    assert top_rendering(trainer(top_clip=0.3).objective)["clip"] == 0.3
    assert target_share(64, CellGrid(39.5, 8, 22)) == pytest.approx((64 / 176) ** 2)
    assert target_share(500, CellGrid(39.5, 8, 22)) == 0.5, "some background is always left"


def test_boxes_have_no_top_maps(trainer):
    assert top_rendering(trainer(kind="bce", window=159).objective) is None
