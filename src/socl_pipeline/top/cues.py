"""Objectness cues of Alexe et al. (PAMI 2012) that SoCL uses: MS, CC and ED.

Multi-scale saliency, colour contrast and edge density of many windows of one image. Constants are
the published ones of the objectness release 2.2; the superpixel cue is left out, as in SoCL 3.1.
Each cue turns the image into integral maps once and then reads every window from their corners.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]
Int = NDArray[np.integer]

CUES = ("ms", "cc", "ed")


@dataclass(frozen=True)
class CueSettings:
    """Constants of the cues.

    ms_scales, ms_thresholds: sides of the saliency maps and their thresholds (release 2.2).
    cc_theta: how much larger the surrounding window is, in percent (release 2.2).
    ed_theta: how much of the window is its inner ring, in percent (release 2.2).
    """

    ms_scales: tuple[int, ...] = (16, 24, 32, 48, 64)
    ms_thresholds: tuple[float, ...] = (0.43, 0.32, 0.34, 0.35, 0.26)
    cc_theta: float = 100.0
    ed_theta: float = 17.0


def window_cues(
    image: NDArray[np.uint8], windows: Float, settings: CueSettings | None = None
) -> Float:
    """Return the cues (n, 3), in the order of CUES, of windows (n, 4) of an RGB image (H, W, 3)."""
    settings = settings or CueSettings()
    corners = pixel_corners(windows, image.shape[1], image.shape[0])
    return np.stack(
        [
            multiscale_saliency(image, corners, settings),
            colour_contrast(image, corners, settings.cc_theta),
            edge_density(image, corners, settings.ed_theta),
        ],
        axis=1,
    )


def pixel_corners(windows: Float, width: int, height: int) -> Int:
    """Return windows (n, 4) as whole pixels x0, y0, x1, y1 (end exclusive), never empty."""
    limit = np.array([width, height])
    low = np.clip(np.rint(windows[:, :2]), 0, limit - 1).astype(np.int64)
    high = np.clip(np.rint(windows[:, :2] + windows[:, 2:]), low + 1, limit).astype(np.int64)
    return np.concatenate([low, high], axis=1)


def integral(values: Float | Int) -> Float:
    """Return the integral map (H + 1, W + 1) of a map (H, W), in float64."""
    return cv2.integral(values, sdepth=cv2.CV_64F)


def window_sums(integral_map: Float, corners: Int) -> Float:
    """Return the sums over windows (n, 4: x0, y0, x1, y1) of a map given by its integral.

    integral_map: (H + 1, W + 1) or (H + 1, W + 1, C). Returns (n,) or (n, C).
    """
    x0, y0, x1, y1 = corners.T
    sums = integral_map[y1, x1] - integral_map[y0, x1] - integral_map[y1, x0]
    return np.asarray(sums + integral_map[y0, x0])


def multiscale_saliency(image: NDArray[np.uint8], corners: Int, settings: CueSettings) -> Float:
    """Return MS (n,): the largest saliency over scales, summed over colour channels.

    At each scale s the image becomes s x s, its spectral residual saliency is thresholded, and a
    window scores (sum of what is left) * (pixels left) / (window area in map pixels). The release
    samples windows from these maps and has no rule for given windows: the maximum over scales of
    the sum over channels is our choice.
    """
    height, width = image.shape[:2]
    best = np.zeros(len(corners))
    for side, threshold in zip(settings.ms_scales, settings.ms_thresholds, strict=True):
        ratio = np.array([side / width, side / height] * 2)
        scaled = pixel_corners(_as_windows(corners * ratio), side, side)
        area = np.prod(scaled[:, 2:] - scaled[:, :2], axis=1)
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        total = np.zeros(len(corners))
        for channel in range(3):
            saliency = spectral_residual(small[..., channel].astype(np.float64))
            salient = saliency >= threshold
            mass = window_sums(integral(np.where(salient, saliency, 0.0)), scaled)
            count = window_sums(integral(salient.astype(np.float64)), scaled)
            total += mass * count / area
        best = np.maximum(best, total)
    return best


def spectral_residual(channel: Float) -> Float:
    """Return the spectral residual saliency (s, s) of a map (s, s), scaled to [0, 1]."""
    spectrum = np.fft.fft2(channel)
    log_amplitude = np.log(np.abs(spectrum) + 1e-12)
    average = cv2.blur(log_amplitude, (3, 3), borderType=cv2.BORDER_REPLICATE)
    phase = np.exp(1j * np.angle(spectrum))
    saliency = np.abs(np.fft.ifft2(np.exp(log_amplitude - average) * phase)) ** 2
    smooth = cv2.filter2D(saliency, -1, _disk(3), borderType=cv2.BORDER_CONSTANT)
    low, high = smooth.min(), smooth.max()
    return (smooth - low) / max(high - low, 1e-12)


def _disk(radius: int) -> Float:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = (x**2 + y**2 <= (radius + 0.5) ** 2).astype(np.float64)
    return inside / inside.sum()


LAB_BINS = (4, 8, 8)
LAB_LOW = np.array([0.0, -120.0, -120.0])
LAB_WIDTH = np.array([25.0, 30.0, 30.0])


def lab_bins(image: NDArray[np.uint8]) -> tuple[Int, int]:
    """Return each pixel's histogram bin (H, W), renumbered without empty bins, and their number.

    Lab comes from linear RGB in float: in 8 bits, grey pixels fall on either side of the bin edge
    that lies at a = b = 0.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_LRGB2LAB)
    position = np.floor((lab - LAB_LOW) / LAB_WIDTH).astype(np.int64)
    index = np.clip(position, 0, np.array(LAB_BINS) - 1)
    flat = (index[..., 0] * LAB_BINS[1] + index[..., 1]) * LAB_BINS[2] + index[..., 2]
    occupied = np.zeros(int(np.prod(LAB_BINS)), bool)
    occupied[flat] = True
    renumbered = np.cumsum(occupied) - 1
    return renumbered[flat], int(occupied.sum())


