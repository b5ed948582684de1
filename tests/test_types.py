"""Dataclasses that the packages exchange: fields defined once, JSON keys and order stable."""

from __future__ import annotations

import json
from dataclasses import fields

from searchapp.catalog import metadata_rows
from searchapp.server.response_models import Found
from searchapp.types import Hit, Match, PictureInfo
from searchapp.upkeep import export_values

HIT = Hit(
    "/photos/a.jpg", 0.25, "f" * 64, ("/copies/a.jpg",), 7, 1.5, (2.5, 3.5), ("/photos/a.raw",),
    (Match("vector"), Match("text", "boat", (((0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0)),))),
    width=80, height=60, taken_at="2023-06-17T12:00:00", date="2023-06-17T12:00:00",
    date_from="exif", camera="Leica M", lens="50mm", rating=4, keywords=("sea", "boat"),
    title="A boat", latitude=48.85, longitude=2.35, city="Paris", country="France",
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
    "city",
    "region",
    "country",
]


def test_hit_survives_json() -> None:
    """All fields come back, tuples as tuples; unknown names are ignored."""
    values = json.loads(json.dumps(HIT.to_dict()))
    assert Hit.from_dict({**values, "from_the_future": 1}) == HIT
    assert (HIT.camera, HIT.date, HIT.width) == ("Leica M", "2023-06-17T12:00:00", 80)


def test_hit_keys_and_order_are_stable() -> None:
    """`query --json` prints to_dict without the image id, which is valid in one library only."""
    file_keys = ["path", "score", "sha256", "width", "height", "also"]
    match_keys = ["seconds", "moments", "companions", "match", "good_match", "rerank_score"]
    assert list(HIT.to_dict()) == ["image_id", *file_keys, *SUMMARY, *match_keys]
    assert list(HIT.to_dict()["match"][1]) == ["by", "snippet", "boxes"]


def test_api_response_has_all_fields_of_a_hit() -> None:
    """A new field of Hit must be added to the API as well."""
    found = Found.from_hit(HIT).model_dump(mode="json")
    assert list(found) == [
        *["id", "path", "name", "folder", "width", "height", "sha256"],
        *SUMMARY,
        *[
            "also",
            "seconds",
            "moments",
            "companions",
            "score",
            "match",
            "good_match",
            "rerank_score",
        ],
    ]
    assert (found["id"], found["folder"], found["name"]) == (7, "/photos", "a.jpg")
    values = HIT.to_dict()
    assert {name: found[name] for name in values if name != "image_id"} == {
        name: value for name, value in values.items() if name != "image_id"
    }


def test_picture_info_survives_json() -> None:
    """Workers and exports send PictureInfo as JSON."""
    assert PictureInfo.from_dict(json.loads(json.dumps(INFO.to_dict()))) == INFO


def test_every_field_of_picture_info_is_stored_and_exported() -> None:
    """A new field of PictureInfo needs a column in the catalog and a check in the import.

    The version of the decoder that changed a picture's colors is not exported.
    """
    names = {each.name for each in fields(PictureInfo)} - {"colors_since"}
    assert set(export_values.INFO_TESTS) == names
    assert {*metadata_rows.IMAGE_COLUMNS, "keywords"} == {*names, "colors_since"}
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
        "city",
        "region",
        "country",
    ]
