"""Pictures of the report: frames with clicks and boxes, and maps laid over them.

Arrays in, arrays out. Images are uint8 RGB (H, W, 3); boxes are x, y, w, h and points x, y in
edge coordinates (the first pixel is [0, 1)). A panel is one picture, a strip is a row of panels.
"""

import base64
from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Float = NDArray[np.floating]
Color = tuple[int, int, int]

PANEL_WIDTH, PANEL_HEIGHT = 360, 270  # three of them fill the page; taller frames are shrunk
GAP = 6  # px between the panels of a strip

CLICK: Color = (255, 255, 255)
TRUTH: Color = (86, 180, 233)  # Okabe-Ito sky blue: stands out from the heat colours
OUTLINE: Color = (0, 0, 0)

HEAT = "inferno"  # perceptually uniform, and its lightness alone tells the order
SCORES = "viridis"
_FAINT, _STRONG = 0.3, 0.68  # opacity of the heat at 0 and at the map's maximum
_PALE = 0.35  # how much white lies over what a map does not reach
_ARM = (5, 11)  # px from the click to where an arm of its cross begins and ends
_SMALL = 16  # px
_SHIFT = 4  # bits of sub-pixel accuracy in OpenCV's drawing


def fit_scale(width: float, height: float) -> float:
    """Return the factor that fits a picture into a panel."""
    return min(PANEL_WIDTH / width, PANEL_HEIGHT / height)


def resize(image: Image, scale: float) -> Image:
    """Return the image scaled; shrinking averages, so no detail aliases."""
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def place_map(values: Float, region: Sequence[float] | Float, width: int, height: int) -> Float:
    """Return a map (r, c) as it lies in a picture, (height, width); NaN outside its region.

    region: (4,) the x, y, w, h in pixels that the map's cells divide evenly. Bilinear between the
    centres of the cells, constant beyond the outermost centres.
    """
    rows, columns = values.shape
    x, y, w, h = (float(v) for v in region)
    across = (np.arange(width) + 0.5 - x) * columns / w
    down = (np.arange(height) + 0.5 - y) * rows / h
    # remap's own border handling reads 0 beyond the last centre, so positions are clamped
    grid_x, grid_y = np.meshgrid(
        np.clip(across - 0.5, 0, columns - 1).astype(np.float32),
        np.clip(down - 0.5, 0, rows - 1).astype(np.float32),
    )
    placed = cv2.remap(values.astype(np.float32), grid_x, grid_y, cv2.INTER_LINEAR)
    inside = ((across >= 0) & (across < columns)) & ((down >= 0) & (down < rows))[:, None]
    return np.where(inside, placed, np.nan)


def overlay_heat(image: Image, values: Float) -> Image:
    """Return the image under a map (H, W) over its maximum; where it is NaN the image is paled."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    known = np.isfinite(values)
    peak = float(np.max(values, where=known, initial=0.0))
    share = np.where(known, values, 0) / (peak if peak > 0 else 1.0)
    colour = matplotlib.colormaps[HEAT](share)[..., :3] * 255
    opacity = (_FAINT + (_STRONG - _FAINT) * share)[..., None]
    blended = (1 - opacity) * grey + opacity * colour
    pale = (1 - _PALE) * grey + _PALE * 255
    return np.rint(np.where(known[..., None], blended, pale)).astype(np.uint8)


def draw_boxes(image: Image, boxes: Float, scores: Float, thickness: int = 1) -> Image:
    """Return the image with boxes (n, 4), lighter the higher their score (n,); the best on top."""
    drawn = image.copy()
    spread = float(np.ptp(scores)) if len(scores) else 0.0
    for i in np.argsort(scores, kind="stable"):
        rank = (scores[i] - scores.min()) / spread if spread > 0 else 1.0
        red, green, blue = (round(255 * v) for v in matplotlib.colormaps[SCORES](rank)[:3])
        _rectangle(drawn, boxes[i], (red, green, blue), thickness)
    return drawn


def draw_truth(image: Image, box: Float) -> Image:
    """Return the image with an annotated box (4,)."""
    drawn = image.copy()
    if min(box[2:]) < _SMALL:  # a thick line would fill it
        _rectangle(drawn, box, TRUTH, 1)
    else:
        _rectangle(drawn, box, OUTLINE, 4)
        _rectangle(drawn, box, TRUTH, 2)
    return drawn


def draw_click(image: Image, point: Float) -> Image:
    """Return the image with a cross at the click (2,), outlined to show on any background.

    Its centre is open: the smallest targets would vanish under it.
    """
    drawn = image.copy()
    x, y = point
    for colour, thickness in ((OUTLINE, 4), (CLICK, 2)):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            start = _subpixel(x + _ARM[0] * dx, y + _ARM[0] * dy)
            end = _subpixel(x + _ARM[1] * dx, y + _ARM[1] * dy)
            cv2.line(drawn, start, end, colour, thickness, cv2.LINE_AA, _SHIFT)
    return drawn


def draw_outline(image: Image, mask: NDArray[np.bool_]) -> Image:
    """Return the image with the border of a mask (H, W) in white on black."""
    drawn = image.copy()
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, contours, -1, OUTLINE, 3, cv2.LINE_AA)
    cv2.drawContours(drawn, contours, -1, CLICK, 1, cv2.LINE_AA)
    return drawn


def strip(panels: Sequence[Image], width: int, height: int | None = None) -> Image:
    """Return panels side by side, each centred on white `width` px wide.

    height: of the strip; none: that of the tallest panel.
    """
    tall = height or max(len(p) for p in panels)
    gap = np.full((tall, GAP, 3), 255, np.uint8)
    parts: list[Image] = []
    for panel in panels:
        parts += [_centred(panel, width, tall), gap]
    return np.concatenate(parts[:-1], axis=1)


def heat_bar(name: str, width: int = 180, height: int = 12) -> Image:
    """Return the colours of a map, low to high, as a bar."""
    row = matplotlib.colormaps[name](np.linspace(0, 1, width))[:, :3]
    return np.repeat(np.rint(255 * row).astype(np.uint8)[None], height, axis=0)


def png(image: Image) -> bytes:
    """Return an image as PNG bytes; equal images give equal bytes."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    ok, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not ok:
        raise RuntimeError(f"OpenCV could not encode an image of shape {image.shape}")
    return bytes(data.tobytes())


def data_uri(data: bytes) -> str:
    """Return PNG bytes as the address of an image inside an HTML file."""
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _rectangle(image: Image, box: Float, colour: Color, thickness: int) -> None:
    x, y, w, h = (float(v) for v in box)
    corner, opposite = _subpixel(x, y), _subpixel(x + w, y + h)
    cv2.rectangle(image, corner, opposite, colour, thickness, cv2.LINE_AA, _SHIFT)


def _subpixel(x: float, y: float) -> tuple[int, int]:
    """Return edge coordinates as OpenCV's fixed-point ones, which count from pixel centres."""
    return round((x - 0.5) * (1 << _SHIFT)), round((y - 0.5) * (1 << _SHIFT))


def _centred(panel: Image, width: int, height: int) -> Image:
    canvas = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - panel.shape[0]) // 2, (width - panel.shape[1]) // 2
    canvas[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return canvas
