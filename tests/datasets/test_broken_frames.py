"""Odd and broken frames: each is used as it is, or refused with a sentence that names it."""

import errno
import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from socl_pipeline.annotation.table import FrameRow
from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.errors import InputError

WIDTH, HEIGHT = 64, 48
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
EXTRA = b"\xff\xe1"  # APP1, where cameras put notes and thumbnails

y, x = np.mgrid[:HEIGHT, :WIDTH]
PICTURE = np.stack([x * 3 + 30, y * 4 + 30, 200 - x - y], axis=-1).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 60, PICTURE.shape, dtype=np.uint8)
DETAILED = PICTURE // 2 + NOISE  # enough bytes to cut and to corrupt
JPEG = encode_jpeg(DETAILED, 90)
SMOOTH = encode_jpeg(PICTURE, 95)


def saved(format, mode="RGB", picture=PICTURE, **options):
    """The picture in a format and mode of Pillow's."""
    buffer = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def by_opencv(extension, picture):
    return cv2.imencode(extension, picture)[1].tobytes()


def after_soi(jpeg, content):
    """The JPEG with one more segment in front."""
    return SOI + EXTRA + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def turned(orientation):
    """The JPEG with the note how the camera was held (EXIF tag 0x0112)."""
    tag = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return after_soi(SMOOTH, b"Exif\0\0MM\x00\x2a" + struct.pack(">IH", 8, 1) + tag + bytes(4))


def scan(jpeg):
    """Return where the entropy-coded data begin."""
    start = jpeg.index(b"\xff\xda")
    return start + 2 + struct.unpack(">H", jpeg[start + 2 : start + 4])[0]


def cut(share):
    """The JPEG cut in its coded data."""
    begin = scan(JPEG)
    return JPEG[: begin + int(share * (len(JPEG) - begin))]


def overwritten(value, length):
    """The JPEG with other bytes in the middle of its coded data."""
    middle = (scan(JPEG) + len(JPEG)) // 2
    return JPEG[:middle] + value * length + JPEG[middle + length :]


def declared(width, height):
    """The JPEG whose header declares another size than its data have."""
    frame = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:frame] + struct.pack(">HH", height, width) + JPEG[frame + 4 :]


