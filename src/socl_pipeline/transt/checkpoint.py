"""TransT networks in files: this package's own, and the checkpoints that its authors published."""

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import torch
from torch import Tensor

from socl_pipeline.errors import InputError
from socl_pipeline.models.weights import load_weights
from socl_pipeline.settings.transt import TrunkName
from socl_pipeline.transt.network import TransT, TransTShape
from socl_pipeline.transt.trunk import build_trunk

# Sides of the patches, px (TransT): 16 x 16 and 32 x 32 tokens.
TEMPLATE_PX, SEARCH_PX = 128, 256
_LAYER = re.compile(r"featurefusion_network\.encoder\.layers\.(\d+)\.")


@dataclass(frozen=True)
class Trained:
    """A network and the sides of the patches that it was trained with, px."""

    network: TransT
    template_px: int = TEMPLATE_PX
    search_px: int = SEARCH_PX


def build_network(trunk: TrunkName, shape: TransTShape, seed: int) -> TransT:
    """Return a network on the CPU, its random weights a function of `seed` alone."""
    body, channels = build_trunk(trunk, None, seed)
    with torch.random.fork_rng(devices=[]):  # as models.build_backbone
        torch.default_generator.manual_seed(seed)
        return TransT(body, channels, shape)


def metadata(
    trunk: TrunkName, shape: TransTShape, template_px: int, search_px: int
) -> dict[str, str]:
    """Return what `load_network` needs in the metadata of a file of weights (`save_weights`)."""
    described = {
        "trunk": trunk,
        "shape": asdict(shape),
        "template_px": template_px,
        "search_px": search_px,
    }
    return {"transt": json.dumps(described, sort_keys=True)}


def load_network(path: Path) -> Trained:
    """Return the network of a safetensors file with `metadata`, in evaluation mode.

    Raises:
        InputError: the file is missing, damaged, or of another kind of model.
    """
    weights, found = load_weights(path)
    try:
        described = json.loads(found["transt"])
        shape = TransTShape(**described["shape"])
        network = build_network(_known_trunk(described["trunk"]), shape, seed=0)
        network.load_state_dict(weights)
        sides = int(described["template_px"]), int(described["search_px"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: holds no TransT network that this version knows; "
            "name a model of kind transt, or train again."
        ) from error
    return Trained(network.eval(), *sides)


def _known_trunk(name: str) -> TrunkName:
    if name not in get_args(TrunkName):
        raise ValueError(f"there is no trunk {name!r}")
    return name  # type: ignore[return-value]


def load_published(path: Path) -> Trained:
    """Return the network of a published checkpoint (.pth, .pth.tar), in evaluation mode.

    The number of fusion layers is told by the file (4, or 2 of the small variant).

    Raises:
        InputError: the file is missing, damaged or not of TransT; the first key that is missing,
            unknown or of another shape is named.
    """
    state = _published_state(path)
    found = {int(m[1]) for m in map(_LAYER.match, state) if m}
    network = build_network("resnet50", TransTShape(layers=len(found)), seed=0)
    network.load_state_dict(_renamed(state, network.state_dict(), path))
    return Trained(network.eval())


def published_name(key: str) -> str:
    """Return what a parameter of `TransT` is called in the published checkpoints.

    Their branch 1 is the template's, 2 the search patch's; of each branch's norms the first
    follows the self-attention, the second the cross-attention, the third the feed-forward network.
    """
    part, _, rest = key.partition(".")
    if part in ("trunk", "reduce"):
        return {"trunk": "backbone.0.body.", "reduce": "input_proj."}[part] + rest
    if part in ("class_head", "box_head"):
        index, _, rest = rest.partition(".")  # every other module is a ReLU
        head = {"class_head": "class_embed", "box_head": "bbox_embed"}[part]
        return f"{head}.layers.{int(index) // 2}.{rest}"
    if part == "norm":
        return f"featurefusion_network.decoder.norm.{rest}"
    if part == "decoder":
        rest = rest.replace("attention.", "multihead_attn.", 1)
        return f"featurefusion_network.decoder.layers.0.{rest}"
    layer, block, module, rest = rest.split(".", 3)
    branch, kind = block.split("_")
    number = {"template": 1, "search": 2}[branch]
    names = {
        ("ego", "attention"): f"self_attn{number}",
        ("ego", "norm"): f"norm{number}1",
        ("cross", "attention"): f"multihead_attn{number}",
        ("cross", "norm1"): f"norm{number}2",
        ("cross", "linear1"): f"linear{number}1",
        ("cross", "linear2"): f"linear{number}2",
        ("cross", "norm2"): f"norm{number}3",
    }
    return f"featurefusion_network.encoder.layers.{layer}.{names[kind, module]}.{rest}"


def _renamed(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    """Return a published state dict under this package's names, every key accounted for."""
    advice = "give a checkpoint of TransT (N2 or N4) as its authors publish it"
    names = {published_name(key): key for key in expected}
    unused = ("backbone.0.body.layer4.", "backbone.0.body.fc.")  # a trunk that was not cut
    for name in state:
        if name not in names and not name.startswith(unused):
            raise InputError(f"{path}: key {name} is not part of TransT; {advice}.")
    renamed = {}
    for name, key in names.items():
        if name not in state:
            if not name.endswith("num_batches_tracked"):
                raise InputError(f"{path}: key {name} is missing; {advice}.")
            renamed[key] = expected[key]
        elif state[name].shape != expected[key].shape:
            found, wanted = tuple(state[name].shape), tuple(expected[key].shape)
            raise InputError(f"{path}: key {name} has shape {found}, not {wanted}; {advice}.")
        else:
            renamed[key] = state[name]
    return renamed


def _published_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a checkpoint, which lies under the key net."""
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights; check the path.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_TENSORS)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: cannot be read as a PyTorch checkpoint; download the file again."
        ) from error
    state = content.get("net") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(
            f"{path}: has no state dict under the key net; give a checkpoint of TransT."
        )
    return dict(state)


class _Nothing(dict[Any, Any]):
    """Stands for an object of a checkpoint that is no tensor: takes everything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Nothing":
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, _: Any) -> None:
        pass


class _TensorUnpickler(pickle.Unpickler):
    """Reads tensors and mappings; nothing else in the file is imported, let alone run.

    The checkpoints also hold an object of the authors' code, which torch's own safe reader
    (weights_only) refuses as a whole.
    """

    _allowed = frozenset(
        {
            ("collections", "OrderedDict"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_parameter"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) in self._allowed else _Nothing


# What torch.load takes as a pickle module; it maps the types of storages itself.
_TENSORS: Any = SimpleNamespace(
    __name__="pickle",
    Unpickler=_TensorUnpickler,
    load=lambda file, **options: _TensorUnpickler(file, **options).load(),
)
