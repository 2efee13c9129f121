"""Random windows of patches, cut and coloured in batch on the device."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from socl_pipeline.settings import AugmentSettings

GREY = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601 luma


@dataclass(frozen=True)
class Windows:
    """Where windows lie in their patches. centers: (B, 2), sides: (B,), flips: (B,) bool."""

    centers: NDArray[np.float32]
    sides: NDArray[np.float32]
    flips: NDArray[np.bool_]


def draw_windows(
    pairs: int, size: int, window: int, augment: AugmentSettings, rng: np.random.Generator
) -> Windows:
    """Draw the windows of 2 * pairs patches of `size` pixels; a pair is flipped together."""
    count = 2 * pairs
    sides = window * np.exp(rng.uniform(-augment.scale, augment.scale, count))
    sides = np.minimum(sides, size)
    reach = np.minimum(augment.shift_px, (size - sides) / 2)
    centers = size / 2 + rng.uniform(-1, 1, (count, 2)) * reach[:, None]
    flips = np.repeat(rng.random(pairs) < 0.5, 2) if augment.flip else np.zeros(count, bool)
    return Windows(centers.astype(np.float32), sides.astype(np.float32), flips)


def cut_windows(images: Tensor, windows: Windows, window: int) -> Tensor:
    """Return the windows (B, 3, window, window), float 0..255, of images (B, S, S, 3) uint8."""
    size = images.shape[1]
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = torch.from_numpy(windows.sides / size * np.where(windows.flips, -1, 1))
    theta[:, 1, 1] = torch.from_numpy(windows.sides / size)
    theta[:, :, 2] = torch.from_numpy(2 * windows.centers / size - 1)
    shape = [len(images), 3, window, window]
    grid = affine_grid(theta.to(images.device), shape, align_corners=False)
    batch = images.permute(0, 3, 1, 2).float()
    return grid_sample(batch, grid, padding_mode="border", align_corners=False)


def boxes_in_windows(boxes: Tensor, windows: Windows, window: int) -> Tensor:
    """Return boxes (B, K, 4) of patches in the pixels of their windows, flipped with them."""
    device = boxes.device
    scale = torch.from_numpy(window / windows.sides).to(device)[:, None]
    corner = torch.from_numpy(windows.centers - windows.sides[:, None] / 2).to(device)[:, None]
    position = (boxes[..., :2] - corner) * scale[..., None]
    size = boxes[..., 2:] * scale[..., None]
    mirrored = window - position[..., 0] - size[..., 0]
    flips = torch.from_numpy(windows.flips).to(device)[:, None]
    x = torch.where(flips, mirrored, position[..., 0])
    return torch.cat([x[..., None], position[..., 1:], size], dim=-1)


def jitter_colour(images: Tensor, augment: AugmentSettings, rng: np.random.Generator) -> Tensor:
    """Change brightness and contrast of each image (2P, 3, H, W), and make some pairs grey."""
    count = len(images)

    def factors() -> Tensor:
        drawn = rng.uniform(1 - augment.colour, 1 + augment.colour, (count, 1, 1, 1))
        return torch.from_numpy(drawn.astype(np.float32)).to(images.device)

    grey = torch.from_numpy(np.repeat(rng.random(count // 2) < augment.grey, 2))
    if grey.any():
        luma = (images * GREY.to(images.device)[:, None, None]).sum(dim=1, keepdim=True)
        images = torch.where(grey.to(images.device)[:, None, None, None], luma, images)
    images = images * factors()
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean) * factors() + mean).clamp(0, 255)
