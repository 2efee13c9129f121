import os
import pickle
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from socl_pipeline.errors import InputError
from socl_pipeline.models.weights import save_weights
from socl_pipeline.transt import checkpoint
from socl_pipeline.transt.checkpoint import (
    build_network,
    load_network,
    load_published,
    metadata,
    published_name,
)
from socl_pipeline.transt.network import TransTShape

SMALL = TransTShape(width=8, heads=2, layers=1, feedforward=12)


def published_shapes(layers: int, width: int = 256, hidden: int = 2048) -> dict[str, tuple]:
    """Names and shapes of a published checkpoint without its trunk, from DETR's conventions."""

    def linear(name: str, outputs: int, inputs: int) -> dict[str, tuple]:
        return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

    def norm(name: str) -> dict[str, tuple]:
        return {f"{name}.weight": (width,), f"{name}.bias": (width,)}

    def attention(name: str) -> dict[str, tuple]:
        packed = {
            f"{name}.in_proj_weight": (3 * width, width),
            f"{name}.in_proj_bias": (3 * width,),
        }
        return packed | linear(f"{name}.out_proj", width, width)

    shapes = {"input_proj.weight": (width, 1024, 1, 1), "input_proj.bias": (width,)}
    for layer in range(layers):
        at = f"featurefusion_network.encoder.layers.{layer}"
        for branch in "12":
            shapes |= attention(f"{at}.self_attn{branch}")
            shapes |= attention(f"{at}.multihead_attn{branch}")
            shapes |= linear(f"{at}.linear{branch}1", hidden, width)
            shapes |= linear(f"{at}.linear{branch}2", width, hidden)
            for number in "123":
                shapes |= norm(f"{at}.norm{branch}{number}")
    at = "featurefusion_network.decoder"
    shapes |= attention(f"{at}.layers.0.multihead_attn") | norm(f"{at}.norm")
    shapes |= linear(f"{at}.layers.0.linear1", hidden, width)
    shapes |= linear(f"{at}.layers.0.linear2", width, hidden)
    shapes |= norm(f"{at}.layers.0.norm1") | norm(f"{at}.layers.0.norm2")
    for head, outputs in (("class_embed", 2), ("bbox_embed", 4)):
        for index, size in enumerate((width, width, outputs)):
            shapes |= linear(f"{head}.layers.{index}", size, width)
    return shapes


class Constructor:
    """Stands for the object of the authors' code in their files."""

    def __init__(self) -> None:
        self.function = "transt_resnet50"
        self.settings = {"layers": [4]}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A checkpoint's state dict: every tensor is filled with a number of its own."""
    trunk = build_network("resnet50", SMALL, 0).trunk.state_dict()
    shapes = {f"backbone.0.body.{k}": tuple(v.shape) for k, v in trunk.items()}
    shapes |= published_shapes(layers=2)
    return {k: torch.full(s, float(i)).expand(s) for i, (k, s) in enumerate(shapes.items())}


@pytest.fixture(scope="module")
def file(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "transt.pth"
    torch.save({"net": state, "constructor": Constructor(), "epoch": 7}, path)
    return path


def test_a_published_checkpoint_is_loaded(file: Path, state: dict[str, Tensor]) -> None:
    trained = load_published(file)
    network = trained.network
    assert (trained.template_px, trained.search_px) == (128, 256)
    assert len(network.layers) == 2 and not network.training
    found = network.state_dict()
    assert {published_name(k) for k in found} == set(state)
    assert all((v == state[published_name(k)]).all() for k, v in found.items())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("trunk.layer3.0.conv1.weight", "backbone.0.body.layer3.0.conv1.weight"),
        ("layers.3.template_ego.norm.bias", "encoder.layers.3.norm11.bias"),
        ("layers.0.search_cross.norm2.weight", "encoder.layers.0.norm23.weight"),
        ("layers.0.search_ego.attention.in_proj_bias", "encoder.layers.0.self_attn2.in_proj_bias"),
        ("decoder.norm1.bias", "decoder.layers.0.norm1.bias"),
        ("norm.bias", "decoder.norm.bias"),
        ("box_head.4.bias", "bbox_embed.layers.2.bias"),
    ],
)
def test_names(ours: str, theirs: str) -> None:
    assert published_name(ours).removeprefix("featurefusion_network.") == theirs


def test_nothing_but_tensors_is_read(tmp_path: Path, state: dict[str, Tensor]) -> None:
    mark = tmp_path / "mark"

    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(mark),)

    torch.save({"net": {}, "constructor": Harmful()}, tmp_path / "harmful.pth")
    with pytest.raises(InputError, match="is missing"):
        load_published(tmp_path / "harmful.pth")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Harmful()))
    assert mark.exists()  # anyone else's reader runs it


def test_a_trunk_that_was_not_cut_and_old_batch_norms(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]
) -> None:
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    old |= {"backbone.0.body.layer4.0.bn1.bias": torch.zeros(512)}
    monkeypatch.setattr(checkpoint, "_published_state", lambda path: old)
    found = load_published(Path("x.pth")).network.state_dict()
    assert (found["norm.bias"] == state["featurefusion_network.decoder.norm.bias"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_proj.bias": None}, "x.pth: key input_proj.bias is missing"),
        ({"input_proj.bias": torch.zeros(3)}, r"key input_proj.bias has shape \(3,\), not \(256,"),
        ({"query_embed.weight": torch.zeros(3)}, "key query_embed.weight is not part of TransT"),
    ],
)
def test_first_wrong_key_is_named(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor], change: dict, message: str
) -> None:
    changed = {k: v for k, v in (state | change).items() if v is not None}
    monkeypatch.setattr(checkpoint, "_published_state", lambda path: changed)
    with pytest.raises(InputError, match=message):
        load_published(Path("x.pth"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file of weights"),
        (b"no checkpoint", "cannot be read as a PyTorch checkpoint"),
        ({"model": {}}, "no state dict under the key net"),
        ({"net": {"a": 1}}, "no state dict under the key net"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "x.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(InputError, match=f"{re.escape(str(path))}.*{message}"):
        load_published(path)


def test_own_files_rebuild_the_network(tmp_path: Path) -> None:
    network = build_network("squeezenet1_1", SMALL, 3)
    described = metadata("squeezenet1_1", SMALL, 64, 128) | {"other": "kept"}
    save_weights(network, tmp_path / "w.safetensors", described)
    trained = load_network(tmp_path / "w.safetensors")
    assert (trained.template_px, trained.search_px) == (64, 128)
    assert trained.network.shape == SMALL and not trained.network.training
    found = trained.network.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize(
    "described",
    [
        {"backbone": "resnet18"},
        metadata("vgg", SMALL, 64, 128),  # type: ignore[arg-type]
        metadata("resnet18", SMALL, 64, 128),  # the weights are of another trunk
        {"transt": "no json"},
        {"transt": '{"trunk": "squeezenet1_1", "shape": {"depth": 3}}'},
    ],
)
def test_files_of_other_models(tmp_path: Path, described: dict[str, str]) -> None:
    save_weights(build_network("squeezenet1_1", SMALL, 3), tmp_path / "w.safetensors", described)
    with pytest.raises(InputError, match="holds no TransT network that this version knows"):
        load_network(tmp_path / "w.safetensors")
