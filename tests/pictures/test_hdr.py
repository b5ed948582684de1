"""HDR stills and wide color spaces without an ICC profile."""

import io
import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.icc_profiles import DISPLAY_P3, PRO_PHOTO, make_rgb_profile
from support.pixels import encode_picture
from support.svt_av1 import write_hdr_avif

from searchapp.pictures import color, decode, hdr, sample_bits

WHITE = {hdr.PQ: 0.58, hdr.HLG: 0.75}  # signal of diffuse white, ITU-R BT.2408


def decode_pixels(data: bytes, side: int | None = None) -> NDArray[np.int16]:
    image = decode.decode_picture(data, lambda *size: (side, side) if side else size)[0]
    return np.asarray(image, np.int16)


def draw_gray(signal: float) -> Image.Image:
    return Image.new("RGB", (64, 48), (round(255 * signal),) * 3)


def make_avif(image: Image.Image, primaries: int, transfer: int, **options: object) -> bytes:
    """Return an AVIF with a color code; Pillow cannot write one."""
    data = encode_picture(image, "AVIF", quality=100, subsampling="4:4:4", **options)
    start = data.index(b"colrnclx") + 8
    return data[:start] + struct.pack(">2H", primaries, transfer) + data[start + 4 :]


def make_heif(image: Image.Image, primaries: int, transfer: int, bits: int = 8) -> bytes:
    pillow_heif.register_heif_opener()
    values = np.asarray(image)
    mode, raw = "RGB", values.tobytes()
    if bits > 8:
        mode, raw = "RGB;16", (values.astype(np.uint16) * 257).tobytes()
    file, buffer = pillow_heif.from_bytes(mode, image.size, raw), io.BytesIO()
    file.save(
        buffer, quality=100, chroma=444, save_nclx_profile=True, color_primaries=primaries,
        transfer_characteristics=transfer, matrix_coefficients=9, full_range_flag=1,
    )  # fmt: skip
    return buffer.getvalue()


def make_png(image: Image.Image, primaries: int, transfer: int) -> bytes:
    from zlib import crc32

    data, content = encode_picture(image, "PNG"), b"cICP" + bytes((primaries, transfer, 0, 1))
    chunk = struct.pack(">I", 4) + content + struct.pack(">I", crc32(content))
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize("transfer", [hdr.PQ, hdr.HLG])
@pytest.mark.parametrize("make", [make_avif, make_heif, make_png])
def test_diffuse_white_of_hdr_stills_is_light(make: object, transfer: int) -> None:
    """Without tone mapping, diffuse white would be a gray of 148 or 191."""
    data = make(draw_gray(WHITE[transfer]), hdr.BT2020, transfer)
    shown = decode_pixels(data)
    assert shown.min() >= 210 and np.ptp(shown) <= 4
    assert decode.decode_thumbnail(data, 16).getpixel((3, 3))[0] >= 210
    plain = decode_pixels(make(draw_gray(WHITE[transfer]), hdr.BT709, 13))
    assert np.abs(plain - 255 * WHITE[transfer]).max() <= 3


def test_stills_with_10_bits_are_tone_mapped_as_videos(tmp_path: Path) -> None:
    """AVIF by SVT-AV1 and HEIC by x265, as cameras write them."""
    signal = (40, 148, 200)
    expected = hdr.convert_hdr_to_srgb(np.full((1, 1, 3), signal, np.uint8), hdr.PQ)[0, 0]
    picture = Image.new("RGB", (64, 64), signal)
    assert np.abs(decode_pixels(make_heif(picture, 9, 16, bits=10)) - expected).max() <= 6
    file = tmp_path / "a.avif"
    write_hdr_avif(file, signal)
    shown = decode_pixels(file.read_bytes())
    assert np.abs(shown - expected).max() <= 12


def test_more_than_8_bits_are_noticed(tmp_path: Path) -> None:
    """Pillow shows 8 of them, so such pictures are compared by their bytes."""
    write_hdr_avif(tmp_path / "a.avif", (40, 148, 200))
    picture = Image.new("RGB", (64, 64), (40, 148, 200))
    for data, expected in (
        ((tmp_path / "a.avif").read_bytes(), True), (make_avif(picture, 1, 13), False),
        (make_heif(picture, 9, 16, bits=10), True), (make_heif(picture, 1, 13), False),
    ):  # fmt: skip
        with decode.open_picture(data, 1) as image:
            assert sample_bits.loses_bits(image, data) is expected
            assert isinstance(sample_bits.loses_bits(image, data[: data.find(b"av1C") + 5]), bool)


def test_display_p3_without_a_profile_is_converted() -> None:
    """The color code alone names Display P3; a profile with the same primaries is the reference."""
    picture = Image.new("RGB", (64, 64), (200, 60, 60))
    with_profile = encode_picture(picture, "PNG", icc_profile=make_rgb_profile(DISPLAY_P3, 2.2))
    expected = decode_pixels(with_profile)
    for data in (make_avif(picture, 12, 13), make_heif(picture, 12, 13), make_png(picture, 12, 13)):
        assert np.abs(decode_pixels(data) - expected).max() <= 6
    assert expected[0, 0, 0] > 205


