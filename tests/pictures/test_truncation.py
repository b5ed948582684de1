"""Complete pictures with a damaged end are decoded; truncated ones are failures that say so."""

import random
import struct
from functools import cache

import numpy as np
import pytest
from PIL import Image
from support.pixels import encode_picture

from searchapp.errors import PictureError
from searchapp.pictures import decode, jpeg_end

END = b"\xff\xd9"
JPEG_KINDS = {
    "plain": {},
    "progressive": {"progressive": True},
    "444": {"subsampling": 0, "quality": 95},
    "optimized": {"optimize": True, "quality": 30},
    "restarts": {"restart_marker_blocks": 3},
    "restart rows": {"restart_marker_rows": 1, "subsampling": 0},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 2},
    "gray": {"mode": "L"},
    "cmyk": {"mode": "CMYK"},
}


@cache
def draw_picture(size: tuple[int, int] = (200, 152)) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@cache
def make_jpeg(kind: str) -> bytes:
    options = dict(JPEG_KINDS[kind])
    return encode_picture(draw_picture().convert(options.pop("mode", "RGB")), "JPEG", **options)


def decode_full(data: bytes) -> Image.Image:
    return decode.decode_picture(data, lambda width, height: (width, height))[0]


@pytest.mark.parametrize("kind", JPEG_KINDS)
@pytest.mark.parametrize(
    "end",
    [b"", b"\xff", b"\xff\xff", END + b"text", bytes(3000), END + bytes(3000), b"text" * 150,
     b"\xff\xd8\xff\xe0\0\x10JFIF", b"\xff\xc4\0\x05abc", END + b"\xff\xda"],
    ids=["none", "half", "fill", "text behind", "zeros", "zeros behind", "text", "jpeg", "table",
         "marker behind"],
)  # fmt: skip
def test_a_jpeg_with_a_damaged_end_shows_its_picture(kind: str, end: bytes) -> None:
    """Without its end marker, or with anything behind it, also at a reduced size."""
    data = make_jpeg(kind)
    assert data.endswith(END)
    assert decode_full(data[:-2] + end).tobytes() == decode_full(data).tobytes()
    reduced, expected = (
        decode.decode_picture(each, lambda *_: (40, 40))[0] for each in (data[:-2] + end, data)
    )
    assert reduced.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", [kind for kind in JPEG_KINDS if "progressive" not in kind])
def test_a_truncated_jpeg_with_an_end_marker_is_an_error(kind: str) -> None:
    """Repair tools append the marker, and decoders show the missing blocks in gray."""
    data = make_jpeg(kind)
    start = data.index(b"\xff\xda") + 20
    for share in (0.2, 0.5, 0.8, 0.95):
        cut = data[: start + int(share * (len(data) - start))].rstrip(b"\xff")
        for end in (END, END + bytes(3000)):
            for side in (40, 1000):
                with pytest.raises(PictureError, match=r"the lower .* is missing"):
                    decode.decode_picture(cut + end, lambda *_, side=side: (side, side))


def test_a_complete_gray_jpeg_is_decoded() -> None:
    """Its last corner looks like a missing one."""
    for mode, color in (("RGB", (128, 128, 128)), ("L", 128), ("CMYK", (127, 127, 127, 127))):
        picture = Image.new(mode, (64, 48), color)
        assert decode_full(encode_picture(picture, "JPEG")).size == (64, 48)


@pytest.mark.parametrize("kind", JPEG_KINDS)
def test_a_truncated_jpeg_is_an_error(kind: str) -> None:
    """Every cut in the pixels fails."""
    data = make_jpeg(kind)
    start = data.index(b"\xff\xda") + 20
    numbers = random.Random(0)
    cuts = [numbers.randrange(start, len(data) - 3) for _ in range(25)]
    for cut in (*cuts, len(data) - 4, len(data) - 6):
        with pytest.raises(PictureError, match="image file is truncated"):
            decode_full(data[:cut])


