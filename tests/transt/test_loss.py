import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from socl_pipeline.transt.loss import LossWeights, overlaps, transt_loss


def slow_overlaps(a: list[float], b: list[float]) -> tuple[float, float]:
    def edges(box: list[float]) -> tuple[float, float, float, float]:
        cx, cy, w, h = box
        return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2

    ax0, ay0, ax1, ay1 = edges(a)
    bx0, by0, bx1, by1 = edges(b)
    wide, high = min(ax1, bx1) - max(ax0, bx0), min(ay1, by1) - max(ay0, by0)
    both = wide * high if wide > 0 and high > 0 else 0.0
    union = a[2] * a[3] + b[2] * b[3] - both
    around = (max(ax1, bx1) - min(ax0, bx0)) * (max(ay1, by1) - min(ay0, by0))
    return both / union, both / union - (around - union) / around


boxes = st.tuples(*[st.floats(0, 1, width=32)] * 2, *[st.floats(1 / 64, 1, width=32)] * 2).map(list)


@given(boxes, boxes)
def test_overlaps_equal_plain_arithmetic(a: list[float], b: list[float]) -> None:
    iou, giou = overlaps(torch.tensor(a), torch.tensor(b))
    assert (float(iou), float(giou)) == pytest.approx(slow_overlaps(a, b), abs=1e-4)


@given(boxes, boxes)
def test_properties_of_giou(a: list[float], b: list[float]) -> None:
    one, two = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    iou, giou = overlaps(one, two)
    assert torch.allclose(giou, overlaps(two, one)[1])
    assert -1 <= giou <= iou + 1e-12 and iou <= 1 + 1e-12
    moved = torch.tensor([0.25, -0.5, 0, 0], dtype=torch.float64)
    assert torch.allclose(giou, overlaps(one + moved, two + moved)[1])
    assert torch.allclose(giou, overlaps(2 * one, 2 * two)[1])
    assert float(overlaps(one, one)[1]) == pytest.approx(1)


def test_boxes_without_area_have_finite_gradients() -> None:
    a = torch.zeros(1, 4, requires_grad=True)
    overlaps(a, torch.zeros(1, 4))[1].sum().backward()
    assert a.grad is not None and a.grad.isfinite().all()


def test_values_by_hand() -> None:
    # The second of three cells is the target's; its box has half the truth's width.
    truth = torch.tensor([[0.5, 0.5, 0.4, 0.2]])
    found = torch.tensor([[[0.9, 0.9, 0.1, 0.1], [0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]]])
    logits = torch.tensor([[[0.0, 0.0], [math.log(3), 0.0], [0.0, math.log(3)]]])
    positives = torch.tensor([[False, True, False]])
    total, terms = transt_loss(logits, found, truth, positives)
    ce = (math.log(4 / 3) + (math.log(2) + math.log(4 / 3)) / 16) / (1 + 2 / 16)
    assert float(terms["ce"]) == pytest.approx(ce)
    assert float(terms["l1"]) == pytest.approx(0.2)
    assert float(terms["iou"]) == pytest.approx(0.5)
    assert float(terms["giou"]) == pytest.approx(0.5)
    assert float(total) == pytest.approx(8.334 * ce + 5 * 0.2 + 2 * 0.5)


def test_box_terms_average_over_the_positives_of_the_batch() -> None:
    # One positive that is 0.1 off in x, and three that are right: 0.1 / 4, not (0.1 + 0) / 2.
    truth = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.4, 0.4, 0.2, 0.2]])
    found = truth[:, None].repeat(1, 4, 1)
    found[0, 0, 0] += 0.1
    positives = torch.tensor([[True, False, False, False], [True, True, True, False]])
    terms = transt_loss(torch.zeros(2, 4, 2), found, truth, positives)[1]
    assert float(terms["l1"]) == pytest.approx(0.1 / 4)
    assert float(terms["giou"]) == pytest.approx((1 - 1 / 3) / 4, abs=1e-6)
    assert float(terms["iou"]) == pytest.approx((1 / 3 + 3) / 4, abs=1e-6)


def test_cells_that_are_not_positive_learn_no_box() -> None:
    found = torch.rand(1, 3, 4, requires_grad=True)
    positives = torch.tensor([[False, True, False]])
    transt_loss(torch.zeros(1, 3, 2), found, torch.rand(1, 4), positives)[0].backward()
    assert found.grad is not None
    assert found.grad.abs().sum(dim=2).gt(0).tolist() == positives.tolist()


def test_without_positives_only_the_classes_count() -> None:
    logits, found = torch.zeros(1, 3, 2), torch.rand(1, 3, 4)
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    total, terms = transt_loss(logits, found, torch.rand(1, 4), nothing)
    assert float(total) == pytest.approx(8.334 * math.log(2))
    assert float(terms["l1"]) == float(terms["giou"]) == 0


def test_weights_and_half_precision() -> None:
    weights = LossWeights(ce=0, l1=1, giou=0)
    truth, positives = torch.tensor([[0.5, 0.5, 0.5, 0.5]]), torch.ones(1, 1, dtype=torch.bool)
    found = torch.tensor([[[0.25, 0.5, 0.5, 0.5]]], dtype=torch.bfloat16)
    logits = torch.zeros(1, 1, 2, dtype=torch.bfloat16)
    total, terms = transt_loss(logits, found, truth, positives, weights)
    assert float(total) == 0.25
    assert total.dtype == torch.float32
    assert not any(t.requires_grad for t in terms.values())
