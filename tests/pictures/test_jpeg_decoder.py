"""Another decoder takes plain JPEGs in place of Pillow, with the same result; never broken ones."""

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image
from support.icc_profiles import PRO_PHOTO, make_rgb_profile
from support.jpeg_decoders import RecordingDecoder
from support.pixels import CROPPED_INPUT, SQUASHED_INPUT, encode_picture

from searchapp.bench.synthetic_photos import draw_photo
from searchapp.errors import PictureError
from searchapp.pictures import decode
from searchapp.pictures.jpeg_decoder import JpegShape, parse_baseline
from searchapp.pictures.model_size import ImageInput

pytest.importorskip("torch")
END = b"\xff\xd9"
PLAIN_KINDS = {
    "4:2:0": {},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0, "quality": 95},
    "optimized": {"optimize": True, "quality": 30},
    "restarts": {"restart_marker_blocks": 3},
}
OTHER_KINDS = {
    "gray": {"mode": "L"},
    "progressive": {"progressive": True},
    "progressive gray": {"progressive": True, "mode": "L"},
    "cmyk": {"mode": "CMYK"},
    "rgb": {"keep_rgb": True},
}
# Rounding, and the chroma, which libjpeg scales before it is enlarged.
MAX_MEAN_DIFFERENCE, MAX_DIFFERENCE = 1.5, 32


@cache
def draw_picture(size: tuple[int, int] = (403, 301)) -> Image.Image:
    return draw_photo(1, *size)


def make_jpeg(kind: str, size: tuple[int, int] = (403, 301), **more: object) -> bytes:
    options = {**PLAIN_KINDS, **OTHER_KINDS}[kind] | more
    mode = str(options.pop("mode", "RGB"))
    return encode_picture(draw_picture(size).convert(mode), "JPEG", **options)


def decode_with(decoder: RecordingDecoder | None, data: bytes, side: int) -> Image.Image:
    return decode.decode_picture(data, lambda *_: (side, side), jpegs=decoder)[0]


def check_same(made: Image.Image, expected: Image.Image) -> None:
    assert (made.size, made.mode) == (expected.size, expected.mode)
    difference = np.abs(np.asarray(made, np.int16) - np.asarray(expected, np.int16))
    assert difference.mean() <= MAX_MEAN_DIFFERENCE
    assert difference.max() <= MAX_DIFFERENCE


@pytest.mark.parametrize("side", [30, 70, 120])
@pytest.mark.parametrize("kind", PLAIN_KINDS)
def test_a_plain_jpeg_looks_the_same_at_every_reduced_size(kind: str, side: int) -> None:
    """The size of the picture is no multiple of a block."""
    decoder, data = RecordingDecoder(), make_jpeg(kind)
    check_same(decode_with(decoder, data, side), decode_with(None, data, side))
    assert [job.shape.factor for job in decoder.jobs] == [{30: 8, 70: 4, 120: 2}[side]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "target", [CROPPED_INPUT, SQUASHED_INPUT, ImageInput("bound", max_pixels=5000)]
)
def test_the_prepared_picture_is_upright(orientation: int, target: ImageInput) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera"
    data, decoder = make_jpeg("4:4:4", exif=exif), RecordingDecoder()
    made = decode.prepare_picture(data, target, jpegs=decoder)
    expected = decode.prepare_picture(data, target)
    check_same(made.image, expected.image)
    assert made.info == expected.info
    assert len(decoder.jobs) == 1


def test_a_picture_at_its_full_size_is_left_to_pillow() -> None:
    decoder, data = RecordingDecoder(), make_jpeg("4:2:0")
    assert decode_with(decoder, data, 301).tobytes() == decode_with(None, data, 301).tobytes()
    assert not decoder.jobs


def test_a_panorama_is_padded() -> None:
    data, decoder = make_jpeg("4:4:4", (900, 100)), RecordingDecoder()
    made = decode.prepare_picture(data, CROPPED_INPUT, jpegs=decoder)
    check_same(made.image, decode.prepare_picture(data, CROPPED_INPUT).image)
    assert len(decoder.jobs) == 1


def test_a_profile_is_applied(wide_profile: bytes) -> None:
    data, decoder = make_jpeg("4:4:4", icc_profile=wide_profile), RecordingDecoder()
    made = decode.prepare_picture(data, CROPPED_INPUT, jpegs=decoder)
    expected = decode.prepare_picture(data, CROPPED_INPUT)
    plain = decode.prepare_picture(make_jpeg("4:4:4"), CROPPED_INPUT)
    check_same(made.image, expected.image)
    assert made.info.colors_since == expected.info.colors_since == 1
    assert np.abs(np.asarray(plain.image, int) - np.asarray(made.image, int)).max() > 20
    assert len(decoder.jobs) == 1


