"""Random windows of patches, cut and coloured in batch on the device: compiled on a CPU.

What is random is drawn on the CPU for all videos of a batch (`Draws`: tensors whose first
dimension is the video), so that parts of a batch are slices of the same draws.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from socl_pipeline.patches import kernels
from socl_pipeline.settings import AugmentSettings

Draws = dict[str, Tensor]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Windows:
    """Where windows lie in their patches. centers: (B, 2), sides: (B,) float; flips: (B,) bool."""

    centers: Tensor
    sides: Tensor
    flips: Tensor

    @property
    def corners(self) -> Tensor:
        """The upper left corners (B, 2)."""
        return self.centers - self.sides[:, None] / 2


def draw_windows(
    videos: int, size: int, window: int, augment: AugmentSettings, rng: np.random.Generator
) -> Draws:
    """Draw a window in each of the two patches, of `size` pixels, of some videos.

    Returns center (N, 2, 2) and side (N, 2) in patch pixels, and flip (N,) bool: the windows of
    a pair are flipped together.
    """
    shape = (videos, 2)
    sides = np.minimum(window * np.exp(rng.uniform(-augment.scale, augment.scale, shape)), size)
    reach = np.minimum(augment.shift_px, (size - sides) / 2)
    centers = size / 2 + rng.uniform(-1, 1, (*shape, 2)) * reach[..., None]
    flips = rng.random(videos) < 0.5 if augment.flip else np.zeros(videos, bool)
    return {"center": _float(centers), "side": _float(sides), "flip": torch.from_numpy(flips)}


def windows_of(draws: Draws) -> Windows:
    """Return the windows of the 2N patches of the videos in `draws`."""
    flips = draws["flip"].repeat_interleave(2)
    return Windows(draws["center"].flatten(0, 1), draws["side"].flatten(), flips)


def middle_windows(count: int, size: int, window: int, device: torch.device) -> Windows:
    """Return the windows in the middle of `count` patches of `size` pixels, not flipped."""
    return Windows(
        torch.full((count, 2), size / 2, device=device),
        torch.full((count,), float(min(window, size)), device=device),
        torch.zeros(count, dtype=torch.bool, device=device),
    )


def draw_colour(videos: int, augment: AugmentSettings, rng: np.random.Generator) -> Draws:
    """Draw brightness and contrast (N, 2) of each patch, and whether a video is grey, (N,) bool."""
    low, high = 1 - augment.colour, 1 + augment.colour
    grey = rng.random(videos) < augment.grey
    brightness, contrast = rng.uniform(low, high, (2, videos, 2))
    return {
        "brightness": _float(brightness),
        "contrast": _float(contrast),
        "grey": torch.from_numpy(grey),
    }


def cut_windows(images: Tensor, windows: Windows, window: int) -> Tensor:
    """Return the windows (B, 3, window, window) of images (B, S, S, 3) uint8.

    float32 of 0..255, channels_last; bilinear, and beyond the patch its border.
    """
    if images.device.type != "cpu":
        return sample_windows(images, windows, window)
    cut = torch.empty(len(images), window, window, 3)
    _on_threads(
        kernels.cut, images.contiguous(), windows.corners, windows.sides, windows.flips, cut
    )
    return cut.permute(0, 3, 1, 2)


def sample_windows(images: Tensor, windows: Windows, window: int) -> Tensor:
    """Return what `cut_windows` does by torch's own sampling, on any device."""
    count, size = images.shape[:2]
    step = (windows.sides / window)[:, None, None]
    # no affine_grid: under autocast its matrix product has eight bits of precision
    centers = torch.arange(window, device=images.device) + 0.5
    places = (windows.corners[..., None] + centers * step) * (2 / size) - 1
    across = torch.where(windows.flips[:, None], places[:, 0].flip(-1), places[:, 0])
    shape = (count, window, window)
    grid = torch.stack(
        [across[:, None, :].expand(shape), places[:, 1, :, None].expand(shape)], dim=-1
    )
    pixels = images.permute(0, 3, 1, 2).float()
    cut = grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return cut.contiguous(memory_format=torch.channels_last)


def boxes_in_windows(boxes: Tensor, windows: Windows, window: int) -> Tensor:
    """Return boxes (B, K, 4) of patches in the pixels of their windows, flipped with them."""
    scale = (window / windows.sides)[:, None, None]
    position = (boxes[..., :2] - windows.corners[:, None]) * scale
    size = boxes[..., 2:] * scale
    mirrored = window - position[..., 0] - size[..., 0]
    x = torch.where(windows.flips[:, None], mirrored, position[..., 0])
    return torch.cat([x[..., None], position[..., 1:], size], dim=-1)


def jitter_colour(images: Tensor, draws: Draws) -> Tensor:
    """Return images (FN, 3, H, W) of 0..255 with the brightness, contrast and grey of `draws`.

    F is 2, or as many frames of each video as brightness and contrast (N, F) are for. Contrast is
    about the mean of an image. The images, channels_last, are changed in place.
    """
    frames = draws["brightness"].shape[1]
    brightness, contrast = (draws[name].flatten() for name in ("brightness", "contrast"))
    grey = draws["grey"].repeat_interleave(frames)
    if images.device.type != "cpu":
        return shift_colour(images, brightness, contrast, grey)
    pixels = images.permute(0, 2, 3, 1).contiguous()
    _on_threads(partial(kernels.jitter, luma=LUMA), pixels, brightness, contrast, grey)
    return pixels.permute(0, 3, 1, 2)


def shift_colour(images: Tensor, brightness: Tensor, contrast: Tensor, grey: Tensor) -> Tensor:
    """Do to images what `jitter_colour` does, by torch's own operations; draws are (FN,)."""
    channels = zip(LUMA.tolist(), images.unbind(dim=1), strict=True)
    luma = torch.stack([share * channel for share, channel in channels]).sum(dim=0)
    images.lerp_(luma[:, None], grey.float()[:, None, None, None])
    factor = brightness * contrast
    added = images.mean(dim=(1, 2, 3)) * (brightness - factor)
    return images.mul_(factor[:, None, None, None]).add_(added[:, None, None, None]).clamp_(0, 255)


def _on_threads(kernel: Callable[..., None], *arrays: Tensor) -> None:
    """Run a kernel on tensors whose first dimension is the patch, by as many threads as torch."""
    views = [tensor.numpy() for tensor in arrays]
    threads = min(torch.get_num_threads(), len(views[0]))
    if threads <= 1:
        kernel(*views)
        return
    with ThreadPoolExecutor(threads) as pool:
        parts = [np.array_split(view, threads) for view in views]
        for _ in pool.map(kernel, *parts):
            pass  # raises what a thread raised


def _float(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
