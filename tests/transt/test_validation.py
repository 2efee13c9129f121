"""How a TransT is judged: the overlap of its best box on held-out pairs."""

import pytest
import torch
from torch import nn

from socl_pipeline.settings import TransTModelSettings
from socl_pipeline.training import validation as pairs
from socl_pipeline.transt.objective import TransTObjective
from socl_pipeline.transt.validation import BoxValidation

SIZE, TARGET = 160, 20
CPU = torch.device("cpu")


class Fixed(nn.Module):
    """Answers with one box for every search patch, whatever it shows; remembers what it saw."""

    def __init__(self, box):
        super().__init__()
        self.box, self.seen = torch.tensor(box), []

    def forward(self, template, search):
        assert not self.training
        self.seen.append((template, search))
        shape = (len(search), (search.shape[-1] // 8) ** 2)
        return torch.zeros(*shape, 2), self.box.expand(*shape, 4)


@pytest.fixture
def judge(make_patches, textured):
    """A function that makes the validation of two videos, with changes of the augmentation."""

    def make(target=TARGET, **augment):
        videos = {v: [textured(i, SIZE, SIZE) for i in range(3)] for v in ("a", "b")}
        patches = make_patches(videos, target=target, folder=f"patches{target}")
        values = {"kind": "transt", "template": 32, "window": 64, "augment": augment}
        task = TransTObjective(TransTModelSettings.model_validate(values), SIZE)
        return BoxValidation(task, patches, ["a", "b"], CPU, "float32")

    return make


def test_the_overlap_of_the_best_box(judge):
    still = judge(centre=0, size=0)
    whole = still.measure(Fixed([0.5, 0.5, 0.25, 0.25]))
    assert whole == pytest.approx({"mean_iou": 1, "success_50": 1, "box_error": 0}, abs=1e-5)
    half = still.measure(Fixed([0.5, 0.5, 0.25, 0.1]))
    assert half == pytest.approx({"mean_iou": 0.4, "success_50": 0, "box_error": 0.6}, abs=1e-5)
    assert still.sentence(half) == "mean IoU 0.400 on held-out pairs"
    assert half[still.error] == half["box_error"]


def test_the_same_moved_windows_each_time_in_their_own_colours(judge):
    moved = judge(brightness=0.5, grey=1)
    network = Fixed([0.5, 0.5, 0.25, 0.25])
    first = moved.measure(network, batch=5)
    assert first["mean_iou"] < 0.6, "windows are moved, so a constant box is wrong"
    assert moved.measure(network, batch=64) == pytest.approx(first)
    templates, searches = (torch.cat(images) for images in zip(*network.seen, strict=True))
    count = 2 * pairs.PAIRS_PER_VIDEO
    assert len(searches) == 2 * count
    torch.testing.assert_close(searches[:count], searches[count:])
    assert (templates[:, 0] != templates[:, 1]).any(), "not grey"
    assert network.training, "left as it was"


def test_frames_without_a_box_are_left_out(judge):
    result = judge(target=0).measure(Fixed([0.5, 0.5, 0.25, 0.25]))
    assert result == {"mean_iou": 0, "success_50": 0, "box_error": 1}