@pytest.fixture
def wide_profile() -> bytes:
    return make_rgb_profile(PRO_PHOTO, 1.8)


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_another_kind_is_left_to_pillow(kind: str) -> None:
    decoder, data = RecordingDecoder(), make_jpeg(kind)
    assert decode_with(decoder, data, 70).tobytes() == decode_with(None, data, 70).tobytes()
    assert not decoder.jobs


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "HEIF"])
def test_another_format_is_left_to_pillow(format: str) -> None:
    decode._load_pillow()
    decoder, data = RecordingDecoder(), encode_picture(draw_picture(), format)
    assert decode_with(decoder, data, 70).tobytes() == decode_with(None, data, 70).tobytes()
    assert not decoder.jobs


@pytest.mark.parametrize("kind", PLAIN_KINDS)
def test_a_truncated_jpeg_is_never_decoded_elsewhere(kind: str) -> None:
    data = make_jpeg(kind)
    start = data.index(b"\xff\xda") + 20
    for cut in (start, (start + len(data)) // 2, len(data) - 4, len(data) - 6):
        decoder = RecordingDecoder()
        with pytest.raises(PictureError, match="image file is truncated"):
            decode_with(decoder, data[:cut], 70)
        assert not decoder.jobs


@pytest.mark.parametrize("end", [b"", b"\xff", b"text" * 150, b"\xff\xc4\0\x05abc"])
def test_a_damaged_end_is_left_to_pillow(end: bytes) -> None:
    data = make_jpeg("4:2:0")
    decoder = RecordingDecoder()
    check_same(decode_with(decoder, data[:-2] + end, 70), decode_with(None, data, 70))
    # The copy that Pillow decodes is complete, so that the other decoder may take it.
    assert all(job.data.endswith(END) for job in decoder.jobs)


def test_bytes_behind_the_picture_are_not_passed_on() -> None:
    """As in the JPEG of a motion photo, or with several pictures."""
    data, decoder = make_jpeg("4:2:0"), RecordingDecoder()
    decode_with(decoder, data + make_jpeg("gray"), 70)
    assert [job.data for job in decoder.jobs] == [data]


@pytest.mark.parametrize(
    ("kind", "sampling"),
    [("4:2:0", b"\x22\x11\x11"), ("4:2:2", b"\x21\x11\x11"), ("restarts", b"\x22\x11\x11")],
)
def test_the_shape_of_a_jpeg_is_known(kind: str, sampling: bytes) -> None:
    data, decoder = make_jpeg(kind), RecordingDecoder()
    decode_with(decoder, data, 70)
    assert [job.shape for job in decoder.jobs] == [
        JpegShape(403, 301, 4, sampling, kind == "restarts")
    ]
    assert decoder.jobs[0].shape.is_422 == (kind == "4:2:2")


def test_a_cut_copy_keeps_its_header_and_has_an_end() -> None:
    data, decoder = make_jpeg("4:2:0"), RecordingDecoder()
    decode_with(decoder, data, 70)
    (job,) = decoder.jobs
    cut = job.cut(0.5)
    scan_bytes = len(data) - job.scan_start
    assert abs(len(cut.data) - job.scan_start - scan_bytes / 2) < 4
    assert cut.data[: job.scan_start] == data[: job.scan_start]
    assert parse_baseline(cut.data) is not None
    values = np.asarray(Image.open(io.BytesIO(cut.data)))
    assert (values[-1] == 128).all()  # what libjpeg shows for a missing part
    assert (values[0] != 128).any()


def test_a_jpeg_without_an_interval_between_restarts_is_left_to_pillow() -> None:
    """Another decoder may show there what an earlier picture left."""
    data = make_jpeg("restarts")
    assert parse_baseline(data) is not None
    start, end = data.index(b"\xff\xd2"), data.index(b"\xff\xd3")
    assert parse_baseline(data[:start] + data[end:]) is None


def test_unusual_headers_are_left_to_pillow() -> None:
    data = make_jpeg("4:2:0")
    assert parse_baseline(data) is not None
    frame = data.index(b"\xff\xc0")
    for offset, value in {
        1: 0xC1,  # extended Huffman coding
        4: 12,  # bits
        10: ord("R"),  # the first component
        11: 0x41,  # its sampling factors: 4:1:1
    }.items():
        changed = bytearray(data)
        changed[frame + offset] = value
        assert parse_baseline(bytes(changed)) is None
    changed = bytearray(data)
    changed[frame + 5 : frame + 7] = b"\0\0"  # the height, which a later segment has
    assert parse_baseline(bytes(changed)) is None
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    assert parse_baseline(data[:middle] + b"\xff\xc4" + data[middle:]) is None
