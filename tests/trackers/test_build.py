from pathlib import Path

import pytest
import torch

from socl_pipeline.errors import InputError
from socl_pipeline.models import build_backbone, save_weights
from socl_pipeline.settings import SiamFCTrackerSettings, TransTTrackerSettings
from socl_pipeline.trackers.build import build_tracker, load_backbone
from socl_pipeline.trackers.siamfc import SiamFC
from socl_pipeline.trackers.transt import TransTTracker
from socl_pipeline.transt.checkpoint import build_network, metadata
from socl_pipeline.transt.network import TransTShape

BACKBONES = ("alexnet_v1", "resnet18", "squeezenet1_1")


def built(**settings: object) -> SiamFC:
    raw = {"kind": "siamfc", "device": "cpu", **settings}
    tracker = build_tracker(SiamFCTrackerSettings.model_validate(raw), None)
    assert isinstance(tracker, SiamFC)
    return tracker


def state(tracker: SiamFC) -> dict[str, torch.Tensor]:
    return tracker._backbone.state_dict()


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_is_loaded_from_a_model_folder(tmp_path: Path, name: str) -> None:
    net = build_backbone(name, seed=5)
    save_weights(net, tmp_path / "weights.safetensors", {"backbone": name})
    loaded = load_backbone(tmp_path)
    assert type(loaded) is type(net)
    assert not loaded.training
    assert all(torch.equal(v, loaded.state_dict()[k]) for k, v in net.state_dict().items())


def test_a_folder_of_an_unknown_network(tmp_path: Path) -> None:
    metadata = {"backbone": "vgg"}
    save_weights(torch.nn.Linear(1, 1), tmp_path / "weights.safetensors", metadata)
    with pytest.raises(InputError, match="no known backbone"):
        load_backbone(tmp_path)


def test_a_folder_of_a_transt_has_no_backbone(tmp_path: Path) -> None:
    save_weights(torch.nn.Linear(1, 1), tmp_path / "weights.safetensors", {"transt": "{}"})
    with pytest.raises(InputError, match="is a whole TransT, no backbone"):
        load_backbone(tmp_path)


def test_pretrained_weights_without_training(tmp_path: Path) -> None:
    net = build_backbone("squeezenet1_1", seed=5)
    path = tmp_path / "squeezenet.safetensors"
    save_weights(net, path, {})
    found = state(built(backbone="squeezenet1_1", weights=str(path)))
    assert all(torch.equal(v, found[k]) for k, v in net.state_dict().items())
    random = state(built(backbone="squeezenet1_1"))
    assert not torch.equal(random["features.0.weight"], found["features.0.weight"])
    with pytest.raises(InputError, match=r"key .* is missing"):
        built(backbone="resnet18", weights=str(path))


def test_settings_reach_the_tracker() -> None:
    assert built().settings.precision == "float32"
    assert (
        built(precision="bf16", normalize="none").settings.model_dump().items()
        >= {
            "precision": "bf16",
            "normalize": "none",
        }.items()
    )


def transt(folder: Path | None = None, **settings: object) -> TransTTracker:
    raw = {"kind": "transt", "device": "cpu", **settings}
    tracker = build_tracker(TransTTrackerSettings.model_validate(raw), folder)
    assert isinstance(tracker, TransTTracker)
    return tracker


def test_transt_of_a_model_folder(tmp_path: Path) -> None:
    shape = TransTShape(width=8, heads=2, layers=1, feedforward=8)
    network = build_network("squeezenet1_1", shape, 5)
    described = metadata("squeezenet1_1", shape, 64, 128)
    save_weights(network, tmp_path / "weights.safetensors", described)
    tracker = transt(tmp_path, model="some")
    assert torch.equal(tracker._network.decoder.linear1.weight, network.decoder.linear1.weight)
    assert tracker._hann.numel() == 16 * 16


def test_transt_on_a_model_of_another_kind(tmp_path: Path) -> None:
    net = build_backbone("squeezenet1_1", seed=5)
    save_weights(net, tmp_path / "weights.safetensors", {"backbone": "squeezenet1_1"})
    with pytest.raises(InputError, match="name a model of kind transt"):
        transt(tmp_path, model="some")


def test_settings_reach_an_untrained_transt() -> None:
    tracker = transt(trunk="squeezenet1_1", precision="bf16", window=0.25, seed=1)
    assert (tracker.precision, tracker.window) == ("bf16", 0.25)
    assert len(tracker._network.layers) == 4
    with pytest.raises(InputError, match=r"absent\.pth: no such file of weights"):
        transt(weights="absent.pth")


@pytest.mark.parametrize(
    "given", [{}, {"model": "a", "weights": "b"}, {"trunk": "resnet50", "weights": "b"}]
)
def test_a_transt_has_one_network(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give one of model, weights"):
        TransTTrackerSettings.model_validate({"kind": "transt", **given})
