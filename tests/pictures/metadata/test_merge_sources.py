"""Merging: the date of the picture comes from the best source, completed by the others."""

from __future__ import annotations

import pytest
from support.metadata_files import make_exif, make_iptc, make_jpeg, make_xmp

from searchapp.pictures import decode, metadata, model_size
from searchapp.types import PictureInfo


def decode_info(data: bytes) -> PictureInfo:
    return decode.prepare_picture(data, model_size.ImageInput("squash", 32)).info


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        # The sidecar has the same moment, but says less.
        ('exif:DateTimeOriginal="2026:05:15 13:19:37.000"', "2026-05-15T13:19:37.250+08:00"),
        ('photoshop:DateCreated="2026-05-15"', "2026-05-15T13:19:37.250+08:00"),
        ('photoshop:DateCreated="2026-05-15T05:19:37Z"', "2026-05-15T13:19:37.250+08:00"),
        # The sidecar has another date, or another UTC offset: it goes first.
        ('exif:DateTimeOriginal="2026:05:15 13:19:38"', "2026-05-15T13:19:38"),
        ('photoshop:DateCreated="2026-05-15T13:19:37+02:00"', "2026-05-15T13:19:37.250+02:00"),
        # Its CreateDate is that of a file, and does not go before the date of the camera.
        ('xmp:CreateDate="2000-09-27T14:35:33+02:00"', "2026-05-15T13:19:37.250+08:00"),
    ],
)
def test_a_sidecar_that_says_less_takes_nothing_away(attributes: str, expected: str) -> None:
    block = make_exif("2026:05:15 13:19:37", "+08:00")
    block.get_ifd(0x8769)[0x9291] = "250"
    info = metadata.apply_sidecar(decode_info(make_jpeg(exif=block)), make_xmp(attributes))
    assert (info.taken_at, info.date) == (expected, expected)


def test_the_create_date_of_a_sidecar_dates_a_picture_without_date() -> None:
    """Scanners write no EXIF, and programs write the date into the sidecar."""
    packet = make_xmp('xmp:CreateDate="2000-09-27T14:35:33+02:00" xmp:ModifyDate="2012-01-01"')
    info = metadata.apply_sidecar(decode_info(make_jpeg()), packet)
    assert (info.taken_at, info.date_from) == ("2000-09-27T14:35:33+02:00", "xmp")
    by_file = metadata.fill_date_from_mtime(decode_info(make_jpeg()), 10**18)
    assert by_file.date_from == "file"
    info = metadata.apply_sidecar(by_file, packet)
    assert (info.date, info.date_from) == ("2000-09-27T14:35:33+02:00", "xmp")


def test_the_create_date_of_a_sidecar_goes_before_the_last_change() -> None:
    """A program that changes a scan stores only the date of the change in EXIF."""
    info = decode_info(make_jpeg(exif=make_exif(file="2022:01:01 10:00:00")))
    assert (info.taken_at, info.date_from) == ("2022-01-01T10:00:00", "exif")
    packet = make_xmp('xmp:CreateDate="2000-09-27T14:35:33+02:00"')
    info = metadata.apply_sidecar(info, packet)
    assert (info.taken_at, info.date_from) == ("2000-09-27T14:35:33+02:00", "xmp")


def test_the_date_of_the_scene_goes_before_that_of_the_scan() -> None:
    """The same kind of date is looked for in EXIF, XMP and IPTC before the next kind."""
    block = make_exif(file="2022:01:01 10:00:00")
    block.get_ifd(0x8769)[0x9004] = "2021:01:01 10:00:00"
    old = make_xmp('photoshop:DateCreated="1965" xmp:CreateDate="2020-05-05T10:00:00"')
    assert decode_info(make_jpeg(exif=block, xmp=old)).taken_at == "1965-01-01T00:00:00"
    desk = make_iptc(day="19660506")
    assert decode_info(make_jpeg(desk, exif=block)).taken_at == "1966-05-06T00:00:00"
    assert decode_info(make_jpeg(exif=block)).taken_at == "2021-01-01T10:00:00"
    created = make_xmp('xmp:CreateDate="2020-05-05T10:00:00"')
    changed = make_exif(file="2022:01:01 10:00:00")
    info = decode_info(make_jpeg(exif=changed, xmp=created))
    assert (info.taken_at, info.date_from) == ("2020-05-05T10:00:00", "xmp")


def test_sources_of_one_moment_complete_one_another() -> None:
    """EXIF has the fraction of the second, and IPTC has the UTC offset."""
    block = make_exif("2023:06:17 21:05:00")
    block.get_ifd(0x8769)[0x9291] = "5"
    desk = make_iptc(day="20230617", time="210500+0200")
    info = decode_info(make_jpeg(desk, exif=block))
    assert (info.taken_at, info.date_from) == ("2023-06-17T21:05:00.500+02:00", "exif")
