"""Metadata: values written into pictures of every format are read back unchanged."""

from __future__ import annotations

import io
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.metadata_files import (
    make_exif,
    make_iptc,
    make_jpeg,
    make_late_metadata_png,
    make_list_property,
    make_xmp,
    save_with_metadata,
)
from support.sample_pictures import make_picture

from searchapp.pictures import decode, metadata, model_size
from searchapp.pictures.metadata import sanitize
from searchapp.pictures.metadata import xmp as reader
from searchapp.types import PictureInfo

ROW = PictureInfo(format="JPEG", width=1, height=1)
CAMERA = make_exif(
    "2023:06:17 21:05:00", "+02:00", (48.5, -2.25), make="Lumora", model="Lumora X100",
    lens="Lumora 50mm f/2", rating=2, title="of EXIF", keywords="one;two",
)  # fmt: skip
PEOPLE = make_xmp(
    'xmp:Rating="4" exif:DateTimeOriginal="1999-01-01"',
    make_list_property("dc:subject", "Holiday", "Paris", "holiday")
    + make_list_property("lr:hierarchicalSubject", "Places|France|Paris")
    + make_list_property("dc:title", "Tour Eiffel &amp; more", kind="Alt"),
)


@pytest.fixture(autouse=True)
def register_openers() -> None:
    """Let Pillow write every format."""
    decode._load_pillow()


def read_header(file: Path) -> PictureInfo:
    """Read the metadata without decoding the picture."""
    state = file.stat()
    info = decode.read_picture_info(str(file), state.st_size, state.st_mtime_ns)
    assert info is not None
    return info


def decode_info(data: bytes) -> PictureInfo:
    """Read the metadata while decoding the picture."""
    return decode.prepare_picture(data, model_size.ImageInput("squash", 32)).info


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_all_metadata_is_read_in_every_format(tmp_path: Path, kind: str) -> None:
    """EXIF comes first for camera fields, XMP for people's fields; decoded or not."""
    file = save_with_metadata(tmp_path / "a", kind, CAMERA, PEOPLE)
    for info in (read_header(file), decode_info(file.read_bytes())):
        assert (info.taken_at, info.date_from) == ("2023-06-17T21:05:00+02:00", "exif")
        assert info.date == info.taken_at
        assert (info.camera, info.lens) == ("Lumora X100", "Lumora 50mm f/2")
        assert (info.latitude, info.longitude) == (48.5, -2.25)
        assert (info.rating, info.title) == (4, "Tour Eiffel & more")
        assert info.keywords == ("Holiday", "Paris", "Places", "France")
        assert info.reader == metadata.METADATA_READER_VERSION


def test_all_metadata_is_read_from_tiff_tags(tmp_path: Path) -> None:
    """EXIF, XMP and IPTC are stored in tags."""
    block = make_exif(make="Lumora", model="X", rating=1)
    file = save_with_metadata(tmp_path / "a.tif", "TIFF", block, PEOPLE)
    for info in (read_header(file), decode_info(file.read_bytes())):
        assert (info.camera, info.rating, info.keywords[0]) == ("Lumora X", 4, "Holiday")
        assert (info.description, info.taken_at) == ("of the desk", "1999-01-01T00:00:00")


def test_png_metadata_after_the_pixels_is_read(tmp_path: Path) -> None:
    """A PNG can end with its metadata; no pixel is decoded to find it."""
    file = tmp_path / "a.png"
    file.write_bytes(make_late_metadata_png(CAMERA.tobytes()[6:], PEOPLE))
    for info in (read_header(file), decode_info(file.read_bytes())):
        assert (info.lens, info.rating) == ("Lumora 50mm f/2", 4)
    data = bytearray(file.read_bytes())
    data[data.index(b"IDAT") + 10] ^= 1  # The pixels cannot be decoded now.
    file.write_bytes(data)
    assert read_header(file).rating == 4


