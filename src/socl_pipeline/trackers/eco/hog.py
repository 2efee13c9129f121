"""Histograms of oriented gradients of 31 channels (Felzenszwalb et al., PAMI 2010, section 6).

A pixel votes for the nearest of 18 signed orientations: so the paper defines it, and so ECO's HOG
does. Votes for the nearest two would make the histograms smoother, and votes cost twice as much.
Each is spread over the nearest four cells. A gradient straight up or down lies halfway between two
orientations; it gets the one further on, so that opposite gradients stay 9 orientations apart.

Differences are those of the two neighbours, at the border of the pixel and its one neighbour.
Their unit does not matter: every cell is divided by the energy of the blocks it lies in.
"""

import math

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

Float = NDArray[np.float32]

CHANNELS = 31
CELL = 4  # px: ECO's
SIGNED, UNSIGNED = 18, 9  # orientations in a full turn and, opposite ones added, in half of one
PAIRS = 2 * SIGNED  # a vote's places in the upper and in the lower cells
TRUNCATION = 0.2  # of a cell divided by a block (Felzenszwalb et al.)
ORIENTATION_SCALE = 0.5  # of the sum over the four blocks, as in the release of Felzenszwalb et al.
# Of the sum over the signed orientations, 1 / sqrt(18), as there; the paper sums unsigned ones.
TEXTURE_SCALE = 0.2357
# Added to a block's energy: far less than that of the faintest vote, one grey level in a corner of
# the four cells, 1 / 64 squared. So even images give zeros.
FLAT = 1e-6

# The borders between the orientations of half a turn: a gradient with dy >= 0 lies beyond the
# border at an angle a where dx <= dy cot(a). Only the middle one can be met exactly, by dx = 0.
BORDERS = tuple(
    np.float32(0 if k == 4 else 1 / math.tan(math.pi * (k + 0.5) / UNSIGNED))
    for k in range(UNSIGNED)
)


