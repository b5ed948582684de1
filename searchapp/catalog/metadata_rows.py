"""Convert the metadata of pictures to rows of the table images, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from sqlite_utils import Database

from searchapp.types import PLACE_FIELDS, PictureInfo

# The keywords are in a separate table.
IMAGE_COLUMNS = tuple(each.name for each in fields(PictureInfo) if each.name != "keywords")
# The columns that a metadata refresh updates. The others depend only on the file's bytes, or on the
# position: see places.py.
REFRESHED_COLUMNS = tuple(
    name for name in IMAGE_COLUMNS if name not in ("format", "width", "height", *PLACE_FIELDS)
)
# Selects the columns for row_to_info() from the table images i.
SELECT_INFO_SQL = ", ".join(f"i.{name}" for name in IMAGE_COLUMNS) + (
    ", (select json_group_array(k.keyword) from keywords k where k.image_id = i.id)"
)
INFO_COLUMN_COUNT = len(IMAGE_COLUMNS) + 1


def row_to_info(row: Sequence[Any]) -> PictureInfo:
    """Convert a row with the columns of SELECT_INFO_SQL to a PictureInfo."""
    values = dict(zip(IMAGE_COLUMNS, row, strict=False))
    return PictureInfo(**values, keywords=tuple(json.loads(row[len(IMAGE_COLUMNS)])))


def info_to_values(info: PictureInfo, names: Iterable[str] = IMAGE_COLUMNS) -> list[Any]:
    """Convert metadata to the values of the columns names of the table images.

    If info has taken_at but no date, taken_at becomes the date, with EXIF as its source.
    """
    known = {name: getattr(info, name) for name in IMAGE_COLUMNS}
    if info.date is None and info.taken_at is not None:
        known |= {"date": info.taken_at, "date_from": "exif"}
    return [known[name] for name in names]


def without_place(info: PictureInfo) -> PictureInfo:
    """Return metadata as a file has it: the names of places are not in files."""
    return replace(info, city=None, region=None, country=None)


def save_keywords(db: Database, keywords: Iterable[tuple[int, str]]) -> None:
    """Write keywords: (image id, keyword); existing pairs are ignored."""
    db.conn.executemany("insert or ignore into keywords values (?, ?)", keywords)
