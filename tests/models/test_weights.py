from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from socl_pipeline.errors import InputError
from socl_pipeline.models import load_weights, save_weights

METADATA = {"stage": "train", "backbone": "alexnet_v1", "note": "naïve", "a": "1", "z": "2"}


def small_net() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    for i, parameter in enumerate(net.parameters()):
        nn.init.constant_(parameter, i + 0.5)
    return net


def test_round_trip(tmp_path: Path) -> None:
    net, path = small_net(), tmp_path / "new" / "w.safetensors"
    save_weights(net, path, METADATA)
    state, metadata = load_weights(path)
    assert metadata == METADATA
    assert state.keys() == net.state_dict().keys()
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_no_metadata(tmp_path: Path) -> None:
    save_weights(small_net(), tmp_path / "w.safetensors", {})
    assert load_weights(tmp_path / "w.safetensors")[1] == {}


def test_bytes_depend_on_the_content_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    save_weights(small_net(), first, METADATA)
    backwards = dict(reversed(METADATA.items()))
    net = small_net().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_weights(net, second, backwards)
    assert first.read_bytes() == second.read_bytes()


def test_tensors_stay_aligned(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(small_net(), path, METADATA)
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0
    with safe_open(path, framework="numpy") as file:
        assert file.get_tensor("0.bias").tolist() == [1.5] * 5


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(small_net(), path, METADATA)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_weights(nn.Linear(2, 2), path, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_weights(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(tmp_path / "w.safetensors")
