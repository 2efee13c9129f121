"""TOP maps as one would write them in an afternoon: NumPy and OpenCV, nothing made smaller.

The yardstick of benchmarks/top_maps.py. Every step is the paper's at full resolution: OpenCV's
EdgeBoxes of the whole frame on thinned Sobel edges, 5,000 random windows, three cues from
integral images, naive Bayes with the shipped tables, suppression, a score map with a value for
every pixel, and softmax. Loops are over scales, colour bins and boxes, never over pixels or
windows.
"""

from pathlib import Path

import cv2
import numpy as np

from socl_pipeline.top.objectness.model import ObjectnessModel

MS_THRESHOLDS = {16: 0.43, 24: 0.32, 32: 0.34, 48: 0.35, 64: 0.26}
WINDOWS, MAX_ASPECT, MIN_SIDE = 5000, 3.0, 10.0
RADIUS_PX, EDGE_BOXES = 30.0, 1000
OVERLAP, KEPT, CLIP = 0.7, 64, 0.1


def plain_top(path: Path, point: np.ndarray, model: ObjectnessModel) -> np.ndarray:
    """Return the TOP map (H, W) of an image file and a click (2,)."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    windows = np.concatenate([_random_windows(point, width, height), _edge_boxes(image, point)])
    x0, y0, x1, y1 = np.rint(
        np.stack(
            [
                np.clip(windows[:, 0], 0, width - 1),
                np.clip(windows[:, 1], 0, height - 1),
                np.clip(windows[:, 0] + windows[:, 2], 1, width),
                np.clip(windows[:, 1] + windows[:, 3], 1, height),
            ]
        )
    ).astype(int)
    corners = x0, y0, np.maximum(x1, x0 + 1), np.maximum(y1, y0 + 1)
    cues = {"ms": _saliency(image, corners), "cc": _contrast(image, corners)}
    cues["ed"] = _edge_density(image, corners)
    logit = np.full(len(windows), np.log(model.prior / (1 - model.prior)))
    for name, values in cues.items():
        logit += model.log_ratio[name][np.searchsorted(model.edges[name], values, side="right")]
    scores = 1 / (1 + np.exp(-logit))
    boxes = np.stack(corners, axis=1)
    kept = _suppressed(boxes, scores)
    return _softmax_map(boxes[kept], scores[kept], width, height)


def _random_windows(point: np.ndarray, width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    side = np.exp(rng.uniform(np.log(MIN_SIDE), np.log(width * height) / 2, WINDOWS))
    root = np.exp(rng.uniform(-np.log(MAX_ASPECT), np.log(MAX_ASPECT), WINDOWS) / 2)
    return np.stack(
        [point[0] - side * root / 2, point[1] - side / root / 2, side * root, side / root], axis=1
    )


def _edge_boxes(image: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return EdgeBoxes (n, 4) within the radius of a click."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength = np.hypot(dx, dy)
    angle = np.mod(np.arctan2(dy, dx), np.pi).astype(np.float32)
    finder = cv2.ximgproc.createEdgeBoxes(maxBoxes=EDGE_BOXES)
    found, _ = finder.getBoundingBoxes(_thinned(strength / strength.max(), angle), angle)
    boxes = np.asarray(found, np.float64).reshape(-1, 4) - [1, 1, 0, 0]  # MATLAB's first pixel
    away = np.linalg.norm(boxes[:, :2] + boxes[:, 2:] / 2 - point, axis=1)
    return boxes[away <= RADIUS_PX]


def _thinned(strength: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Keep pixels (H, W) that are no weaker than both neighbours along the normal."""
    direction = np.rint(angle / (np.pi / 4)).astype(int) % 4
    largest = np.zeros(strength.shape, bool)
    for k, (down, right) in enumerate([(0, 1), (1, 1), (1, 0), (1, -1)]):
        ahead = np.roll(strength, (-down, -right), (0, 1))
        behind = np.roll(strength, (down, right), (0, 1))
        largest |= (direction == k) & (strength >= ahead) & (strength >= behind)
    return np.where(largest, strength, 0).astype(np.float32)


def _sums(integral: np.ndarray, corners: tuple) -> np.ndarray:
    """Return sums (n,) over windows, given the integral image (H + 1, W + 1)."""
    x0, y0, x1, y1 = corners
    return integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0]