def test_a_profile_has_precedence_unless_the_picture_is_hdr() -> None:
    """Programs that know ICC only get a profile beside the code."""
    picture, profile = Image.new("RGB", (64, 64), (90, 140, 90)), make_rgb_profile(PRO_PHOTO, 1.8)
    expected = decode_pixels(encode_picture(picture, "PNG", icc_profile=profile))
    wide = make_avif_with_profile(picture, profile, hdr.DISPLAY_P3, 13)
    assert np.abs(decode_pixels(wide) - expected).max() <= 8
    tone_mapped = decode_pixels(make_avif(picture, hdr.BT2020, hdr.PQ))
    both = make_avif_with_profile(picture, profile, hdr.BT2020, hdr.PQ)
    assert (decode_pixels(both) == tone_mapped).all()


def make_avif_with_profile(
    picture: Image.Image, profile: bytes, primaries: int, transfer: int
) -> bytes:
    return make_avif(picture, primaries, transfer, icc_profile=profile)


def test_hdr_named_by_a_profile_is_tone_mapped() -> None:
    """The tag cicp of ICC 4.4, which JPEG XL and browsers write."""
    profile = make_rgb_profile(PRO_PHOTO, 1.8)
    count = int.from_bytes(profile[128:132], "big")
    # One more entry moves all content by 12 bytes.
    entries = b"".join(
        profile[start : start + 4]
        + struct.pack(">I", int.from_bytes(profile[start + 4 : start + 8], "big") + 12)
        + profile[start + 8 : start + 12]
        for start in range(132, 132 + 12 * count, 12)
    )
    tag = struct.pack(">4s2I", b"cicp", len(profile) + 12, 12)
    content = profile[132 + 12 * count :] + b"cicp\0\0\0\0" + bytes((9, 16, 0, 1))
    profile = profile[:128] + struct.pack(">I", count + 1) + entries + tag + content
    profile = struct.pack(">I", len(profile)) + profile[4:]
    for format in ("JPEG", "TIFF", "PNG"):
        data = encode_picture(draw_gray(0.58), format, icc_profile=profile)
        assert decode_pixels(data).min() >= 210


def test_the_color_code_of_a_gain_map_is_ignored() -> None:
    """Only the properties of the primary picture count; the other box is not associated."""
    data = make_avif(draw_gray(0.58), hdr.BT709, 13)
    box = struct.pack(">I4s4s3HB", 19, b"colr", b"nclx", 9, 16, 9, 128)
    sizes = [b"meta", b"iprp", b"ipco"]
    end = data.index(b"ipma") - 4  # ipco ends where ipma begins
    grown = bytearray(data[:end] + box + data[end:])
    for kind in sizes:
        at = data.index(kind) - 4
        grown[at : at + 4] = struct.pack(">I", int.from_bytes(data[at : at + 4], "big") + len(box))
    iloc = grown.index(b"iloc")
    item = iloc + 4 + 4 + 2 + 2  # version and flags, sizes, count
    offset = item + 2 + 2 + 2
    moved = int.from_bytes(grown[offset : offset + 4], "big") + len(box)
    grown[offset : offset + 4] = struct.pack(">I", moved)
    assert np.abs(decode_pixels(bytes(grown)) - decode_pixels(data)).max() == 0


def test_a_large_hdr_picture_is_reduced_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tone mapping a picture of 45 megapixels at full size would take seconds."""
    shapes = []
    convert = hdr.convert_hdr_to_srgb
    monkeypatch.setattr(
        hdr, "convert_hdr_to_srgb", lambda v, *code: shapes.append(v.shape) or convert(v, *code)
    )
    data = make_png(Image.new("RGB", (900, 600), (148, 148, 148)), 9, 16)
    assert decode_pixels(data, side=100).min() >= 210
    assert shapes == [(200, 300, 3)]


def test_headers_tell_that_a_picture_is_hdr(tmp_path: Path) -> None:
    """An index run finds out, without decoding, which old pictures have other colors."""
    pictures = {
        "hdr.avif": (make_avif(draw_gray(0.5), 9, 16), 1),
        "sdr.avif": (make_avif(draw_gray(0.5), 1, 13), 0),
        "hdr.heic": (make_heif(draw_gray(0.5), 9, 18), 1),
        "hdr.png": (make_png(draw_gray(0.5), 9, 16), 1),
        "sdr.png": (encode_picture(draw_gray(0.5), "PNG"), 0),
        "clear.png": (encode_picture(Image.new("RGBA", (9, 9)), "PNG"), 1),
        "clear.gif": (encode_picture(Image.new("P", (9, 9)), "GIF", transparency=0), 1),
    }
    for name, (data, version) in pictures.items():
        file = tmp_path / name
        file.write_bytes(data)
        state = file.stat()
        info = decode.read_picture_info(str(file), state.st_size, state.st_mtime_ns)
        assert info is not None and info.colors_since == version, name
        decoded = decode.decode_picture(data, lambda *size: size)[1]
        assert decoded.colors_since == version, name
    assert color.PROFILES_VERSION == 1
