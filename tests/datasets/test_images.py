import cv2
import numpy as np
import pytest

from socl_pipeline.datasets.images import (
    decode_image,
    encode_jpeg,
    header_size,
    image_size,
    read_image,
    read_reduced,
    reduction,
)
from socl_pipeline.errors import InputError

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
READERS = {"whole": read_image, "reduced": lambda path: read_reduced(path, 16)[0]}


@pytest.fixture
def jpeg(textured):
    return encode_jpeg(textured(0, 48, 64), 90)


@pytest.fixture(params=READERS.values(), ids=READERS)
def read(request):
    """Both ways to read a file, which refuse the same files in the same words."""
    return request.param


def with_segment(jpeg, content):
    """The JPEG with one more APP1 segment, where cameras put a thumbnail."""
    return SOI + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + jpeg[2:]


def turned(jpeg):
    """The JPEG with the note (EXIF orientation 6) that the camera was held sideways."""
    entry = bytes.fromhex("0112 0003 00000001 0006 0000")
    tiff = b"MM\x00\x2a" + (8).to_bytes(4, "big") + (1).to_bytes(2, "big") + entry + bytes(4)
    return with_segment(jpeg, b"Exif\0\0" + tiff)


def ramp(height, width):
    """A smooth picture (height, width, 3) whose colours say where one is: x in red, y in green."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / width, y * 255 / height, 0 * x + 90], axis=-1).astype(np.uint8)


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
def test_a_cut_off_jpeg_is_refused(tmp_path, jpeg, share, read):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg[: int(share * len(jpeg))])
    with pytest.raises(InputError, match=r"a\.jpg: the JPEG is cut off"):
        read(path)


def test_a_thumbnail_does_not_hide_a_cut(tmp_path, jpeg, textured, read):
    thumbnail = encode_jpeg(textured(1, 16, 16), 50)
    whole = with_segment(jpeg, b"Exif\0\0" + thumbnail)
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert read(path).shape[2] == 3
    path.write_bytes(whole[:-200])
    with pytest.raises(InputError, match=r"a\.jpg: the JPEG is cut off"):
        read(path)


def test_a_hole_is_refused(tmp_path, jpeg, read):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg[: len(jpeg) // 2] + EOI)
    with pytest.raises(InputError, match=r"a\.jpg: the JPEG is cut off"):
        read(path)


def test_bytes_after_the_end_do_no_harm(tmp_path, jpeg, read):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg + b"\0\0trailer\xff\xda")
    assert read(path).shape[2] == 3


@pytest.mark.parametrize("content", [b"", b"not an image", SOI + EOI])
def test_files_that_are_no_image_are_named(tmp_path, content, read):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.jpg: "):
        read(path)


def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(InputError, match=r"b\.jpg: cannot be read \(No such file"):
        read(tmp_path / "b.jpg")


def test_undecodable_bytes_give_none():
    assert decode_image(b"") is None
    assert decode_image(b"nothing") is None
    assert decode_image(SOI + b"nothing") is None


def test_pixels_are_those_of_opencv(jpeg):
    """Datasets read with either decoder, or by older versions, stay comparable."""
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    difference = decode_image(jpeg).astype(int) - bgr[..., ::-1]
    assert np.abs(difference).max() <= 2


def test_orientation_notes_are_ignored(tmp_path, jpeg, read):
    plain, noted = tmp_path / "plain.jpg", tmp_path / "noted.jpg"
    plain.write_bytes(jpeg)
    noted.write_bytes(turned(jpeg))
    swapped = cv2.imdecode(np.frombuffer(turned(jpeg), np.uint8), cv2.IMREAD_COLOR)
    assert swapped.shape == (64, 48, 3), "the note is one that OpenCV would follow"
    np.testing.assert_array_equal(read(noted), read(plain))
    assert image_size(noted) == (64, 48)


def test_grey_jpegs_have_three_channels(tmp_path, read):
    grey = ramp(48, 64)[..., 0]
    cv2.imwrite(str(tmp_path / "a.jpg"), grey)
    image = read(tmp_path / "a.jpg")
    assert image.shape[2] == 3 and np.ptp(image, axis=2).max() == 0


class TestHeaderSize:
    def test_it_is_the_size_of_the_image(self, tmp_path, jpeg, textured):
        pictures = {"a.jpg": jpeg, "b.jpg": with_segment(jpeg, bytes(60000))}
        pictures["c.jpg"] = with_segment(with_segment(jpeg, bytes(60000)), bytes(60000))
        pictures["d.jpg"] = jpeg + bytes(9000)  # its end is before the tail
        pictures["e.png"] = cv2.imencode(".png", textured(0, 48, 64))[1].tobytes()
        for name, data in pictures.items():
            (tmp_path / name).write_bytes(data)
            assert header_size(tmp_path / name) == (64, 48), name

    def test_a_large_file_is_not_read_whole(self, tmp_path, monkeypatch):
        noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)
        (tmp_path / "a.jpg").write_bytes(encode_jpeg(noise, 95))
        monkeypatch.setattr("socl_pipeline.datasets.images._read", None)
        assert header_size(tmp_path / "a.jpg") == (600, 400)

    def test_a_thumbnail_does_not_hide_a_cut(self, tmp_path, jpeg, textured):
        data = with_segment(encode_jpeg(textured(1, 200, 300), 95), b"Exif\0\0" + jpeg)
        (tmp_path / "a.jpg").write_bytes(data[: -len(data) // 4])
        with pytest.raises(InputError, match=r"a\.jpg: the JPEG is cut off"):
            header_size(tmp_path / "a.jpg")

    @pytest.mark.parametrize(("data", "what"), [(b"", "is empty"), (b"GIF?", "not an image")])
    def test_what_is_no_image(self, tmp_path, data, what):
        (tmp_path / "a.jpg").write_bytes(data)
        with pytest.raises(InputError, match=rf"a\.jpg: .*{what}"):
            header_size(tmp_path / "a.jpg")
        with pytest.raises(InputError, match=r"b\.jpg: cannot be read"):
            header_size(tmp_path / "b.jpg")


class TestReduced:
    @pytest.mark.parametrize(
        ("width", "height", "long_side", "expected"),
        [
            (1920, 1080, 480, 4),
            (1080, 1920, 480, 4),
            (1919, 1080, 480, 2),
            (959, 540, 480, 1),
            (100, 100, 480, 1),
            (9000, 20, 480, 8),
            (1, 1, 1, 1),
        ],
    )
    def test_factor(self, width, height, long_side, expected):
        assert reduction(width, height, long_side) == expected

    @pytest.mark.parametrize("factor", [1, 2, 4, 8])
    @pytest.mark.parametrize(("width", "height"), [(160, 96), (149, 91)])
    def test_content_is_where_the_scale_says(self, tmp_path, factor, width, height):
        path, long_side = tmp_path / "a.jpg", width // factor
        path.write_bytes(encode_jpeg(ramp(height, width), 98))
        image, size = read_reduced(path, long_side)
        assert size == (width, height)
        assert image.shape == (-(-height // factor), -(-width // factor), 3)
        inner = image[: height // factor, : width // factor].astype(float)
        block = ramp(height, width)[: len(inner) * factor, : inner.shape[1] * factor]
        means = block.reshape(len(inner), factor, -1, factor, 3).mean(axis=(1, 3))
        assert np.abs(inner - means)[..., :2].max() < 6

    def test_other_formats_are_decoded_whole(self, tmp_path):
        cv2.imwrite(str(tmp_path / "a.png"), ramp(40, 60)[..., ::-1])
        image, size = read_reduced(tmp_path / "a.png", 10)
        assert size == (60, 40)
        np.testing.assert_array_equal(image, ramp(40, 60))

    def test_no_image_is_made_larger(self, tmp_path, jpeg):
        path = tmp_path / "a.jpg"
        path.write_bytes(jpeg)
        image, _ = read_reduced(path, 1000)
        np.testing.assert_array_equal(image, read_image(path))
