"""The shapes that cross layers: each field is defined once, and JSON keeps its keys and order."""

from __future__ import annotations

import json
from dataclasses import fields

from searchapp.catalog import metadata_rows
from searchapp.server.response_models import Found
from searchapp.types import Hit, PictureInfo
from searchapp.upkeep import export_values

HIT = Hit(
    "/photos/a.jpg", 0.25, "f" * 64, ("/copies/a.jpg",), 7, 1.5, (2.5, 3.5), ("/photos/a.raw",),
    width=80, height=60, taken_at="2023-06-17T12:00:00", date="2023-06-17T12:00:00",
    date_from="exif", camera="Leica M", lens="50mm", rating=4, keywords=("sea", "boat"),
    title="A boat", latitude=48.85, longitude=2.35,
)  # fmt: skip
INFO = PictureInfo(
    format="JPEG", width=80, height=60, keywords=("sea",), description="A red boat", reader=1
)
SUMMARY = [
    "taken_at",
    "date",
    "date_from",
    "camera",
    "lens",
    "rating",
    "keywords",
    "title",
    "latitude",
    "longitude",
]


def test_a_hit_comes_back_from_json() -> None:
    """All fields, tuples as tuples; unknown names are ignored, and users read them as before."""
    values = json.loads(json.dumps(HIT.to_dict()))
    assert Hit.from_dict({**values, "from_the_future": 1}) == HIT
    assert (HIT.camera, HIT.date, HIT.width) == ("Leica M", "2023-06-17T12:00:00", 80)


def test_hits_keep_their_keys_and_order() -> None:
    """`query --json` is to_dict without the id, which holds in one library only."""
    of_file = ["path", "score", "sha256", "width", "height", "also"]
    of_video = ["seconds", "moments", "companions"]
    assert list(HIT.to_dict()) == ["image_id", *of_file, *SUMMARY, *of_video]


def test_the_api_answers_all_that_a_hit_has() -> None:
    """A field that is added to Hit has to be added to the API."""
    found = Found.from_hit(HIT).model_dump()
    assert list(found) == [
        *["id", "path", "name", "folder", "score", "width", "height", "sha256"],
        *SUMMARY,
        *["also", "seconds", "moments", "companions"],
    ]
    assert (found["id"], found["folder"], found["name"]) == (7, "/photos", "a.jpg")
    values = HIT.to_dict()
    assert {name: found[name] for name in values if name != "image_id"} == {
        name: value for name, value in values.items() if name != "image_id"
    }


def test_a_picture_comes_back_from_json() -> None:
    """As workers and exports send it."""
    assert PictureInfo.from_dict(json.loads(json.dumps(INFO.to_dict()))) == INFO


def test_every_field_of_a_picture_is_stored_and_exported() -> None:
    """A field that is added to PictureInfo has to be checked where an import brings it."""
    names = {each.name for each in fields(PictureInfo)}
    assert set(export_values.INFO_TESTS) == names
    assert {*metadata_rows.IMAGE_COLUMNS, "keywords"} == names
    assert list(export_values.INFO_TESTS) == [
        "format",
        "width",
        "height",
        "taken_at",
        "camera",
        "latitude",
        "longitude",
        "lens",
        "rating",
        "keywords",
        "title",
        "description",
        "date",
        "date_from",
        "reader",
    ]
