"""The TransT tracker: in each frame the box of the cell that looks most like the first frame's.

Chen et al. 2021; constants as published. Neither boxes nor template are smoothed or updated.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from socl_pipeline.models.backbone import Precision
from socl_pipeline.models.folding import fold_batch_norms
from socl_pipeline.models.inference import prepare_for_inference
from socl_pipeline.trackers.base import Box, Image, check_box, check_image, check_point
from socl_pipeline.trackers.crops import crop_square, mean_color
from socl_pipeline.transt.checkpoint import Trained
from socl_pipeline.transt.network import STRIDE, shares

TEMPLATE_FACTOR, SEARCH_FACTOR = 2.0, 4.0  # side of the patch over the object's (TransT)
WINDOW = 0.49  # share of the window in the score that is searched for its peak (TransT)
MIN_SIDE = 10.0  # of a box, px (TransT)


@dataclass
class _State:
    """What the tracker knows about its object."""

    center: NDArray[np.float64]  # x, y in edge coordinates of the image
    size: NDArray[np.float64]  # w, h, px
    template: Tensor  # tokens (1, K, C): all that can be computed without a search patch
    confidence: float = math.nan


class TransTTracker:
    """TransT on a copy of a network; see `trackers.base.Correctable`."""

    deterministic = True

    def __init__(
        self,
        trained: Trained,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        window: float = WINDOW,
        compiled: bool = False,
    ) -> None:
        """Copy the network to `device`: training it further does not change this tracker.

        precision: of the network (bf16: autocast). window: share of the window in the score.
        compiled: by torch.compile, which takes a minute before the first frame.
        """
        self.device = torch.device(device)
        self.precision = precision
        self.window = window
        self._sides = trained.template_px, trained.search_px
        self._network = copy.deepcopy(trained.network).eval()
        if compiled:  # the compiler has convolutions of its own
            fold_batch_norms(self._network)
        else:
            prepare_for_inference(self._network, self.device, precision)
        self._network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._encode, self._fuse = self._network.encode, self._network.fuse
        if compiled:
            self._compile()
        line = np.hanning(trained.search_px // STRIDE)  # not normalised: its peak is 1
        hann = torch.from_numpy(np.outer(line, line).ravel())
        self._hann = hann.to(device=self.device, dtype=torch.float32)
        self._state: _State | None = None

    @property
    def confidence(self) -> float:
        """The class score of the latest box's cell, from 0 to 1; NaN before the first update."""
        return math.nan if self._state is None else self._state.confidence

    @torch.inference_mode()
    def init(self, image: Image, box: ArrayLike) -> None:
        """Take the template from `box` (4,) of a uint8 RGB image; see `Tracker.init`."""
        check_image(image)
        first = check_box(box)
        size, center = first[2:], first[:2] + first[2:] / 2
        patch = self._patch(image, center, patch_side(size, TEMPLATE_FACTOR), self._sides[0])
        with self._autocast():
            template = self._network.remember(self._network.encode(patch))
        self._state = _State(center, size, template)

    @torch.inference_mode()
    def update(self, image: Image) -> Box:
        """Return the box (4,) in the next frame; see `Tracker.update`."""
        if self._state is None:
            raise RuntimeError("TransTTracker.update was called before TransTTracker.init.")
        check_image(image)
        state = self._state
        side = patch_side(state.size, SEARCH_FACTOR)
        patch = self._patch(image, state.center, side, self._sides[1])
        with self._autocast():
            tokens = self._fuse(state.template, self._encode(patch))
            state.confidence, box = self._best(tokens)
        limits = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
        state.center = np.clip(state.center + (box[:2] - 0.5) * side, 0, limits)
        # The network sees sizes relative to the latest one: without limits they could run away.
        state.size = np.clip(box[2:] * side, MIN_SIDE, np.maximum(limits, MIN_SIDE))
        return np.concatenate([state.center - state.size / 2, state.size])

    def move_to(self, center: ArrayLike) -> None:
        """Search around `center` (2,) next; see `Correctable.move_to`."""
        if self._state is None:
            raise RuntimeError("TransTTracker.move_to was called before TransTTracker.init.")
        self._state.center = check_point(center)

    def correct(self, center: ArrayLike) -> None:
        """Search around `center` (2,) next: nothing is learnt; see `Correctable.correct`."""
        self.move_to(center)

    def _compile(self) -> None:
        """Compile what each frame needs: for two sizes of patches, code would fit any, and none.

        That is why the template's features are left out, which are computed once.
        """
        network = self._network
        for side in self._sides:  # cached, so that compiled code finds them as constants
            cells = side // STRIDE
            network.positions(torch.empty(1, cells * cells, 1, device=self.device))
        options: dict[str, Any] | None = {"freezing": True} if self.device.type == "cpu" else None
        self._encode = torch.compile(network.encode, options=options)
        self._fuse = torch.compile(network.fuse, options=options)

    def _patch(
        self, image: Image, center: NDArray[np.float64], side: float, out_size: int
    ) -> Tensor:
        """Return a patch as the network takes it (1, 3, out_size, out_size), channels last."""
        patch = crop_square(image, center, side, out_size, mean_color(image))
        return torch.from_numpy(patch).to(self.device)[None].permute(0, 3, 1, 2).float()

    def _autocast(self) -> torch.autocast:
        enabled = self.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _best(self, tokens: Tensor) -> tuple[float, NDArray[np.float64]]:
        """Return class score and box (4,) of the best of tokens (1, M, width)."""
        scores = self._network.class_head(tokens)[0].float().softmax(dim=1)[:, 0]
        mixed = (1 - self.window) * scores + self.window * self._hann
        best = mixed.argmax(dim=0, keepdim=True)  # a scalar as an index would be waited for
        box = shares(self._network.box_head(tokens[0, best]))[0]
        found = torch.cat([scores[best], box]).cpu().double().numpy()
        return float(found[0]), found[1:]


def patch_side(size: ArrayLike, factor: float) -> float:
    """Return the side of the square patch around an object of size w, h (2,), whole px.

    sqrt((w + p)(h + p)) with p = (factor - 1)(w + h) / 2, rounded up: TransT.
    """
    w, h = np.asarray(size, dtype=np.float64)
    margin = (factor - 1) * (w + h) / 2
    return float(math.ceil(math.sqrt((w + margin) * (h + margin))))