def _saliency(image: np.ndarray, corners: tuple) -> np.ndarray:
    """Return MS (n,): spectral residual, the best scale of the channels' sum."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = corners
    offsets = np.hypot(*np.mgrid[-3:4, -3:4])
    disk = (offsets <= 3).astype(np.float64) / (offsets <= 3).sum()
    best = np.zeros(len(x0))
    for side, threshold in MS_THRESHOLDS.items():
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float64)
        left, top = (np.rint(v * side / n).astype(int) for v, n in ((x0, width), (y0, height)))
        right, bottom = (np.rint(v * side / n).astype(int) for v, n in ((x1, width), (y1, height)))
        left, top = np.minimum(left, side - 1), np.minimum(top, side - 1)
        window = left, top, np.maximum(right, left + 1), np.maximum(bottom, top + 1)
        score = np.zeros(len(x0))
        for channel in np.moveaxis(small, 2, 0):
            spectrum = np.fft.fft2(channel)
            amplitude = np.log(np.abs(spectrum) + 1e-3)
            mean = cv2.blur(amplitude, (3, 3), borderType=cv2.BORDER_REPLICATE)
            power = np.abs(np.fft.ifft2(np.exp(amplitude - mean + 1j * np.angle(spectrum)))) ** 2
            salient = cv2.filter2D(power, -1, disk, borderType=cv2.BORDER_CONSTANT)
            salient = (salient - salient.min()) / max(np.ptp(salient), 1e-12)
            over = salient >= threshold
            mass = _sums(cv2.integral(np.where(over, salient, 0)), window)
            score += mass * _sums(cv2.integral(over.astype(np.float64)), window)
        area = (window[2] - window[0]) * (window[3] - window[1])
        best = np.maximum(best, score / area)
    return best


def _contrast(image: np.ndarray, corners: tuple) -> np.ndarray:
    """Return CC (n,): chi-square distance of the Lab histograms of windows and surroundings."""
    height, width = image.shape[:2]
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_LRGB2LAB)
    light = np.clip(lab[..., 0] // 25, 0, 3)
    a, b = (np.clip((lab[..., i] + 120) // 30, 0, 7) for i in (1, 2))
    bins = ((light * 8 + a) * 8 + b).astype(np.int32)
    x0, y0, x1, y1 = corners
    dx, dy = (x1 - x0) // 2, (y1 - y0) // 2
    around = (
        np.maximum(x0 - dx, 0),
        np.maximum(y0 - dy, 0),
        np.minimum(x1 + dx, width),
        np.minimum(y1 + dy, height),
    )
    area = (x1 - x0) * (y1 - y0)
    ring = np.maximum((around[2] - around[0]) * (around[3] - around[1]) - area, 1)
    distance = np.zeros(len(x0))
    for k in np.unique(bins):
        integral = cv2.integral((bins == k).astype(np.uint8))
        inside = _sums(integral, corners)
        h, g = inside / area, (_sums(integral, around) - inside) / ring
        distance += (h - g) ** 2 / np.maximum(h + g, 1e-12)
    return distance


def _edge_density(image: np.ndarray, corners: tuple) -> np.ndarray:
    """Return ED (n,): edge pixels in the inner ring, per pixel of perimeter."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 2**0.5)
    size = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    high = float(np.percentile(size, 70))
    integral = cv2.integral(cv2.Canny(grey, 0.4 * high, high) // 255)
    x0, y0, x1, y1 = corners
    share = (1 - 100 / 117) / 2
    dx, dy = (np.rint((b - a) * share).astype(int) for a, b in ((x0, x1), (y0, y1)))
    inner = x0 + dx, y0 + dy, x1 - dx, y1 - dy
    edges = _sums(integral, corners) - _sums(integral, inner)
    area = (x1 - x0) * (y1 - y0) - (inner[2] - inner[0]) * (inner[3] - inner[1])
    return edges * (dx + dy) / 2 / np.maximum(area, 1)


def _suppressed(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """Return the indices of the best corners (n, 4) that overlap no better one too much."""
    order = np.argsort(-scores, kind="stable")
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    kept: list[int] = []
    while len(order) and len(kept) < KEPT:
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[order, :2], boxes[best, :2])
        high = np.minimum(boxes[order, 2:], boxes[best, 2:])
        common = np.maximum(high - low, 0).prod(axis=1)
        order = order[common <= OVERLAP * (area[order] + area[best] - common)]
    return kept


def _softmax_map(boxes: np.ndarray, scores: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the TOP map (H, W) of corners (k, 4): summed scores, clipped, softmax."""
    total = np.zeros((height, width), np.float32)
    for (x0, y0, x1, y1), score in zip(boxes, scores, strict=True):
        total[y0:y1, x0:x1] += score
    count = round(CLIP * total.size)
    level = np.partition(total.ravel(), total.size - count)[-count:].mean()
    weights = np.exp(np.minimum(total, level) - level)
    return weights / weights.sum()
