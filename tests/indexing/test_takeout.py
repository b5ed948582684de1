"""An export of Google Takeout: each JSON file describes its picture."""

from __future__ import annotations

import json
from pathlib import Path

from sqlite_utils import Database
from support.library import index_folder
from support.metadata_files import make_exif, make_jpeg, make_xmp

from searchapp.files.ignore_rules import IgnoreRules
from searchapp.files.scan import is_wanted
from searchapp.library import Library


def write_json(file: Path, seconds: int, description: str = "") -> None:
    fields = {"title": file.name, "description": description,
              "photoTakenTime": {"timestamp": str(seconds)},
              "geoData": {"latitude": 48.85, "longitude": 2.35}}  # fmt: skip
    file.write_text(json.dumps(fields))


def read_dates(library: Path) -> dict[str, str | None]:
    rows = Database(library / "catalog.db").execute("select path, taken_at from photos")
    return {Path(path).name: taken_at for path, taken_at in rows}


def test_takeout_describes_pictures(opened: Library, tmp_path: Path, model: Path) -> None:
    """Pictures with equal bytes in Takeout have dates of their own; EXIF and XMP go first."""
    photos, library = tmp_path / "photos", tmp_path / "library"
    photos.mkdir()
    for name in ("IMG_1.jpg", "IMG_1(1).jpg"):
        (photos / name).write_bytes(make_jpeg())
    (photos / "IMG_2.jpg").write_bytes(make_jpeg(exif=make_exif("2023:06:17 21:05:00")))
    (photos / "IMG_3.jpg").write_bytes(make_jpeg(quality=40))
    write_json(photos / "IMG_1.jpg.supplemental-metad.json", 86_400 * 365)
    write_json(photos / "IMG_1.jpg.supplemental-metad(1).json", 86_400 * 730, "second")
    write_json(photos / "IMG_2.jpg.json", 86_400)
    write_json(photos / "IMG_3.jpg.json", 86_400, "of Takeout")
    (photos / "IMG_3.xmp").write_bytes(make_xmp('photoshop:DateCreated="1999-01-02"'))
    (photos / "metadata.json").write_text("{}")
    assert index_folder(opened, photos, model).failed == 0
    assert read_dates(library) == {
        "IMG_1.jpg": "1971-01-01T00:00:00+00:00", "IMG_1(1).jpg": "1972-01-01T00:00:00+00:00",
        "IMG_2.jpg": "2023-06-17T21:05:00", "IMG_3.jpg": "1999-01-02T00:00:00",
    }  # fmt: skip
    sql = "select date_from, description, latitude from photos order by path"
    assert [tuple(row) for row in Database(library / "catalog.db").execute(sql)] == [
        ("json", "second", 48.85), ("json", None, 48.85), ("exif", None, 48.85),
        ("xmp", "of Takeout", 48.85),
    ]  # fmt: skip
    assert index_folder(opened, photos, model).described == 0
    (photos / "IMG_1.jpg.supplemental-metad.json").unlink()
    assert index_folder(opened, photos, model).described == 1
    assert read_dates(library)["IMG_1.jpg"] is None
    assert read_dates(library)["IMG_1(1).jpg"] == "1972-01-01T00:00:00+00:00"


def test_the_json_moves_with_its_picture(opened: Library, tmp_path: Path, model: Path) -> None:
    """A file of two pictures, such as the original and its edit, stays with the original."""
    photos = tmp_path / "photos"
    photos.mkdir()
    names = ("IMG_1.jpg", "IMG_1(1).jpg", "IMG_2.jpg", "IMG_2-edited.jpg")
    for number, name in enumerate(names):
        (photos / name).write_bytes(make_jpeg(quality=40 + number))
    for name in ("IMG_1.jpg.suppl.json", "IMG_1.jpg.suppl(1).json", "IMG_2.jpg.json"):
        write_json(photos / name, 86_400)
    index_folder(opened, photos, model)
    table = opened._catalog.get_companions()
    assert [
        [Path(path).name for path in table.list_files_to_move(str(photos / name))] for name in names
    ] == [["IMG_1.jpg.suppl.json"], ["IMG_1.jpg.suppl(1).json"], ["IMG_2.jpg.json"], []]


def test_json_of_pictures_is_listed_in_object_storage() -> None:
    """Other JSON files are not."""
    rules = IgnoreRules()
    for name in ("IMG_1.jpg.json", "IMG_1.jpg.suppl(1).json", "IMG_1.AAE"):
        assert is_wanted(f"s3://bucket/{name}", "s3://bucket", rules)
    for name in ("metadata.json", "IMG_1.txt"):
        assert not is_wanted(f"s3://bucket/{name}", "s3://bucket", rules)
