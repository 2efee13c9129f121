"""Random windows of patches, cut and coloured in batch on the device.

What is random is drawn on the CPU for all videos of a batch (`Draws`: tensors whose first
dimension is the video), so that parts of a batch are slices of the same draws.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from socl_pipeline.settings import AugmentSettings

Draws = dict[str, Tensor]

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


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
    size = images.shape[1]
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    zoom = windows.sides / size
    theta[:, 0, 0] = torch.where(windows.flips, -zoom, zoom)
    theta[:, 1, 1] = zoom
    theta[:, :, 2] = 2 * windows.centers / size - 1
    grid = affine_grid(theta, [len(images), 3, window, window], align_corners=False)
    cut = grid_sample(
        images.permute(0, 3, 1, 2).float(), grid, padding_mode="border", align_corners=False
    )
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
    about the mean of an image. The images may be changed in place.
    """
    frames = draws["brightness"].shape[1]
    grey = draws["grey"].repeat_interleave(frames)[:, None, None, None]
    luma = torch.tensor(LUMA, device=images.device)[:, None, None]
    images = torch.where(grey, (images * luma).sum(dim=1, keepdim=True), images)
    brightness, contrast = (
        draws[name].flatten()[:, None, None, None] for name in ("brightness", "contrast")
    )
    mean = images.mean(dim=(1, 2, 3), keepdim=True) * brightness
    return images.mul_(brightness * contrast).add_(mean * (1 - contrast)).clamp_(0, 255)


def _float(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
