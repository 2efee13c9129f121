import numpy as np
import pytest
import torch
from torch import nn

from socl_pipeline.models import Backbone, build_backbone
from socl_pipeline.training import validation
from socl_pipeline.training.validation import Searching, draw_pairs, localisation

SIZE = 320


class BlurredColour(Backbone):
    """Colours of blurred cells of stride 8 and a constant: it sees where things are."""

    stride, channels, receptive_field, padded = 8, 4, 23, False

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(23, 8)

    def forward(self, images):
        colours = self.pool(images) - 128
        return torch.cat([colours, torch.full_like(colours[:, :1], 30.0)], dim=1)


@pytest.fixture
def spots(make_patches):
    """Two videos of patches: a coloured spot at the centre of noise that changes."""

    def make(offset=0):
        rng = np.random.default_rng(0)
        videos = {}
        for name, colours in {
            "a": [(250, 20, 20), (20, 20, 250)],
            "b": [(20, 240, 20)] * 2,
        }.items():
            videos[name] = []
            for _ in range(3):
                image = rng.integers(90, 170, (SIZE, SIZE, 3), dtype=np.uint8)
                middle = SIZE // 2 + offset
                image[middle - 24 : middle, middle - 24 : middle + 24] = colours[0]
                image[middle : middle + 24, middle - 24 : middle + 24] = colours[1]
                videos[name].append(image)
        return make_patches(videos, target=48, folder=f"spots{offset}")

    return make


def test_the_spot_is_found_wherever_the_window_lies(spots):
    pairs = draw_pairs(spots(), ["a", "b"], 100, seed=0)
    assert len(pairs.shifts) == 2 * validation.PAIRS_PER_VIDEO
    assert np.abs(pairs.shifts).max() > 20, "windows are shifted"
    result = localisation(BlurredColour(), pairs, Searching(torch.device("cpu")))
    assert result["hit_rate"] == 1
    assert result["mean_error_px"] < 5


def test_what_lies_off_the_click_is_missed_by_that_much(spots):
    """Exemplars show the spot at the centre, but in the searches it is 20 px off it."""
    pairs, moved = (draw_pairs(spots(o), ["a", "b"], 100, seed=0) for o in (0, 20))
    mixed = validation.LocalisationPairs(pairs.exemplars, moved.searches, pairs.shifts)
    result = localisation(BlurredColour(), mixed, Searching(torch.device("cpu")))
    assert result["mean_error_px"] == pytest.approx(20 * 2**0.5, abs=4)
    assert result["hit_rate"] == 0


def test_batches_do_not_change_the_result(spots):
    pairs = draw_pairs(spots(), ["a", "b"], 100, seed=0)
    first = localisation(BlurredColour(), pairs, Searching(torch.device("cpu")), batch=5)
    again = localisation(BlurredColour(), pairs, Searching(torch.device("cpu")), batch=64)
    assert first == pytest.approx(again)


def test_pairs_are_those_of_the_given_videos_and_reproducible(spots):
    patches = spots()
    a, again = (draw_pairs(patches, ["b"], 100, seed=3) for _ in range(2))
    np.testing.assert_array_equal(a.shifts, again.shifts)
    np.testing.assert_array_equal(a.searches.images, again.searches.images)
    centre = a.exemplars.images[:, SIZE // 2, SIZE // 2]
    assert (centre[:, 1] > 200).all(), "video b is green"
    other = draw_pairs(patches, ["b"], 100, seed=4)
    assert not np.array_equal(a.shifts, other.shifts)


def test_patches_smaller_than_the_search_window_are_not_shifted(make_patches, textured):
    patches = make_patches({"a": [textured(i, 160, 160) for i in range(2)]}, target=40)
    assert not draw_pairs(patches, ["a"], 100, seed=0).shifts.any()


@pytest.mark.parametrize("name", ["alexnet_v1", "resnet18"])
def test_real_backbones(spots, monkeypatch, name):
    monkeypatch.setattr(validation, "PAIRS_PER_VIDEO", 2)
    backbone = build_backbone(name, seed=0).train()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    pairs = draw_pairs(spots(), ["a"], 100, seed=0)
    result = localisation(backbone, pairs, Searching(torch.device("cpu")))
    assert 0 <= result["hit_rate"] <= 1
    assert result["mean_error_px"] < 60, "even random features find a coloured spot"
    assert backbone.training, "left as it was"
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())
