"""Reading frames: uint8 RGB, and a sentence instead of a half-decoded picture.

JPEGs are decoded by simplejpeg, which gives the same pixels as OpenCV in less time, can decode at
a reduced scale and notices missing data; OpenCV decodes what simplejpeg does not. The orientation
that a camera may have noted in a file (EXIF) is ignored: boxes and clicks count stored pixels.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.faults import TRANSIENT, retried

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
JPEG_REDUCTIONS = (8, 4, 2)  # scales of the inverse transform that libjpeg has fast code for
MISSING_DATA = "remature end"  # in libjpeg's words for a file or a scan that ends too early
HEAD_BYTES, TAIL_BYTES = 65536, 4096  # of a JPEG in which its size and its end usually lie
LARGEST_SIDE = 16384  # px; twice what the store of TOP maps reaches

Image = NDArray[np.uint8]
Encoded = bytes | NDArray[np.uint8]


def read_image(path: Path) -> Image:
    """Return an image as uint8 RGB (H, W, 3).

    Raises InputError if the file is missing, cut off or not an image, and OSError if the disk
    does not answer.
    """
    return _decode_file(path, _read(path), 1)


def read_reduced(path: Path, long_side: int) -> tuple[Image, tuple[int, int]]:
    """Return an image as uint8 RGB (h, w, 3), reduced if that is cheaper, and its full size.

    A JPEG is decoded at 1/k of its size, k = `reduction(width, height, long_side)`, and has
    ceil(width / k) x ceil(height / k) pixels; every other format is decoded whole. The full size
    is width and height. Raises InputError as `read_image` does.
    """
    data = _read(path)
    size = _jpeg_size(data)
    factor = 1 if size is None else reduction(*size, long_side)
    image = _decode_file(path, data, factor)
    return image, size or (image.shape[1], image.shape[0])


def reduction(width: int, height: int, long_side: int) -> int:
    """Return the largest k of 1, 2, 4, 8 that leaves an image at least `long_side` pixels long."""
    fitting = (k for k in JPEG_REDUCTIONS if max(width, height) >= k * long_side)
    return next(fitting, 1)


def image_size(path: Path) -> tuple[int, int]:
    """Return width and height of an image file. Raises InputError as `read_image` does.

    Of a JPEG only the header and the presence of its end are looked at.
    """
    data = _read(path)
    size = _jpeg_size(data)
    if size is not None:
        return size
    height, width = _decode_file(path, data, 1).shape[:2]
    return width, height


def header_size(path: Path) -> tuple[int, int]:
    """Return what `image_size` does, from the head and the tail of a file where they tell.

    Of a JPEG with its size in the first 64 KiB and its end in the last 4 KiB no more is read; any
    other file is read whole.
    """
    head, tail = _ends(path)
    if not head:
        raise InputError(f"{path}: the file is empty; copy it again")
    size = _jpeg_size(head) if JPEG_END in tail else None
    return size or image_size(path)


def _ends(path: Path) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file; of a short one both are all of it."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            if len(head) == HEAD_BYTES:
                file.seek(-TAIL_BYTES, os.SEEK_END)
                return head, file.read()
            return head, head
    except OSError as error:
        if error.errno in TRANSIENT:
            raise
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def decode_image(data: Encoded) -> Image | None:
    """Return encoded image bytes as uint8 RGB (H, W, 3), or None if they cannot be decoded."""
    try:
        return _decode(data, 1)
    except _MissingDataError:
        return None


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Return a uint8 RGB image (H, W, 3) as JPEG bytes."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not ok:
        raise RuntimeError(f"OpenCV could not encode an image of shape {image.shape}")
    return data.tobytes()


class _MissingDataError(Exception):
    """A JPEG without all of its data."""


def _read(path: Path) -> bytes:
    try:
        data = retried(path.read_bytes)
    except OSError as error:
        if error.errno in TRANSIENT:  # an outage of the disk is not the frame's fault
            raise
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if data.startswith(JPEG_START) and data.rfind(JPEG_END) < 0:
        raise _cut_off(path)
    if max(_jpeg_size(data) or (0,)) > LARGEST_SIDE:  # a header may ask for gigabytes
        raise _undecodable(path, data)
    return data


def _cut_off(path: Path) -> InputError:
    return InputError(f"{path}: the JPEG is cut off; copy the file again")


def _undecodable(path: Path, data: bytes) -> InputError:
    return InputError(f"{path}: not an image that OpenCV can decode ({len(data)} bytes)")


def _decode_file(path: Path, data: bytes, factor: int) -> Image:
    try:
        image = _decode(data, factor)
    except _MissingDataError:
        raise _cut_off(path) from None
    if image is None:
        raise _undecodable(path, data)
    return image


def _decode(data: Encoded, factor: int) -> Image | None:
    """Decode at 1/factor (JPEG) or whole. OpenCV would fill a hole with grey and say nothing."""
    try:
        return _decode_jpeg(data, factor)
    except ValueError as error:
        if MISSING_DATA in str(error):
            raise _MissingDataError from None
    buffer = np.frombuffer(data, np.uint8)
    if buffer.size == 0:
        return None
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # a header that declares more pixels than OpenCV's own limit
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _decode_jpeg(data: Encoded, factor: int) -> Image:
    """Decode a JPEG at 1/factor. Raises ValueError for what simplejpeg cannot decode."""
    if factor == 1:
        return simplejpeg.decode_jpeg(data, "RGB")
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    smallest = {"min_height": -(-height // factor), "min_width": -(-width // factor)}
    return simplejpeg.decode_jpeg(data, "RGB", **smallest)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in the header of a JPEG; None if it is none that can be read."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return width, height
