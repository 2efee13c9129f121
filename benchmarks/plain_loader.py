"""What SiamFC's training data costs without packed patches: written plainly, as it is described.

Each item decodes two whole frames, cuts the context square of each target (127 px for the target
with half of its sides' sum around, so 255 for the search region), fills what lies outside with
the frame's mean colour, resizes it to 255 px, stretches it by up to 5 %, crops at random to 239,
and makes floats of it: the training pipeline of siamfc-pytorch in cv2 and a DataLoader.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

EXEMPLAR, SEARCH, STRETCHED, CROPPED = 127, 255, 247, 239
STRETCH = 0.05
INTERPOLATIONS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,
    cv2.INTER_LANCZOS4,
)


class PlainPairs(Dataset):
    """Pairs of frames as exemplar (3, 127, 127) and search region (3, 239, 239), floats."""

    def __init__(self, files: list[Path], boxes: np.ndarray, seed: int = 0) -> None:
        """Take frames and the box (n, 4: x, y, w, h) of the target in each."""
        self.files, self.boxes = files, boxes
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return frame `index` as exemplar and another one as search region."""
        other = (index + int(self.rng.integers(len(self)))) % len(self)
        exemplar, search = (self._region(i) for i in (index, other))
        return _floats(_center(exemplar, EXEMPLAR)), _floats(search)

    def _region(self, index: int) -> np.ndarray:
        image = cv2.cvtColor(cv2.imread(str(self.files[index])), cv2.COLOR_BGR2RGB)
        x, y, w, h = self.boxes[index]
        context = (w + h) / 2
        side = np.sqrt((w + context) * (h + context)) * SEARCH / EXEMPLAR
        way = INTERPOLATIONS[self.rng.integers(len(INTERPOLATIONS))]
        region = cv2.resize(
            _square(image, x + w / 2, y + h / 2, side), (SEARCH, SEARCH), interpolation=way
        )
        width, height = (SEARCH * (1 + self.rng.uniform(-STRETCH, STRETCH, 2))).round().astype(int)
        way = INTERPOLATIONS[self.rng.integers(len(INTERPOLATIONS))]
        region = cv2.resize(region, (int(width), int(height)), interpolation=way)
        region = _center(region, STRETCHED)
        top, left = self.rng.integers(STRETCHED - CROPPED + 1, size=2)
        return region[top : top + CROPPED, left : left + CROPPED]


def _square(image: np.ndarray, x: float, y: float, side: float) -> np.ndarray:
    """Return the square of whole pixels around a point, outside in the mean colour."""
    side = max(1, round(side))
    left, top = round(x - side / 2), round(y - side / 2)
    height, width = image.shape[:2]
    margins = (-top, top + side - height, -left, left + side - width)
    margin = max(0, *margins)
    if margin:
        colour = cv2.mean(image)[:3]
        image = cv2.copyMakeBorder(
            image, *[margin] * 4, borderType=cv2.BORDER_CONSTANT, value=colour
        )
    return image[top + margin : top + margin + side, left + margin : left + margin + side]


def _center(image: np.ndarray, size: int) -> np.ndarray:
    """Return the middle of an image, its border repeated where it is smaller than `size`."""
    short = max(0, size - min(image.shape[:2]))
    if short:
        image = cv2.copyMakeBorder(image, *[short] * 4, borderType=cv2.BORDER_REPLICATE)
    top, left = ((n - size) // 2 for n in image.shape[:2])
    return image[top : top + size, left : left + size]


def _floats(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float()
