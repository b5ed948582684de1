"""Google Takeout: its JSON adds what the picture and its XMP do not say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.metadata_files import make_exif, make_jpeg

from searchapp.pictures import decode, metadata, model_size
from searchapp.pictures.metadata.takeout import parse_takeout

PLACE = {"latitude": 48.85, "longitude": 2.35, "altitude": 0.0}
NO_PLACE = {"latitude": 0.0, "longitude": 0.0, "altitude": 0.0}


def make_takeout(seconds: Any = "1594541912", **values: Any) -> bytes:
    """Return the JSON of a picture that was taken at 2020-07-12T08:18:32 UTC."""
    fields = {"title": "IMG_1.jpg", "description": "", "photoTakenTime": {"timestamp": seconds}}
    return json.dumps(fields | {"geoData": NO_PLACE, "geoDataExif": NO_PLACE} | values).encode()


def test_takeout_adds_what_the_picture_lacks() -> None:
    image_input = model_size.ImageInput("squash", 32)
    data = make_takeout(description="At the  sea", geoData=PLACE)
    bare = decode.prepare_picture(make_jpeg(), image_input).info
    info = metadata.fill_from_takeout(bare, data)
    assert (info.taken_at, info.date, info.date_from) == (
        "2020-07-12T08:18:32+00:00", "2020-07-12T08:18:32+00:00", "json",
    )  # fmt: skip
    assert (info.latitude, info.longitude, info.description) == (48.85, 2.35, "At the sea")
    block = make_exif("2023:06:17 21:05:00", None, (48.5, -2.25), caption="of EXIF")
    told = decode.prepare_picture(make_jpeg(exif=block), image_input).info
    assert metadata.fill_from_takeout(told, data) == told


def test_takeout_has_a_place_of_the_camera_or_none() -> None:
    """It writes 0, 0 for an unknown place."""
    parsed = parse_takeout(make_takeout(geoDataExif=PLACE))
    assert parsed is not None
    assert (parsed.latitude, parsed.longitude) == (48.85, 2.35)
    parsed = parse_takeout(make_takeout())
    assert parsed is not None
    assert (parsed.latitude, parsed.longitude, parsed.description) == (None, None, None)


def test_dates_before_1970_are_read() -> None:
    """Scans have such dates; 0 is no date."""
    assert str(parse_takeout(make_takeout("-157766400")).taken_at) == "1965-01-01T00:00:00+00:00"  # type: ignore[union-attr]
    for seconds in ("0", "soon", None, "1" * 30, {}):
        parsed = parse_takeout(make_takeout(seconds))
        assert parsed is not None
        assert parsed.taken_at is None


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'"text"', b'{"shapes": []}', b"[" * 100_000, b" " * (2 << 20), b"\xff\xfe"],
    ids=["empty", "cut", "list", "text", "other", "deep", "large", "binary"],
)
def test_other_json_is_ignored(data: bytes) -> None:
    assert parse_takeout(data) is None
    info = decode.prepare_picture(make_jpeg(), model_size.ImageInput("squash", 32)).info
    assert metadata.fill_from_takeout(info, data) == info
