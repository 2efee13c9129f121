"""Reading frames: uint8 RGB, and a sentence instead of a half-decoded picture."""

from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.faults import retried

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
LARGEST_SIDE = 16384  # px; twice what the store of TOP maps reaches


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return an image as uint8 RGB (H, W, 3).

    Raises InputError if the file is missing, cut off or not an image. OpenCV decodes a JPEG that
    was cut off with grey in place of what is missing, so its end marker is checked here.
    """
    try:
        data = retried(path.read_bytes)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if data.startswith(JPEG_START) and data.rfind(JPEG_END) < 0:
        raise InputError(f"{path}: the JPEG is cut off; copy the file again")
    image = None if _declares_too_much(data) else decode_image(data)
    if image is None:
        raise InputError(f"{path}: not an image that OpenCV can decode ({len(data)} bytes)")
    return image


def _declares_too_much(data: bytes) -> bool:
    """Return whether a JPEG's header asks for gigabytes, whatever its data hold."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:  # not a JPEG, or one that will not be decoded either
        return False
    return max(width, height) > LARGEST_SIDE


def decode_image(data: bytes | NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return encoded image bytes as uint8 RGB (H, W, 3), or None if they cannot be decoded."""
    buffer = np.frombuffer(data, np.uint8)
    if buffer.size == 0:
        return None
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
    except cv2.error:  # a header that declares more pixels than OpenCV's own limit
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Return a uint8 RGB image (H, W, 3) as JPEG bytes."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not ok:
        raise RuntimeError(f"OpenCV could not encode an image of shape {image.shape}")
    return data.tobytes()


def image_size(path: Path) -> tuple[int, int]:
    """Return width and height of an image file. Raises InputError as `read_image` does."""
    height, width = read_image(path).shape[:2]
    return width, height
