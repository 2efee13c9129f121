import cv2
import numpy as np
import pytest

from socl_pipeline.datasets.images import decode_image, encode_jpeg, image_size, read_image
from socl_pipeline.errors import InputError

SOI, EOI = b"\xff\xd8", b"\xff\xd9"


@pytest.fixture
def jpeg(textured):
    return encode_jpeg(textured(0, 48, 64), 90)


def with_segment(jpeg, content):
    """The JPEG with one more APP1 segment, where cameras put a thumbnail."""
    return SOI + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + jpeg[2:]


def test_png_is_read_as_rgb(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), rgb[..., ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), rgb)
    assert image_size(tmp_path / "a.png") == (7, 5)


def test_grey_files_have_three_channels(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.stack([grey] * 3, axis=-1))


def test_jpeg_round_trip_keeps_the_colours(textured):
    image = textured(0, 48, 64)
    decoded = decode_image(encode_jpeg(image, 95))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).mean() < 4


def test_a_better_quality_is_a_larger_file(textured):
    image = textured(1, 48, 64)
    assert len(encode_jpeg(image, 95)) > len(encode_jpeg(image, 50))


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_off_jpeg_is_refused(tmp_path, jpeg, share):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg[: int(share * len(jpeg))])
    with pytest.raises(InputError, match=r"a\.jpg: the JPEG is cut off"):
        read_image(path)


def test_a_thumbnail_does_not_hide_a_cut(tmp_path, jpeg, textured):
    thumbnail = encode_jpeg(textured(1, 16, 16), 50)
    whole = with_segment(jpeg, b"Exif\0\0" + thumbnail)
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert read_image(path).shape == (48, 64, 3)
    path.write_bytes(whole[:-200])
    with pytest.raises(InputError, match=r"a\.jpg: "):
        read_image(path)


def test_bytes_after_the_end_do_no_harm(tmp_path, jpeg):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg + b"\0\0trailer\xff\xda")
    assert read_image(path).shape == (48, 64, 3)


@pytest.mark.parametrize("content", [b"", b"not an image", SOI + EOI])
def test_files_that_are_no_image_are_named(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.jpg: "):
        read_image(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"b\.jpg: cannot be read \(No such file"):
        read_image(tmp_path / "b.jpg")


def test_undecodable_bytes_give_none():
    assert decode_image(b"") is None
    assert decode_image(b"nothing") is None
