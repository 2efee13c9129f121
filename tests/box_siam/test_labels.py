import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.box_siam.labels import distances, positives
from socl_pipeline.box_siam.loss import balanced_bce

GOLDEN = """
. . . . .
. . # . .
. # # # .
# # # # #
. # # # .
. . # . .
. . . . .
"""


class TestPositives:
    def test_thirteen_cells_of_fifteen_by_fifteen(self):
        labels = positives(torch.zeros(1, 2), 15, 8)[0]
        assert labels.sum() == 13
        rows = [line.split() for line in GOLDEN.split("\n") if line]
        expected = torch.tensor([[cell == "#" for cell in row] for row in rows])
        assert torch.equal(labels[4:11, 5:10], expected)

    def test_stride_16_has_five(self):
        assert positives(torch.zeros(1, 2), 7, 16).sum() == 5

    def test_follow_the_target(self):
        labels = positives(torch.tensor([[24.0, -16.0]]), 15, 8)[0]
        centred = positives(torch.zeros(1, 2), 15, 8)[0]
        assert torch.equal(labels, centred.roll((-2, 3), dims=(0, 1)))

    @given(
        st.floats(-56, 56),
        st.floats(-56, 56),
        st.sampled_from([(15, 8), (17, 8), (7, 16), (8, 16)]),
    )
    def test_a_target_in_reach_has_positives_and_negatives(self, x, y, grid):
        side, stride = grid
        reach = stride * (side - 1) / 2
        shift = torch.tensor([[x, y]]).clamp(-reach, reach)
        labels = positives(shift, side, stride)
        assert labels.any() and not labels.all()

    def test_distances_in_pixels(self):
        found = distances(torch.tensor([[0.0, 0.0], [8.0, 0.0]]), 3, 8)
        assert found[0, 1].tolist() == [8, 0, 8]
        assert found[1, 1].tolist() == [16, 8, 0]
        assert found[1, 0, 1] == pytest.approx(8 * math.sqrt(2))


class TestBalancedBce:
    def test_equals_a_loop(self):
        logits = torch.randn(4, 7, 7, generator=torch.Generator().manual_seed(0))
        labels = positives(torch.tensor([[0.0, 0], [8, 8], [20, -3], [-24, 24]]), 7, 8)
        losses = balanced_bce(logits, labels)
        for i in range(4):
            total = 0.0
            for row in range(7):
                for column in range(7):
                    probability = 1 / (1 + math.exp(-logits[i, row, column]))
                    if labels[i, row, column]:
                        total -= 0.5 / int(labels[i].sum()) * math.log(probability)
                    else:
                        total -= 0.5 / int((~labels[i]).sum()) * math.log(1 - probability)
            assert float(losses[i]) == pytest.approx(total, rel=1e-5)

    def test_no_opinion_costs_log_two(self):
        labels = positives(torch.zeros(1, 2), 15, 8)
        assert float(balanced_bce(torch.zeros(1, 15, 15), labels)) == pytest.approx(math.log(2))

    @pytest.mark.parametrize("value", [True, False])
    def test_one_kind_alone_weighs_half(self, value):
        labels = torch.full((1, 5, 5), value)
        found = balanced_bce(torch.zeros(1, 5, 5), labels)
        assert float(found) == pytest.approx(math.log(2) / 2)

    def test_extreme_logits_stay_finite(self):
        labels = positives(torch.zeros(1, 2), 5, 8)
        logits = torch.full((1, 5, 5), -1e4, requires_grad=True)
        loss = balanced_bce(logits, labels).sum()
        loss.backward()
        assert loss.isfinite() and logits.grad.isfinite().all()
