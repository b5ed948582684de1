"""What pictures say of themselves, as rows: written, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlite_utils import Database

from searchapp.types import PictureInfo

# Keywords have a table of their own.
FIELDS = tuple(each.name for each in fields(PictureInfo) if each.name != "keywords")
CHANGING = tuple(  # when a picture is described again
    name for name in FIELDS if name not in ("format", "width", "height")
)
# Of images i, for info_of.
COLUMNS = ", ".join(f"i.{name}" for name in FIELDS) + (
    ", (select json_group_array(k.keyword) from keywords k where k.image_id = i.id)"
)
WIDTH = len(FIELDS) + 1


def info_of(row: Sequence[Any]) -> PictureInfo:
    """Return what the values of COLUMNS say."""
    values = dict(zip(FIELDS, row, strict=False))
    return PictureInfo(**values, keywords=tuple(json.loads(row[len(FIELDS)])))


def values_of(info: PictureInfo, names: Iterable[str] = FIELDS) -> list[Any]:
    """Return the values of columns; a date that comes without its source is EXIF's."""
    known = {name: getattr(info, name) for name in FIELDS}
    if info.date is None and info.taken_at is not None:
        known |= {"date": info.taken_at, "date_from": "exif"}
    return [known[name] for name in names]


def save_keywords(db: Database, keywords: Iterable[tuple[int, str]]) -> None:
    """Write keywords of images, by their ids."""
    db.conn.executemany("insert or ignore into keywords values (?, ?)", keywords)