def png_chunk(name, data):
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def png_bomb(side):
    """A PNG that declares side x side pixels and holds a few bytes."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + data + png_chunk(b"IEND", b"")


def with_adobe_transform(jpeg, transform):
    """The JPEG whose Adobe segment names another colour transform (2: YCCK)."""
    at = jpeg.index(b"Adobe") + 11
    return jpeg[:at] + bytes([transform]) + jpeg[at + 1 :]


CMYK = saved("JPEG", "CMYK", quality=90)
GREY = np.repeat(PICTURE.mean(axis=-1).astype(np.uint8)[..., None], 3, axis=-1)
PNG = saved("PNG")
FRAMES = [Image.fromarray(PICTURE), Image.fromarray(255 - PICTURE)]
ALL = {"save_all": True, "append_images": FRAMES[1:]}

# file content, the picture that should be seen (None: only its size), its largest mean error
USED = {
    "JPEG": (SMOOTH, PICTURE, 4),
    "progressive JPEG": (saved("JPEG", progressive=True, quality=95), PICTURE, 4),
    "JPEG with restart markers": (saved("JPEG", restart_marker_rows=1, quality=95), PICTURE, 4),
    "JPEG without subsampling": (saved("JPEG", subsampling=0, quality=95), PICTURE, 4),
    "grey JPEG": (saved("JPEG", "L", quality=95), None, 0),
    "CMYK JPEG": (CMYK, PICTURE, 8),
    "YCCK JPEG": (with_adobe_transform(CMYK, 2), None, 0),
    "JPEG of an RGB encoder": (saved("JPEG", quality=95, keep_rgb=True), PICTURE, 4),
    **{f"JPEG turned {i}": (turned(i), PICTURE, 4) for i in range(1, 9)},
    "JPEG with a thumbnail": (after_soi(SMOOTH, b"Exif\0\0" + saved("JPEG")), PICTURE, 4),
    "bytes after the end": (SMOOTH + b"\0\0trailer\xff\xda", PICTURE, 4),
    # the decoder sees padding; whether the picture suffered, it cannot tell
    "JPEG with bytes too many": (overwritten(b"\0", 300), None, 0),
    "two JPEGs in a file": (SMOOTH + saved("JPEG", picture=255 - PICTURE), PICTURE, 4),
    "PNG": (PNG, PICTURE, 0),
    "interlaced palette PNG": (saved("PNG", "P"), None, 0),
    "RGBA PNG": (saved("PNG", "RGBA"), PICTURE, 0),
    "grey PNG": (saved("PNG", picture=GREY[..., 0], mode="L"), GREY, 0),
    "1-bit PNG": (saved("PNG", "1"), None, 0),
    "16-bit PNG": (by_opencv(".png", PICTURE[..., ::-1].astype(np.uint16) * 257), PICTURE, 1),
    "16-bit grey PNG": (by_opencv(".png", GREY[..., 0].astype(np.uint16) * 257), GREY, 1),
    "BMP": (saved("BMP"), PICTURE, 0),
    "TIFF": (saved("TIFF"), PICTURE, 0),
    "WebP": (saved("WEBP", lossless=True), PICTURE, 0),
    "animated WebP": (saved("WEBP", lossless=True, **ALL), PICTURE, 0),
    "animated PNG": (saved("PNG", **ALL), PICTURE, 0),
}

CUT_OFF = "the JPEG is cut off; copy the file again"
NO_IMAGE = "not an image"
SIZE = "pixels, but its video's first frame has 64x48"

REFUSED = {
    "empty file": (b"", NO_IMAGE),
    "zeros": (bytes(5000), NO_IMAGE),
    "random bytes": (np.random.default_rng(1).bytes(5000), NO_IMAGE),
    "text": (b"frame 17, see the other disk\n", NO_IMAGE),
    "HTML error page": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", NO_IMAGE),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", NO_IMAGE),
    "start and end of a JPEG only": (SOI + EOI, NO_IMAGE),
    "start of a JPEG only": (SOI, CUT_OFF),
    "JPEG cut in its tables": (JPEG[:100], CUT_OFF),
    "JPEG cut at its scan": (JPEG[: scan(JPEG)], CUT_OFF),
    "JPEG cut at 1 %": (cut(0.01), CUT_OFF),
    "JPEG cut at 50 %": (cut(0.5), CUT_OFF),
    "JPEG cut at 99 %": (cut(0.99), CUT_OFF),
    "JPEG without its end marker": (JPEG[:-2], CUT_OFF),
    "JPEG filled up with zeros": (cut(0.5) + bytes(2000), CUT_OFF),
    "cut JPEG with an end marker": (cut(0.5) + EOI, CUT_OFF),
    "cut JPEG with a thumbnail": (after_soi(cut(0.5), b"Exif\0\0" + saved("JPEG")), CUT_OFF),
    "cut progressive JPEG": (saved("JPEG", progressive=True)[:-300], f"{CUT_OFF}|{NO_IMAGE}"),
    "JPEG with a foreign marker": (overwritten(b"\xff\xd9", 2), CUT_OFF),
    "JPEG with garbage in it": (overwritten(b"\xff\x01\x80", 60), CUT_OFF),
    "JPEG of 65500x65500 declared": (declared(65500, 65500), NO_IMAGE),
    "JPEG of no height": (declared(WIDTH, 0), f"{NO_IMAGE}|cut off"),
    "PNG of 60000x60000 declared": (png_bomb(60000), NO_IMAGE),
    "PNG cut off": (PNG[: len(PNG) // 2], NO_IMAGE),
    "PNG with a wrong byte": (PNG[:-40] + b"\x55" + PNG[-39:], NO_IMAGE),
    "BMP cut off": (saved("BMP")[:3000], NO_IMAGE),
    "1x1": (saved("PNG", picture=PICTURE[:1, :1]), SIZE),
    "one row": (saved("PNG", picture=PICTURE[:1]), SIZE),
    "one column": (saved("PNG", picture=PICTURE[:, :1]), SIZE),
    "one pixel less": (encode_jpeg(PICTURE[:, :-1], 90), SIZE),
    "width and height swapped": (encode_jpeg(PICTURE.transpose(1, 0, 2).copy(), 90), SIZE),
    "twice as large": (encode_jpeg(PICTURE.repeat(2, 0).repeat(2, 1), 90), SIZE),
}


def row_of(path):
    return FrameRow("video", 0, path, WIDTH, HEIGHT, np.array([32.0, 24.0]))


@pytest.mark.parametrize("name", USED)
def test_an_odd_frame_is_used(tmp_path, name):
    data, expected, tolerance = USED[name]
    path = tmp_path / "frame.jpg"  # a wrong ending does no harm
    path.write_bytes(data)
    image = row_of(path).read()
    assert image.shape == (HEIGHT, WIDTH, 3) and image.dtype == np.uint8
    if expected is not None:
        assert np.abs(image.astype(int) - expected).mean() <= tolerance


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_frame_is_refused(tmp_path, name):
    data, sentence = REFUSED[name]
    path = tmp_path / "frame.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError, match=sentence) as caught:
        row_of(path).read()
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def missing(path):
    pass


def folder(path):
    path.mkdir()


def dangling(path):
    path.symlink_to("nowhere.jpg")


def unreadable(path):
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    path.write_bytes(JPEG)
    path.chmod(0)


@pytest.mark.parametrize("make", [missing, folder, dangling, unreadable])
def test_what_is_no_readable_file_is_refused(tmp_path, make):
    path = tmp_path / "frame.jpg"
    make(path)
    with pytest.raises(InputError, match=r"frame\.jpg: cannot be read \("):
        row_of(path).read()


@pytest.fixture
def odd_clip(tmp_path, raw_config):
    """A config on a clip of all refused frames behind a good one, some odd ones, and odd clicks."""
    root = tmp_path / "clips"
    clip = root / "clip"
    clip.mkdir(parents=True)
    frames = {"good": JPEG, "grey": USED["grey JPEG"][0], "interlaced": USED["BMP"][0]}
    frames |= {name: data for name, (data, _) in REFUSED.items()}
    lines = ["video,frame,x,y"]
    for i, data in enumerate(frames.values()):
        (clip / f"{i:04d}.jpg").write_bytes(data)
        lines.append(f"clip,{i:04d},32,24")
    folder(clip / "8000.jpg")
    dangling(clip / "8001.jpg")
    lines += ["clip,8000,32,24", "clip,8001,32,24"]
    clicks = ("0,0", "64,48", "-1,5", "65,5", "5,-1", "5,49", "nan,5", "5,inf")
    for i, click in enumerate(clicks, start=9000):
        (clip / f"{i}.jpg").write_bytes(JPEG)
        lines.append(f"clip,{i},{click}")
    (root / "clicks.csv").write_text("\n".join(lines) + "\n")
    manifest = tmp_path / "clips.yaml"
    content = {"name": "c", "title": "C", "layout": "clips", "root": str(root), "licence": "-"}
    manifest.write_text(yaml.safe_dump(content))
    raw_config["datasets"]["demo"] = {"manifest": str(manifest)}
    return raw_config, len(frames) - 3


@pytest.mark.parametrize(("search", "reader"), [("opencv", "proposals"), ("local", "top_maps")])
def test_skip_lists_them_all_and_fail_stops_at_the_first(odd_clip, make_job, search, reader):
    """The stage that reads frames first names them; what follows leaves them out as well."""
    raw, refused = odd_clip
    raw["proposals"]["edgeboxes"]["search"] = search
    points = make_job("points", raw=raw, bad_frames="skip").execute()
    assert len(points.stats["skipped"]) == 6  # clicks on the border are used, beyond it not
    make_job("proposals", raw=raw, bad_frames="skip").execute()
    skipped = make_job(reader, raw=raw, bad_frames="skip").execute().stats["skipped"]
    assert [entry["frame"] for entry in skipped] == list(range(3, 3 + refused + 2))
    assert all(f"{entry['frame']:04d}.jpg: " in entry["reason"] for entry in skipped[:-2])
    assert "8000.jpg: cannot be read (Is a directory)" in skipped[-2]["reason"]
    assert "8001.jpg: cannot be read (No such file or directory)" in skipped[-1]["reason"]
    with pytest.raises(InputError, match=r"0003\.jpg: not an image.*pass --on-bad-frame skip"):
        make_job(reader, raw=raw, bad_frames="fail").execute()
    top_maps = make_job("top_maps", raw=raw, bad_frames="skip").execute()
    assert top_maps.stats["left_out"] == refused + 2


def test_an_outage_of_the_disk_leaves_no_frame_out(odd_clip, make_job, monkeypatch):
    """Else a run under `skip` would end well with nothing in it, and be kept in the cache."""
    raw, _ = odd_clip
    monkeypatch.setattr("socl_pipeline.faults.PAUSES_S", (0,))
    make_job("points", raw=raw, bad_frames="skip").execute()
    make_job("proposals", raw=raw, bad_frames="skip").execute()

    def fails(path):
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", fails)
    with pytest.raises(OSError, match="Input/output error"):
        make_job("top_maps", raw=raw, bad_frames="skip", workers=0).execute()
