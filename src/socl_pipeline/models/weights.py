"""Network weights in safetensors files: no code inside, same bytes for the same content."""

import json
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path

_LENGTH_BYTES = 8  # safetensors format: a little-endian u64, the header's length, comes first


def save_weights(module: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Write the state dict of `module` and some text metadata to a safetensors file.

    The file appears at once, complete, or not at all; parent folders are made. Equal weights
    and metadata give equal bytes, whatever the device or memory format.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    data = _with_metadata(safetensors.torch.save(tensors), metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _with_metadata(data: bytes, metadata: dict[str, str]) -> bytes:
    """Return safetensors bytes without metadata with `metadata` added, keys sorted.

    The library keeps metadata in a hash map and so writes it in an order that changes from run
    to run. Tensor offsets count from the header's end, so the header may grow.
    """
    start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    header = {"__metadata__": dict(sorted(metadata.items()))}
    header |= json.loads(data[_LENGTH_BYTES:start])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format's way to align the tensors
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + data[start:]


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the state dict (on the CPU) and the metadata of a safetensors file.

    Raises:
        InputError: the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights; check the path.")
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise InputError(
            f"{path}: cannot be read as safetensors; write or download it again."
        ) from error
