"""Weights that a network starts from: a file, or torchvision's ImageNet weights fetched by hash."""

import hashlib
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

import numpy as np
import torch
from torch import Tensor, nn

from socl_pipeline.errors import InputError
from socl_pipeline.models.alexnet import AlexNetV1
from socl_pipeline.models.backbone import Backbone
from socl_pipeline.models.colours import fold_caffe_colours
from socl_pipeline.models.resnet import ResNet18
from socl_pipeline.models.squeezenet import SqueezeNet11
from socl_pipeline.models.weights import load_weights

_HASHED_NAME = re.compile(r"-([0-9a-f]{8})\.pth$")  # torch-hub: <name>-<start of sha256>.pth


@dataclass(frozen=True)
class Origin:
    """Where weights of a network are published, and how their files differ from the network.

    name: as torchvision (SiamFC's: this package) calls it. url: of a .pth file whose name has the
    start of its sha256. classifier: the keys that a trunk has no use for start so. caffe_stem:
    the first convolution, if it can take in the colours of Caffe (`fold_caffe_colours`).
    """

    name: str
    url: str | None = None
    classifier: tuple[str, ...] = ()
    caffe_stem: str | None = None


ORIGINS: dict[type[Backbone], Origin] = {
    AlexNetV1: Origin("alexnet_v1"),
    ResNet18: Origin(
        "resnet18", "https://download.pytorch.org/models/resnet18-f37072fd.pth", ("fc.",)
    ),
    SqueezeNet11: Origin(
        "squeezenet1_1",
        "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        ("classifier.",),
        "features.0",
    ),
}


def load_pretrained(backbone: Backbone, source: Path | Literal["imagenet"]) -> None:
    """Fill `backbone` with pretrained weights.

    source: a .safetensors or .pth file with torchvision's names (or this package's, of a model
    that it trained); a .npz file with torchvision's names of weights that Caffe trained, which
    read BGR minus its mean colour; or imagenet, torchvision's file, which is fetched into
    torch.hub's folder the first time. A classifier is ignored, batch norms' step counters may be
    missing, as in old files. A .pth file named as torch.hub does (resnet18-f37072fd.pth) must
    have a sha256 that starts with those digits.

    Raises:
        InputError: there is no network, the network has no published weights, or the file is
            missing, damaged or not of this network (the first key that is missing, unknown or of
            another shape is named). The backbone is then unchanged.
    """
    fill_pretrained(backbone, source, ORIGINS[type(backbone)])


def fill_pretrained(module: nn.Module, source: Path | Literal["imagenet"], origin: Origin) -> None:
    """Fill any module whose weights are published at `origin`; see `load_pretrained`."""
    path = _published_file(origin) if source == "imagenet" else source
    state = {k: v for k, v in _read_state(path).items() if not k.startswith(origin.classifier)}
    _check_state(module.state_dict(), state, path, origin.name)
    if path.suffix == ".npz":
        _take_in_colours(state, path, origin)
    module.load_state_dict(state, strict=False)  # all but the step counters is checked above


def _published_file(origin: Origin) -> Path:
    """Return torchvision's file of ImageNet weights in torch.hub's folder; fetch what is missing.

    torch.hub checks the hash of what it fetches, `_read_state` that of what lies there.
    """
    if origin.url is None:
        known = ", ".join(o.name for o in ORIGINS.values() if o.url is not None)
        raise InputError(
            f"weights: there are no published ImageNet weights of {origin.name}; give a file, "
            f"leave weights out, or take a backbone that has them ({known})."
        )
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / Path(urlparse(origin.url).path).name
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        match = _HASHED_NAME.search(path.name)
        digits = None if match is None else match[1]
        torch.hub.download_url_to_file(origin.url, str(path), digits, progress=False)
    except OSError as error:  # urllib's errors are OSErrors, too
        raise InputError(
            f"{origin.url}: cannot be fetched to {folder} ({error}); put the file there, "
            "or fetch it on a machine with a network that shares this folder."
        ) from error
    except RuntimeError as error:  # torch.hub's only word for a wrong hash
        raise InputError(
            f"{origin.url}: what was fetched has another sha256 than its name says; try again, "
            f"or put the right file into {folder}."
        ) from error
    return path


def _take_in_colours(state: dict[str, Tensor], path: Path, origin: Origin) -> None:
    """Change the first convolution of Caffe's weights to read this package's colours."""
    if origin.caffe_stem is None:
        raise InputError(
            f"{path}: an .npz file holds weights for Caffe's colours, which {origin.name} cannot "
            "take in exactly; give a .safetensors or .pth file."
        )
    keys = (f"{origin.caffe_stem}.weight", f"{origin.caffe_stem}.bias")
    state[keys[0]], state[keys[1]] = fold_caffe_colours(state[keys[0]], state[keys[1]])


def _check_state(
    expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path, name: str
) -> None:
    """Raise an InputError about the first key of `state` that does not fit."""
    advice = f"give weights of {name} with torchvision's names"
    for key, tensor in expected.items():
        if key not in state:
            if key.endswith("num_batches_tracked"):
                continue
            raise InputError(f"{path}: key {key} is missing; {advice}.")
        if state[key].shape != tensor.shape:
            found, wanted = tuple(state[key].shape), tuple(tensor.shape)
            raise InputError(f"{path}: key {key} has shape {found}, not {wanted}; {advice}.")
    for key in state:
        if key not in expected:
            raise InputError(f"{path}: key {key} is not part of {name}; {advice}.")


def _read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors, .pth or .npz file."""
    readers = {
        ".safetensors": lambda path: load_weights(path)[0],
        ".pth": _read_pth,
        ".npz": _read_npz,
    }
    if path.suffix not in readers:
        raise InputError(f"{path}: expected a .safetensors, .pth or .npz file of weights.")
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights; check the path.")
    return readers[path.suffix](path)


def _read_pth(path: Path) -> dict[str, Tensor]:
    _check_hash(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: cannot be read as PyTorch weights; download the file again."
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path}: expected a mapping of names to tensors; save a state dict.")
    return dict(state)


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key].astype(np.float32)) for key in arrays}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: cannot be read as arrays of numbers; write or download it again."
        ) from error


def _check_hash(path: Path) -> None:
    """Raise an InputError if the file's name carries a hash that its bytes do not have."""
    match = _HASHED_NAME.search(path.name)
    if match is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(match[1]):
        raise InputError(
            f"{path}: its sha256 starts with {digest[:8]}, not with {match[1]} as in its name; "
            "download the file again."
        )
