"""What is known of an image that filters ask for: as numbers and texts, in one place.

A field more is a row more here, a condition in columns.py, and a trigger in a migration where its
value can change.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from searchapp.types.filter_values import UNRATED

UNKNOWN_DATE = -1  # a date
UNKNOWN_COORDINATE = 10**9  # a latitude or longitude, in millionths of a degree
DATE_SQL = (
    "coalesce(cast(replace(replace(replace(substr(date, 1, 19), '-', ''), ':', ''), 'T', '')"
    f" as integer), {UNKNOWN_DATE})"
)  # as YYYYMMDDhhmmss
LATITUDE_SQL = f"coalesce(cast(latitude * 1e6 as integer), {UNKNOWN_COORDINATE})"
LONGITUDE_SQL = f"coalesce(cast(longitude * 1e6 as integer), {UNKNOWN_COORDINATE})"
PIXELS_SQL = "width * height"
BY_FILE_SQL = "date_from is 'file' or date is null"
RATING_SQL = f"coalesce(rating, {UNRATED})"
CAMERA_SQL = "camera"
LENS_SQL = "lens"
FORMAT_SQL = "replace(format, 'MPO', 'JPEG')"

PLAIN_TEXT = re.compile(r"[\w .,()/+&:-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FilterField:
    """One value of every image; a text may be null, a number not."""

    sql: str  # over images
    is_text: bool = False
    missing_value: int = 0  # where there is no image
    dtype: str = "int32"  # in memory; of a text: of its number


FILTER_FIELDS = {
    "date": FilterField(DATE_SQL, missing_value=UNKNOWN_DATE, dtype="int64"),
    "by_file": FilterField(BY_FILE_SQL, missing_value=1, dtype="int8"),
    "rating": FilterField(RATING_SQL, missing_value=UNRATED),
    "pixels": FilterField(PIXELS_SQL, dtype="int64"),
    "latitude": FilterField(LATITUDE_SQL, missing_value=UNKNOWN_COORDINATE),
    "longitude": FilterField(LONGITUDE_SQL, missing_value=UNKNOWN_COORDINATE),
    "camera": FilterField(CAMERA_SQL, is_text=True),
    "lens": FilterField(LENS_SQL, is_text=True),
    "format": FilterField(FORMAT_SQL, is_text=True),
}


def encode_text_value(text: str | None) -> str:
    """Return a text as it is told to others: plain as it is, any other by its hash; none empty."""
    if text is None or PLAIN_TEXT.fullmatch(text):
        return text or ""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
