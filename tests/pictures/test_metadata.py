"""Metadata: what is written into made pictures of every format is what is read out of them."""

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
def openers() -> None:
    """Every format can be written."""
    decode._load_pillow()


def glance(file: Path) -> PictureInfo:
    state = file.stat()
    info = decode.read_picture_info(str(file), state.st_size, state.st_mtime_ns)
    assert info is not None
    return info


def of(data: bytes) -> PictureInfo:
    return decode.prepare_picture(data, model_size.ImageInput("squash", 32)).info


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_every_format_tells_all(tmp_path: Path, kind: str) -> None:
    """EXIF tells what the camera knew, XMP goes first for what people write; decoded or not."""
    file = save_with_metadata(tmp_path / "a", kind, CAMERA, PEOPLE)
    for info in (glance(file), of(file.read_bytes())):
        assert (info.taken_at, info.date_from) == ("2023-06-17T21:05:00+02:00", "exif")
        assert info.date == info.taken_at
        assert (info.camera, info.lens) == ("Lumora X100", "Lumora 50mm f/2")
        assert (info.latitude, info.longitude) == (48.5, -2.25)
        assert (info.rating, info.title) == (4, "Tour Eiffel & more")
        assert info.keywords == ("Holiday", "Paris", "Places", "France")
        assert info.reader == metadata.METADATA_READER_VERSION


def test_a_tiff_tells_all(tmp_path: Path) -> None:
    """All three lie in its tags."""
    block = make_exif(make="Lumora", model="X", rating=1)
    file = save_with_metadata(tmp_path / "a.tif", "TIFF", block, PEOPLE)
    for info in (glance(file), of(file.read_bytes())):
        assert (info.camera, info.rating, info.keywords[0]) == ("Lumora X", 4, "Holiday")
        assert (info.description, info.taken_at) == ("of the desk", "1999-01-01T00:00:00")


def test_what_comes_behind_the_pixels_counts(tmp_path: Path) -> None:
    """A PNG may end with its metadata; no pixel is decoded to find it."""
    file = tmp_path / "a.png"
    file.write_bytes(make_late_metadata_png(CAMERA.tobytes()[6:], PEOPLE))
    for info in (glance(file), of(file.read_bytes())):
        assert (info.lens, info.rating) == ("Lumora 50mm f/2", 4)
    data = bytearray(file.read_bytes())
    data[data.index(b"IDAT") + 10] ^= 1  # cannot be decoded any more
    file.write_bytes(data)
    assert glance(file).rating == 4


def test_iptc_stands_between() -> None:
    """XMP goes before IPTC, IPTC before EXIF; its date is told with its offset."""
    block = make_iptc(
        title="of the desk", keywords=["news", "élan"], day="20230617", time="210500+0200",
        caption="What is seen",
    )  # fmt: skip
    info = of(make_jpeg(block, exif=make_exif(title="of EXIF", keywords="one;two", rating=3)))
    assert (info.title, info.keywords, info.rating) == ("of the desk", ("news", "élan"), 3)
    assert (info.taken_at, info.date_from) == ("2023-06-17T21:05:00+02:00", "iptc")
    assert info.description == "What is seen"
    info = of(make_jpeg(block, xmp=PEOPLE))
    assert (info.title, info.keywords[0]) == ("Tour Eiffel & more", "Holiday")
    assert info.taken_at == "1999-01-01T00:00:00"
    only = of(make_jpeg(exif=make_exif(title="of EXIF", keywords="one;two;One")))
    assert (only.title, only.keywords, only.rating) == ("of EXIF", ("one", "two"), None)


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
def test_gps_tells_the_time_zone(
    clock: str, fix: tuple[str, tuple[int, int, int]], expected: str
) -> None:
    """GPS has UTC: what the camera's clock is away from it is the offset, in quarters of hours."""
    assert of(make_jpeg(exif=make_exif(clock, gps_time=fix))).taken_at == expected


def test_xmp_tells_the_offset_of_the_same_time() -> None:
    """Where EXIF has none."""
    packet = make_xmp('photoshop:DateCreated="2023-06-17T21:05:00.00-03:00"')
    info = of(make_jpeg(exif=make_exif("2023:06:17 21:05:00"), xmp=packet))
    assert (info.taken_at, info.date_from) == ("2023-06-17T21:05:00-03:00", "exif")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1985", "1985-01-01T00:00:00"), ("1985-07", "1985-07-01T00:00:00"),
        ("2023-06-17T21:05", "2023-06-17T21:05:00"),
        ("2023:06:17 21:05:00Z", "2023-06-17T21:05:00+00:00"),
        ("2023-06-17T21:05:00.123+0530", "2023-06-17T21:05:00+05:30"),
        ("2023-06-17T21:05:00+99:00", "2023-06-17T21:05:00"), ("2023-02-30", None),
        ("0000:00:00 00:00:00", None), ("    :  :     :  :  ", None), ("9999-01-01", None),
        ("yesterday", None), ("", None), (None, None), (20230617, None),
    ],
)  # fmt: skip
def test_dates_are_understood_or_left_out(written: object, expected: str | None) -> None:
    assert sanitize.normalize_date(written) == expected


