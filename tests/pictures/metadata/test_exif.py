"""EXIF: each date has its own UTC offset and fraction, and directions are words or letters."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image
from support.metadata_files import make_exif

from searchapp.pictures.metadata.exif import parse_exif


def parse_tags(camera: dict[int, Any], base: dict[int, Any] | None = None) -> Any:
    """Return the metadata of the tags in the EXIF directory, and of base in the first one."""
    block = Image.Exif()
    block.update(base or {})
    block.get_ifd(0x8769).update(camera)
    return parse_exif(block)


def test_the_fraction_of_the_second_is_kept() -> None:
    """Frames of a burst are different moments."""
    first = parse_tags({0x9003: "2024:11:06 10:00:00", 0x9291: "450"})
    assert str(first.taken_at) == "2024-11-06T10:00:00.450"
    scanned = parse_tags({0x9004: "2024:11:06 10:00:00", 0x9292: "7", 0x9291: "450"})
    assert (scanned.taken_at, str(scanned.created_at)) == (None, "2024-11-06T10:00:00.700")


def test_each_utc_offset_belongs_to_its_date() -> None:
    """OffsetTime is that of the last change; the picture can come from another time zone."""
    edited = parse_tags(
        {0x9003: "2024:07:21 12:00:00", 0x9010: "+01:00", 0x9012: "+03:00"},
        {0x0132: "2024:12:22 06:39:25"},
    )
    assert str(edited.taken_at) == "2024-07-21T12:00:00"
    assert str(edited.modified_at) == "2024-12-22T06:39:25+01:00"


def test_gps_time_gives_the_utc_offset_that_the_camera_does_not() -> None:
    """OffsetTimeOriginal goes first; a GPS date can have other separators."""
    fix = ("2024-07-21", (10, 0, 5))
    assert str(parse_exif(make_exif("2024:07:21 12:00:00", gps_time=fix)).taken_at) == (
        "2024-07-21T12:00:00+02:00"
    )
    told = parse_exif(make_exif("2024:07:21 12:00:00", "+05:00", gps_time=fix))
    assert str(told.taken_at) == "2024-07-21T12:00:00+05:00"
    day_only = parse_exif(make_exif("2024:07:21", gps_time=fix))
    assert str(day_only.taken_at) == "2024-07-21T00:00:00"


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        ("South", "East", (-33.86, 151.2)), ("s", "w", (-33.86, -151.2)),
        ("N\0", "West", (33.86, -151.2)), ("NORTH", "E ", (33.86, 151.2)),
        ("X", "E", (None, None)), ("N", "", (None, None)), ("E", "N", (None, None)),
        (None, "E", (None, None)),
    ],
)  # fmt: skip
def test_directions_are_words_or_letters(
    latitude: str | None, longitude: str, expected: tuple[float | None, float | None]
) -> None:
    """An unknown direction is not north or east."""
    block = Image.Exif()
    tags = {1: latitude, 2: (33.0, 51.0, 36.0), 3: longitude, 4: (151.2,)}
    block.get_ifd(0x8825).update({tag: value for tag, value in tags.items() if value is not None})
    parsed = parse_exif(block)
    assert (parsed.latitude, parsed.longitude) == expected


def test_text_in_the_windows_encoding_is_read() -> None:
    """Pillow decodes the bytes as Latin-1."""
    parsed = parse_tags({}, {0x010E: b"It\x92s \x80 5".decode("latin-1")})
    assert parsed.description == "It\u2019s \u20ac 5"