def hog(images: Tensor, cell: int = CELL) -> Tensor:
    """Return the gradient histograms (N, 31, H // cell, W // cell) of images, float32.

    images: (N, H, W, 3) uint8 RGB on any device. cell: px; what is left of the image beyond the
    last whole cell is not looked at. The channels, of values up to 0.4, texture to 0.85:

    0-17: signed orientations: channel k is 20 k degrees from +x towards +y, which is down;
    18-26: unsigned orientations: the sums of the gradients of k and k + 9;
    27-30: texture: the sum of the signed orientations, in shares of each of the blocks of 2 x 2
        cells that reach up left, up right, down left and down right of the cell.

    Cells at the border take the nearest whole block for those they lack.

    Raises:
        ValueError: The image has fewer than 2 x 2 cells, which is a block.
    """
    height, width = (size // cell for size in images.shape[1:3])
    if min(height, width) < 2:
        raise ValueError(f"Images of {tuple(images.shape)} have fewer than 2 x 2 cells of {cell}.")
    whole = images[:, : height * cell, : width * cell]
    if images.device.type != "cpu":
        return sum_images(whole, cell)
    found = torch.empty(len(images), CHANNELS, height, width)
    bands = np.empty((height + 1, width * PAIRS), np.float32)
    sums = np.empty((SIGNED, height, width), np.float32)
    shares = spread(cell)
    for image, channels in zip(whole.contiguous().numpy(), found.numpy(), strict=True):
        _vote(image, shares, bands)
        _sum_bands(bands, sums)
        _normalise(sums, _block_factors(sums), channels)
    return found


def spread(cell: int) -> Float:
    """Return the share (2 cell,) a cell has in a vote of each pixel along an axis.

    The first of the pixels is half a cell, rounded down, before the cell's border.
    """
    distance = np.arange(2 * cell) + 0.5 - (cell // 2 + cell / 2)
    return (1 - np.abs(distance) / cell).astype(np.float32)


def sum_images(images: Tensor, cell: int) -> Tensor:
    """Return what `hog` does of images of whole cells by torch's own operations, on any device.

    Sums of slices, no convolution: that may have ten bits of precision on a GPU.
    """
    square, dx, dy = _steepest(images.permute(0, 3, 1, 2).float())
    orientations = torch.arange(SIGNED, device=images.device)[:, None, None]
    votes = square.sqrt()[:, None] * (_orientation(dx, dy)[:, None] == orientations)
    shares = torch.from_numpy(spread(cell)).to(images.device)
    before = cell // 2
    padded = pad(votes, (before, cell - before, before, cell - before))
    columns = (padded.unfold(-1, 2 * cell, cell) * shares).sum(-1)
    signed = (columns.unfold(-2, 2 * cell, cell) * shares).sum(-1)
    return _normalised(signed)


def _steepest(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return squared size, dx and dy (N, H, W) of the steepest channel of pixels (N, 3, H, W)."""
    around = pad(pixels, (1, 1, 1, 1), mode="replicate")
    across = around[:, :, 1:-1, 2:] - around[:, :, 1:-1, :-2]
    down = around[:, :, 2:, 1:-1] - around[:, :, :-2, 1:-1]
    squares = across.square() + down.square()
    square, dx, dy = squares[:, 0], across[:, 0], down[:, 0]
    for channel in (1, 2):
        steeper = squares[:, channel] > square
        square = torch.where(steeper, squares[:, channel], square)
        dx = torch.where(steeper, across[:, channel], dx)
        dy = torch.where(steeper, down[:, channel], dy)
    return square, dx, dy


def _orientation(dx: Tensor, dy: Tensor) -> Tensor:
    """Return the nearest signed orientation 0..17 of gradients of any shape, int64."""
    upwards = (dy < 0) | ((dy == 0) & (dx < 0))
    dx, dy = torch.where(upwards, -dx, dx), dy.abs()
    orientation = UNSIGNED * upwards.long()
    for border in BORDERS:
        orientation += dx <= dy * float(border)
    return orientation % SIGNED


def _normalised(signed: Tensor) -> Tensor:
    """Return the 31 channels of the sums (N, 18, h, w) of votes."""
    unsigned = signed[:, :UNSIGNED] + signed[:, UNSIGNED:]
    energy = unsigned.square().sum(dim=1, keepdim=True)
    rows = energy[:, :, :-1] + energy[:, :, 1:]
    factors = (rows[..., :-1] + rows[..., 1:] + FLAT).rsqrt()
    factors = pad(factors, (1, 1, 1, 1), mode="replicate")
    sums = torch.cat([signed, unsigned], dim=1)
    parts = [
        (sums * block).clamp(max=TRUNCATION)
        for row in (factors[:, :, :-1], factors[:, :, 1:])
        for block in (row[..., :-1], row[..., 1:])
    ]
    orientations = ORIENTATION_SCALE * torch.stack(parts).sum(dim=0)
    textures = [TEXTURE_SCALE * part[:, :SIGNED].sum(dim=1, keepdim=True) for part in parts]
    return torch.cat([orientations, *textures], dim=1)


@njit(cache=True, nogil=True, fastmath=True)
def _vote(image: NDArray[np.uint8], shares: Float, bands: Float) -> None:
    """Write the votes of an image (H, W, 3), summed in the h + 1 bands between rows of cells.

    bands: (h + 1, w * 36): the pixel rows from the middle of a row of cells to that of the next
    give each orientation of each cell two sums: with the rows' shares in the cell above and below.

    They are first summed for every column of pixels, so that one vote after the other goes to
    another place: sums of single votes in one place would wait for each other.
    """
    height, width = image.shape[:2]
    cell = len(shares) // 2
    before = cell // 2
    rows = np.empty((3, 3, width + 2), np.float32)  # of the pixel rows above, at and below y
    columns = np.zeros((width + cell) * PAIRS, np.float32)
    # no slices of one array: the compiler adds many at once only where it sees that they are apart
    size = np.empty(width, np.float32)
    dx, dy = np.empty(width, np.float32), np.empty(width, np.float32)
    place = np.empty(width, np.uint32)
    line = np.empty(width * 3, np.float32)
    bands[:] = 0
    _spread_colours(image[0], line, rows[0])
    _spread_colours(image[0], line, rows[2])
    for y in range(height):
        above, here, below = rows[(y + 2) % 3], rows[y % 3], rows[(y + 1) % 3]
        _spread_colours(image[min(y + 1, height - 1)], line, below)
        _find_steepest(above, here, below, size, dx, dy)
        _find_places(dx, dy, before, place)
        band, k = divmod(y + before, cell)
        _add_votes(place, size, shares[k + cell], shares[k], columns)
        if k == cell - 1 or y == height - 1:
            _add_columns(columns, shares, bands[band])
            columns[:] = 0


@njit(cache=True, nogil=True, fastmath=True)
def _spread_colours(pixels: NDArray[np.uint8], line: Float, planes: Float) -> None:
    """Write pixels (W, 3) as planes (3, W + 2), the outermost pixels twice; line: (W * 3,)."""
    width = len(pixels)
    values = pixels.reshape(-1)
    for i in range(len(values)):  # by itself: the compiler turns many into floats at once
        line[i] = values[i]
    red, green, blue = planes[0, 1:], planes[1, 1:], planes[2, 1:]
    for x in range(width):
        red[x], green[x], blue[x] = line[3 * x], line[3 * x + 1], line[3 * x + 2]
    for plane in planes:
        plane[0], plane[width + 1] = plane[1], plane[width]


@njit(cache=True, nogil=True, fastmath=True)
def _find_steepest(
    above: Float, here: Float, below: Float, size: Float, dx: Float, dy: Float
) -> None:
    """Write size, dx and dy (W,) of the steepest channel; rows of planes (3, W + 2)."""
    size[:] = dx[:] = dy[:] = 0
    for channel in range(3):
        left, right = here[channel], here[channel, 2:]
        up, down = above[channel, 1:], below[channel, 1:]
        for x in range(len(size)):
            across, downwards = right[x] - left[x], down[x] - up[x]
            square = across * across + downwards * downwards
            steeper = square > size[x]
            size[x] = square if steeper else size[x]
            dx[x] = across if steeper else dx[x]
            dy[x] = downwards if steeper else dy[x]
    for x in range(len(size)):
        size[x] = math.sqrt(size[x])


@njit(cache=True, nogil=True, fastmath=True)
def _find_places(dx: Float, dy: Float, before: int, place: NDArray[np.uint32]) -> None:
    """Write where gradients vote: at their column, of `before` more, and their orientation."""
    for x in range(len(dx)):
        upwards = dy[x] < 0 or (dy[x] == 0 and dx[x] < 0)
        across = -dx[x] if upwards else dx[x]
        down = abs(dy[x])
        orientation = np.float32(UNSIGNED) if upwards else np.float32(0)
        for k in range(UNSIGNED):
            orientation += np.float32(1) if across <= down * BORDERS[k] else np.float32(0)
        if orientation == SIGNED:
            orientation = np.float32(0)
        place[x] = np.uint32(x + before) * np.uint32(PAIRS) + np.uint32(2) * np.uint32(orientation)


@njit(cache=True, nogil=True, fastmath=True)
def _add_votes(
    place: NDArray[np.uint32], size: Float, above: float, below: float, columns: Float
) -> None:
    """Add votes (W,) to the columns, with the shares of the cells above and below."""
    for x in range(len(place)):
        columns[place[x]] += size[x] * above
        columns[place[x] + np.uint32(1)] += size[x] * below


@njit(cache=True, nogil=True, fastmath=True)
def _add_columns(columns: Float, shares: Float, band: Float) -> None:
    """Write the band (w * 36,) between two rows of cells: the columns with their shares."""
    cell = len(shares) // 2
    for start in range(0, len(band), PAIRS):
        target = band[start : start + PAIRS]
        for k in range(0, 2 * cell, 2):
            votes = columns[start * cell + k * PAIRS :]
            following, share, other = votes[PAIRS:], shares[k], shares[k + 1]
            for b in range(PAIRS):
                target[b] += share * votes[b] + other * following[b]


@njit(cache=True, nogil=True, fastmath=True)
def _sum_bands(bands: Float, sums: Float) -> None:
    """Write the sums (18, h, w) of the votes in the bands above and below each cell."""
    height, width = sums.shape[1:]
    for y in range(height):
        for x in range(width):
            above, below = bands[y, x * PAIRS + 1 :], bands[y + 1, x * PAIRS :]
            for b in range(SIGNED):
                sums[b, y, x] = above[2 * b] + below[2 * b]


@njit(cache=True, nogil=True, fastmath=True)
def _normalise(sums: Float, factors: Float, found: Float) -> None:
    """Write the channels (31, h, w) of the sums (18, h, w) of votes: whole planes at a time."""
    signed, planes = sums.reshape(SIGNED, -1), found.reshape(CHANNELS, -1)
    limit = np.float32(TRUNCATION)
    share, texture_share = np.float32(ORIENTATION_SCALE), np.float32(TEXTURE_SCALE)
    planes[:] = 0
    for block in range(4):
        factor, texture = factors[block], planes[SIGNED + UNSIGNED + block]
        for b in range(SIGNED):
            votes, target = signed[b], planes[b]
            for i in range(len(votes)):
                part = min(votes[i] * factor[i], limit)
                target[i] += share * part
                texture[i] += texture_share * part
        for b in range(UNSIGNED):
            votes, opposite, target = signed[b], signed[b + UNSIGNED], planes[SIGNED + b]
            for i in range(len(votes)):
                target[i] += share * min((votes[i] + opposite[i]) * factor[i], limit)


@njit(cache=True, nogil=True, fastmath=True)
def _block_factors(sums: Float) -> Float:
    """Return 1 / the norm of the blocks up left, up right, down left and down right (4, h * w)."""
    height, width = sums.shape[1:]
    energy = np.zeros((height, width), np.float32)
    for b in range(UNSIGNED):
        for y in range(height):
            line, votes, opposite = energy[y], sums[b, y], sums[b + UNSIGNED, y]
            for x in range(width):
                line[x] += (votes[x] + opposite[x]) ** 2
    corners = np.empty((height + 1, width + 1), np.float32)
    for y in range(height + 1):
        i = min(max(y, 1), height - 1)
        for x in range(width + 1):
            j = min(max(x, 1), width - 1)
            block = energy[i - 1, j - 1] + energy[i - 1, j] + energy[i, j - 1] + energy[i, j]
            corners[y, x] = np.float32(1) / math.sqrt(block + np.float32(FLAT))
    factors = np.empty((4, height * width), np.float32)
    for block in range(4):
        down, across = divmod(block, 2)
        for y in range(height):
            for x in range(width):
                factors[block, y * width + x] = corners[y + down, x + across]
    return factors