def test_a_jpeg_truncated_between_restarts_and_scans_is_an_error() -> None:
    """All blocks before the cut are complete there."""
    data = make_jpeg("restarts")
    for number in range(8):
        cut = data.index(bytes((0xFF, 0xD0 + number)))
        with pytest.raises(PictureError, match=r"the lower \d+ % of the picture is missing"):
            decode_full(data[:cut])
    progressive = make_jpeg("progressive")
    starts = [n for n in range(len(progressive)) if progressive.startswith(b"\xff\xda", n)]
    for number, cut in enumerate(starts[1:], 1):
        with pytest.raises(PictureError, match=f"in or after scan {number} of a progressive JPEG"):
            decode_full(progressive[:cut])


def test_the_missing_part_is_told() -> None:
    """Half of the data is about half of the picture."""
    data = make_jpeg("plain")
    start = data.index(b"\xff\xda")
    with pytest.raises(PictureError) as caught:
        decode_full(data[: (start + len(data)) // 2])
    percent = int(str(caught.value).split("lower ")[1].split(" %")[0])
    assert 35 <= percent <= 65
    with pytest.raises(PictureError, match="36 bytes missing"):
        decode_full(encode_picture(draw_picture(), "BMP")[:-36])
    with pytest.raises(PictureError, match="at least 1 byte missing"):
        decode_full(encode_picture(draw_picture(), "WEBP")[:-1])
    png = encode_picture(draw_picture(), "PNG")
    with pytest.raises(PictureError, match=r"truncated: \d+ % of its pixel data is missing"):
        decode_full(png[: len(png) // 2])
    for format in ("TIFF", "HEIF", "AVIF", "JPEG2000"):
        decode._load_pillow()
        with pytest.raises(PictureError, match=r"truncated: at least \d+ bytes missing"):
            decode_full(encode_picture(draw_picture(), format)[:-100])


def test_a_picture_without_end_marker_is_checked_for_its_size() -> None:
    """The limits apply before it is decoded twice."""
    data = make_jpeg("plain")[:-2]
    with pytest.raises(PictureError, match="the limit is 0"):
        jpeg_end.complete_jpeg(data, 0.01)


@pytest.mark.parametrize(
    "format", ["PNG", "WEBP", "GIF", "TIFF", "BMP", "HEIF", "AVIF", "JPEG2000"]
)
def test_bytes_behind_a_picture_are_ignored(format: str) -> None:
    """Text, zeros, or another picture."""
    decode._load_pillow()
    data = encode_picture(draw_picture(), format)
    for rest in (b"text, not a picture", bytes(5000), make_jpeg("plain")):
        assert decode_full(data + rest).tobytes() == decode_full(data).tobytes()


def test_a_png_without_its_last_chunk_is_decoded() -> None:
    """The chunk IEND, or a part of it, and the checksum of the pixels can lack."""
    data = encode_picture(draw_picture(), "PNG")
    for missing in (1, 4, 8, 12, 14, 16):
        assert decode_full(data[:-missing]).tobytes() == decode_full(data).tobytes()


def test_a_gif_without_its_trailer_is_decoded() -> None:
    """So is the first frame of a truncated animation."""
    still = encode_picture(draw_picture(), "GIF")
    assert decode_full(still[:-1]).tobytes() == decode_full(still).tobytes()
    frames = [draw_picture(), draw_picture().rotate(90)]
    for format in ("GIF", "WEBP"):
        data = encode_picture(frames[0], format, save_all=True, append_images=frames[1:])
        assert decode_full(data[:-40]).tobytes() == decode_full(data).tobytes()


def test_a_webp_with_a_damaged_end_is_decoded() -> None:
    """Metadata behind the pixels, and the last fill byte, can be cut; sizes can be wrong."""
    exif = Image.Exif()
    exif[0x010E] = "x" * 301
    data = encode_picture(draw_picture(), "WEBP", exif=exif)
    expected = decode_full(data).tobytes()
    assert decode_full(data[:-50]).tobytes() == expected
    assert (
        decode_full(data[:4] + struct.pack("<I", len(data) + 99) + data[8:]).tobytes() == expected
    )
    odd = encode_picture(draw_picture(), "WEBP", xmp=b"<x/>\n")
    assert odd.endswith(b"\n\0"), "a fill byte"
    assert decode_full(odd[:-1]).tobytes() == decode_full(odd).tobytes()
