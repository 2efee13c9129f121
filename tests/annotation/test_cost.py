import pytest

from socl_pipeline.annotation.cost import mixed_cost


def test_the_papers_scheme_costs_what_the_paper_says():
    assert mixed_cost(0.9, 0.1, 2.27, 0.1) == pytest.approx(3.16, abs=0.005)


def test_boxes_everywhere_cost_a_box_each():
    assert mixed_cost(0, 1, 2.27, 0) == 10.2