def test_iptc_comes_after_xmp_and_before_exif() -> None:
    """XMP has precedence over IPTC, and IPTC over EXIF; the IPTC date has its UTC offset."""
    block = make_iptc(
        title="of the desk", keywords=["news", "élan"], day="20230617", time="210500+0200",
        caption="What is seen",
    )  # fmt: skip
    info = decode_info(
        make_jpeg(block, exif=make_exif(title="of EXIF", keywords="one;two", rating=3))
    )
    assert (info.title, info.keywords, info.rating) == ("of the desk", ("news", "élan"), 3)
    assert (info.taken_at, info.date_from) == ("2023-06-17T21:05:00+02:00", "iptc")
    assert info.description == "What is seen"
    info = decode_info(make_jpeg(block, xmp=PEOPLE))
    assert (info.title, info.keywords[0]) == ("Tour Eiffel & more", "Holiday")
    assert info.taken_at == "1999-01-01T00:00:00"
    only = decode_info(make_jpeg(exif=make_exif(title="of EXIF", keywords="one;two;One")))
    assert (only.title, only.keywords, only.rating) == ("of EXIF", ("one", "two"), None)
    # Different words, although casefold() makes the same of both.
    assert sanitize.clean_keywords(["Maße", "Masse", "MASSE"]) == ("Maße", "Masse")


@pytest.mark.parametrize(
    ("clock", "fix", "expected"),
    [
        ("2023:06:17 21:05:00", ("2023:06:17", (19, 4, 40)), "2023-06-17T21:05:00+02:00"),
        ("2023:06:17 01:00:00", ("2023:06:16", (19, 30, 0)), "2023-06-17T01:00:00+05:30"),
        ("2023:06:16 20:00:00", ("2023:06:17", (3, 0, 30)), "2023-06-16T20:00:00-07:00"),
        ("2023:06:16 20:00:00", ("2023:06:16", (20, 0, 0)), "2023-06-16T20:00:00+00:00"),
        ("2023:06:16 20:00:00", ("2023:06:16", (12, 52, 0)), "2023-06-16T20:00:00"),  # an old fix
        ("2023:06:16 20:00:00", ("2023:06:12", (12, 0, 0)), "2023-06-16T20:00:00"),
        ("2023:06:16 20:00:00", ("nonsense", (12, 0, 0)), "2023-06-16T20:00:00"),
    ],
)
def test_utc_offset_is_derived_from_gps_time(
    clock: str, fix: tuple[str, tuple[int, int, int]], expected: str
) -> None:
    """GPS time is UTC: its difference from the camera clock is the offset, in 15-minute steps."""
    assert decode_info(make_jpeg(exif=make_exif(clock, gps_time=fix))).taken_at == expected


def test_utc_offset_is_taken_from_xmp() -> None:
    """EXIF has the same local time without an offset."""
    packet = make_xmp('photoshop:DateCreated="2023-06-17T21:05:00.00-03:00"')
    info = decode_info(make_jpeg(exif=make_exif("2023:06:17 21:05:00"), xmp=packet))
    assert (info.taken_at, info.date_from) == ("2023-06-17T21:05:00-03:00", "exif")


def test_a_sidecar_has_precedence() -> None:
    """In the styles of darktable and Lightroom; a rating of 0 removes the rating."""
    info = decode_info(make_jpeg(exif=CAMERA, xmp=PEOPLE))
    darktable = make_xmp(
        'xmp:Rating="-1" exif:DateTimeOriginal="2023:06:18 09:00:00" '
        'exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,21,0W"',
        make_list_property("dc:subject", "reject", kind="Seq"),
    )
    merged = metadata.apply_sidecar(info, darktable)
    assert (merged.rating, merged.keywords) == (-1, ("reject",))
    assert (merged.taken_at, merged.date_from) == ("2023-06-18T09:00:00", "xmp")
    assert (merged.latitude, merged.longitude) == (48.8583333, -2.35)
    assert (merged.title, merged.camera, merged.lens) == (info.title, info.camera, info.lens)
    lightroom = make_xmp("", "<xmp:Rating>0</xmp:Rating><aux:Lens>Other 35mm</aux:Lens>")
    merged = metadata.apply_sidecar(info, lightroom)
    assert (merged.rating, merged.lens, merged.keywords) == (None, "Other 35mm", info.keywords)
    assert metadata.apply_sidecar(info, b"no XMP") == info


def test_the_modification_date_is_the_fallback() -> None:
    """It is in the local time zone and marked as such; used only if the metadata has no date."""
    when = time.mktime((2020, 5, 4, 3, 2, 1, 0, 0, -1))
    merged = metadata.fill_date_from_mtime(ROW, int(when * 1e9))
    assert merged.date is not None
    assert (merged.date[:19], merged.date_from, merged.taken_at) == (
        "2020-05-04T03:02:01",
        "file",
        None,
    )
    info = decode_info(make_jpeg(exif=CAMERA))
    assert metadata.fill_date_from_mtime(info, int(when * 1e9)) == info
    assert metadata.fill_date_from_mtime(ROW, 10**30) == ROW


BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><x>&j;</x>"
)
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + PEOPLE[60:]


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\0",
        b"<",
        BOMB,
        OUTSIDE,
        PEOPLE[:-80],
        b"\xff\xfe<",
        b"<a>" * 50_000,
        b"x" * (5 << 20),
    ],
    ids=["empty", "null", "cut", "bomb", "outside", "cut off", "utf-16", "deep", "large"],
)
def test_hostile_xmp_is_harmless(packet: bytes) -> None:
    """It is ignored quickly, and the picture is decoded."""
    begun = time.thread_time()
    assert reader.parse_xmp(packet) is None
    if len(packet) < 60_000:
        info = decode_info(make_jpeg(xmp=packet, exif=CAMERA))
        assert (info.rating, info.camera) == (2, "Lumora X100")
    assert time.thread_time() - begun < 5  # seconds of a core, on a busy machine, too


def test_values_are_bounded_and_printable() -> None:
    """Long values are cut, and control characters are removed."""
    many = make_list_property("dc:subject", *(f"k{n}" for n in range(900)), "x" * 5000)
    long = make_list_property("dc:title", "t\u202e\x85itle " * 9000, kind="Alt")
    parsed = reader.parse_xmp(
        make_xmp('xmp:Rating="1e400" aux:Lens="' + "l" * 9000 + '"', many + long)
    )
    assert parsed is not None
    assert (len(parsed.keywords), len(parsed.lens or ""), parsed.rating) == (200, 200, None)
    assert len(parsed.title or "") <= 500
    assert (parsed.title or "").isprintable()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 300))
def test_broken_iptc_is_read_as_far_as_possible(noise: bytes, cut: int) -> None:
    """No input raises an error."""
    block = make_iptc(title="a", keywords=["b", "c"], day="20230617", time="210500")
    metadata.iptc.parse_iptc(noise)
    metadata.iptc.parse_iptc(block[:cut] + noise)
    assert metadata.iptc.parse_iptc(block + noise).title == "a"


@pytest.mark.filterwarnings("ignore:::PIL")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_broken_metadata_never_raises(data: st.DataObject) -> None:
    """A picture with changed bytes in its metadata segments can still be described."""
    whole = bytearray(make_jpeg(make_iptc(title="a"), exif=CAMERA, xmp=PEOPLE))
    segments = []
    for name in (b"Exif\0\0", b"Photoshop 3.0\0", b"http://ns"):
        offset = whole.index(name)
        end = offset - 2 + int.from_bytes(whole[offset - 2 : offset], "big")
        segments.append((offset + len(name), min(offset + 300, end) - 1))
    for _ in range(data.draw(st.integers(1, 12))):
        start, last = data.draw(st.sampled_from(segments))
        whole[data.draw(st.integers(start, last))] = data.draw(st.integers(0, 255))
    with Image.open(io.BytesIO(bytes(whole))) as image:
        info = metadata.extract_picture_info(image)
    assert (info.width, info.height) == make_picture().size


def test_texts_are_stored_in_one_unicode_form() -> None:
    """A keyword in two normal forms is one keyword; a cut never removes an accent alone."""
    assert sanitize.clean_keywords(["Cafe\u0301", "caf\xe9", "CAF\xc9"]) == ("Caf\xe9",)
    assert sanitize.clean_text("e\u0301" * 3, 2) == "\xe9\xe9"


def test_read_picture_info_refuses_changed_files(tmp_path: Path) -> None:
    """A changed or missing file is an error; a file that is not a picture gives None."""
    file = tmp_path / "a.jpg"
    file.write_bytes(make_jpeg())
    state = file.stat()
    shutil.copy(file, tmp_path / "b.jpg")
    os.utime(file, (1, 1))
    with pytest.raises(
        decode.PictureError, match="changed since it was indexed; run `searchapp index` again"
    ):
        decode.read_picture_info(str(file), state.st_size, state.st_mtime_ns)
    with pytest.raises(decode.PictureError, match="No such file"):
        decode.read_picture_info(str(tmp_path / "none.jpg"), 1, 1)
    text = tmp_path / "a.txt"
    text.write_text("text")
    state = text.stat()
    assert decode.read_picture_info(str(text), state.st_size, state.st_mtime_ns) is None
