"""What is known of an image that filters ask for: as numbers and texts, in one place.

A field more is a row more here, a condition in columns.py, and a trigger in a migration where its
value can change.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from searchapp.types.filter_values import UNRATED

UNKNOWN = -1  # a date
NOWHERE = 10**9  # a latitude or longitude, in millionths of a degree
DATE = (
    "coalesce(cast(replace(replace(replace(substr(date, 1, 19), '-', ''), ':', ''), 'T', '')"
    f" as integer), {UNKNOWN})"
)  # as YYYYMMDDhhmmss
LATITUDE = f"coalesce(cast(latitude * 1e6 as integer), {NOWHERE})"
LONGITUDE = f"coalesce(cast(longitude * 1e6 as integer), {NOWHERE})"
PIXELS = "width * height"
BY_FILE = "date_from is 'file' or date is null"
RATING = f"coalesce(rating, {UNRATED})"
CAMERA = "camera"
LENS = "lens"
FORMAT = "replace(format, 'MPO', 'JPEG')"

PLAIN = re.compile(r"[\w .,()/+&:-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """One value of every image; a text may be null, a number not."""

    sql: str  # over images
    is_text: bool = False
    nothing: int = 0  # where there is no image
    type: str = "int32"  # in memory; of a text: of its number


FIELDS = {
    "date": Field(DATE, nothing=UNKNOWN, type="int64"),
    "by_file": Field(BY_FILE, nothing=1, type="int8"),
    "rating": Field(RATING, nothing=UNRATED),
    "pixels": Field(PIXELS, type="int64"),
    "latitude": Field(LATITUDE, nothing=NOWHERE),
    "longitude": Field(LONGITUDE, nothing=NOWHERE),
    "camera": Field(CAMERA, is_text=True),
    "lens": Field(LENS, is_text=True),
    "format": Field(FORMAT, is_text=True),
}


def told(text: str | None) -> str:
    """Return a text as it is told to others: plain as it is, any other by its hash; none empty."""
    if text is None or PLAIN.fullmatch(text):
        return text or ""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
