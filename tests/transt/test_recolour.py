import numpy as np
import torch

from socl_pipeline.transt.recolour import draw_recolour, recoloured, without_recolour

N = 400


def test_nothing_is_drawn_for_nobody():
    rng = np.random.default_rng(0)
    assert draw_recolour(N, 0, rng) == {}
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state
    images = torch.rand(2, 3, 4, 4)
    assert recoloured(images, {}) is images


def test_a_share_of_the_pairs_is_changed():
    draws = draw_recolour(N, 0.5, np.random.default_rng(0))
    same = (draws["order"] == torch.arange(3)).all(dim=1)
    assert (draws["order"].sort(dim=1).values == torch.arange(3)).all()
    # half of them, and one of six orders is the old one
    assert abs(same.float().mean() - (0.5 + 0.5 / 6)) < 0.08
    assert abs(draws["invert"].float().mean() - 0.25) < 0.08


def test_each_pair_has_its_own_order_and_sign():
    images = 255 * torch.rand(2, 3, 5, 4)
    draws = {"order": torch.tensor([[2, 0, 1], [0, 1, 2]]), "invert": torch.tensor([False, True])}
    found = recoloured(images, draws)
    assert torch.equal(found[0], images[0, [2, 0, 1]])
    assert torch.equal(found[1], 255 - images[1])


def test_validation_leaves_it_out():
    draws = draw_recolour(3, 1, np.random.default_rng(0))
    assert list(without_recolour(draws | {"grey": torch.zeros(3)})) == ["grey"]
