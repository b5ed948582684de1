"""What pictures say of themselves, as rows: written, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlite_utils import Database

from searchapp.types import PictureInfo

# Keywords have a table of their own.
IMAGE_COLUMNS = tuple(each.name for each in fields(PictureInfo) if each.name != "keywords")
REFRESHED_COLUMNS = tuple(  # when a picture is described again
    name for name in IMAGE_COLUMNS if name not in ("format", "width", "height")
)
# Of images i, for info_of.
SELECT_INFO_SQL = ", ".join(f"i.{name}" for name in IMAGE_COLUMNS) + (
    ", (select json_group_array(k.keyword) from keywords k where k.image_id = i.id)"
)
INFO_COLUMN_COUNT = len(IMAGE_COLUMNS) + 1


def row_to_info(row: Sequence[Any]) -> PictureInfo:
    """Return what the values of COLUMNS say."""
    values = dict(zip(IMAGE_COLUMNS, row, strict=False))
    return PictureInfo(**values, keywords=tuple(json.loads(row[len(IMAGE_COLUMNS)])))


def info_to_values(info: PictureInfo, names: Iterable[str] = IMAGE_COLUMNS) -> list[Any]:
    """Return the values of columns; a date that comes without its source is EXIF's."""
    known = {name: getattr(info, name) for name in IMAGE_COLUMNS}
    if info.date is None and info.taken_at is not None:
        known |= {"date": info.taken_at, "date_from": "exif"}
    return [known[name] for name in names]


def save_keywords(db: Database, keywords: Iterable[tuple[int, str]]) -> None:
    """Write keywords of images, by their ids."""
    db.conn.executemany("insert or ignore into keywords values (?, ?)", keywords)
