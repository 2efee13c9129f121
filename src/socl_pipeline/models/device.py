"""Where torch computes."""

import torch

from socl_pipeline.errors import InputError


def choose_device(wanted: str) -> torch.device:
    """Return the torch device of a config value; auto takes a GPU if there is one.

    On a GPU, convolutions in float32 are then float32: by default they would round to 10 bits.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda was asked for, but torch finds no GPU; use auto or cpu")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(wanted)