def surrounding(corners: Int, theta: float, width: int, height: int) -> Int:
    """Return windows (n, 4) enlarged by theta percent of their size, cut at the frame."""
    x0, y0, x1, y1 = corners.T
    dx, dy = (x1 - x0) * theta / 200, (y1 - y0) * theta / 200
    grown = np.stack([x0 - dx, y0 - dy, x1 + dx, y1 + dy], axis=1)
    limit = np.array([width, height, width, height])
    return np.clip(np.rint(grown), 0, limit).astype(np.int64)


def colour_contrast(image: NDArray[np.uint8], corners: Int, theta: float) -> Float:
    """Return CC (n,): chi-square distance between the Lab histograms of window and surrounding.

    sum (h - g)^2 / (h + g) without the factor 1/2, in [0, 2]; 0 if there is no surrounding.
    """
    bins, count = lab_bins(image)
    maps = np.stack([integral((bins == b).astype(np.uint8)) for b in range(count)], axis=-1)
    inside = window_sums(maps, corners)
    ring = window_sums(maps, surrounding(corners, theta, image.shape[1], image.shape[0])) - inside
    ring_area = ring.sum(axis=1, keepdims=True)
    h = inside / inside.sum(axis=1, keepdims=True)
    g = ring / np.maximum(ring_area, 1)
    total = h + g
    distance = np.divide((h - g) ** 2, total, out=np.zeros_like(h), where=total > 0).sum(axis=1)
    return np.where(ring_area[:, 0] > 0, distance, 0.0)


CANNY_SIGMA = 2**0.5  # MATLAB's edge(..., 'canny')
CANNY_QUANTILE = 0.7  # its high threshold: share of pixels that are not edges
CANNY_BINS = 64
CANNY_LOW = 0.4  # its low threshold as a share of the high one
CANNY_FLAT = 1e-2  # grey levels a pixel: smaller gradients are rounding errors of the filter


def canny_edges(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return thinned 0/1 edges (H, W) with the thresholds of MATLAB's default Canny."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), CANNY_SIGMA, borderType=cv2.BORDER_REPLICATE)
    half = np.array([-0.5, 0, 0.5], np.float32)
    one = np.ones(1, np.float32)
    dx = cv2.sepFilter2D(smooth, cv2.CV_32F, half, one, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.sepFilter2D(smooth, cv2.CV_32F, one, half, borderType=cv2.BORDER_REPLICATE)
    strength = cv2.magnitude(dx, dy)
    largest = float(strength.max())
    if largest <= CANNY_FLAT:
        return np.zeros(grey.shape, np.uint8)
    histogram, _ = np.histogram(strength, CANNY_BINS, (0, largest))
    enough = np.cumsum(histogram) > CANNY_QUANTILE * grey.size
    high = (int(np.argmax(enough)) + 1) / CANNY_BINS
    scale = 16384 / largest  # Canny takes int16 gradients; this uses half their range
    dx16, dy16 = np.rint(dx * scale).astype(np.int16), np.rint(dy * scale).astype(np.int16)
    edges = cv2.Canny(dx16, dy16, CANNY_LOW * high * 16384, high * 16384, L2gradient=True)
    return (edges > 0).astype(np.uint8)


def edge_density(image: NDArray[np.uint8], corners: Int, theta: float) -> Float:
    """Return ED (n,): edge pixels in the window's inner ring per pixel of its perimeter."""
    edges = integral(canny_edges(image))
    x0, y0, x1, y1 = corners.T
    width, height = x1 - x0, y1 - y0
    shrunk = 100 / (100 + theta)
    dx, dy = width * (1 - shrunk) / 2, height * (1 - shrunk) / 2
    inner = np.rint(np.stack([x0 + dx, y0 + dy, x1 - dx, y1 - dy], axis=1)).astype(np.int64)
    inner[:, 2:] = np.maximum(inner[:, 2:], inner[:, :2])
    in_ring = window_sums(edges, corners) - window_sums(edges, inner)
    inner_width, inner_height = inner[:, 2] - inner[:, 0], inner[:, 3] - inner[:, 1]
    ring_area = width * height - inner_width * inner_height
    thickness = ((x1 - inner[:, 2]) + (y1 - inner[:, 3])) / 2
    return np.where(ring_area > 0, in_ring * thickness / np.maximum(ring_area, 1), 0.0)


def _as_windows(corners: Float) -> Float:
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