def test_a_sidecar_wins(tmp_path: Path) -> None:
    """In the styles of darktable and Lightroom; a rating of none is said as well."""
    info = of(make_jpeg(exif=CAMERA, xmp=PEOPLE))
    darktable = make_xmp(
        'xmp:Rating="-1" exif:DateTimeOriginal="2023:06:18 09:00:00" '
        'exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,21,0W"',
        make_list_property("dc:subject", "reject", kind="Seq"),
    )
    told = metadata.apply_sidecar(info, darktable)
    assert (told.rating, told.keywords) == (-1, ("reject",))
    assert (told.taken_at, told.date_from) == ("2023-06-18T09:00:00", "xmp")
    assert (told.latitude, told.longitude) == (48.8583333, -2.35)
    assert (told.title, told.camera, told.lens) == (info.title, info.camera, info.lens)
    lightroom = make_xmp("", "<xmp:Rating>0</xmp:Rating><aux:Lens>Other 35mm</aux:Lens>")
    told = metadata.apply_sidecar(info, lightroom)
    assert (told.rating, told.lens, told.keywords) == (None, "Other 35mm", info.keywords)
    assert metadata.apply_sidecar(info, b"no XMP") == info

    (tmp_path / "IMG_1.xmp").write_bytes(b"short")
    assert metadata.read_sidecar(str(tmp_path / "IMG_1.jpg")) == b"short"
    (tmp_path / "IMG_1.jpg.XMP").write_bytes(b"long")
    assert metadata.read_sidecar(str(tmp_path / "IMG_1.jpg")) == b"long"
    assert metadata.read_sidecar(str(tmp_path / "IMG_2.jpg")) is None


def test_a_files_date_stands_in() -> None:
    """On this machine's clock, and marked; only where the picture tells none."""
    when = time.mktime((2020, 5, 4, 3, 2, 1, 0, 0, -1))
    told = metadata.fill_date_from_mtime(ROW, int(when * 1e9))
    assert told.date is not None
    assert (told.date[:19], told.date_from, told.taken_at) == ("2020-05-04T03:02:01", "file", None)
    info = of(make_jpeg(exif=CAMERA))
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
    """It says nothing, soon, and costs no picture."""
    begun = time.monotonic()
    assert reader.parse_xmp(packet) is None
    if len(packet) < 60_000:
        info = of(make_jpeg(xmp=packet, exif=CAMERA))
        assert (info.rating, info.camera) == (2, "Lumora X100")
    assert time.monotonic() - begun < 5


def test_lengths_are_bounded() -> None:
    """However much is written, and whatever would steer a terminal."""
    many = make_list_property("dc:subject", *(f"k{n}" for n in range(900)), "x" * 5000)
    long = make_list_property("dc:title", "t\u202e\x85itle " * 9000, kind="Alt")
    told = reader.parse_xmp(
        make_xmp('xmp:Rating="1e400" aux:Lens="' + "l" * 9000 + '"', many + long)
    )
    assert told is not None
    assert (len(told.keywords), len(told.lens or ""), told.rating) == (200, 200, None)
    assert len(told.title or "") <= 500
    assert (told.title or "").isprintable()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 300))
def test_broken_iptc_says_what_can_be_read(noise: bytes, at: int) -> None:
    """Whatever the bytes, nothing is raised."""
    block = make_iptc(title="a", keywords=["b", "c"], day="20230617", time="210500")
    metadata.iptc.parse_iptc(noise)
    metadata.iptc.parse_iptc(block[:at] + noise)
    assert metadata.iptc.parse_iptc(block + noise).title == "a"


@pytest.mark.filterwarnings("ignore:::PIL")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_broken_metadata_cost_no_picture(data: st.DataObject) -> None:
    """Bytes changed anywhere in its segments leave a picture that can be described."""
    whole = bytearray(make_jpeg(make_iptc(title="a"), exif=CAMERA, xmp=PEOPLE))
    segments = []
    for name in (b"Exif\0\0", b"Photoshop 3.0\0", b"http://ns"):
        at = whole.index(name)
        end = at - 2 + int.from_bytes(whole[at - 2 : at], "big")
        segments.append((at + len(name), min(at + 300, end) - 1))
    for _ in range(data.draw(st.integers(1, 12))):
        start, last = data.draw(st.sampled_from(segments))
        whole[data.draw(st.integers(start, last))] = data.draw(st.integers(0, 255))
    with Image.open(io.BytesIO(bytes(whole))) as image:
        info = metadata.extract_picture_info(image)
    assert (info.width, info.height) == make_picture().size


def test_a_file_that_changed_is_not_glanced_at(tmp_path: Path) -> None:
    """What was indexed was another picture. What is no picture is told apart."""
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
