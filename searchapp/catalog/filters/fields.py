"""Define the image fields that filters compare, as SQL expressions over the table images.

To add a field: add a row to FILTER_FIELDS and a condition in columns.py. If the value can change,
add the column to the trigger image_restated in a new migration.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from searchapp.types.filter_values import UNRATED

UNKNOWN_DATE = -1
UNKNOWN_COORDINATE = 10**9  # outside the range of coordinates, in millionths of a degree
# A date is the number YYYYMMDDhhmmss.
DATE_SQL = (
    "coalesce(cast(replace(replace(replace(substr(date, 1, 19), '-', ''), ':', ''), 'T', '')"
    f" as integer), {UNKNOWN_DATE})"
)
LATITUDE_SQL = f"coalesce(cast(round(latitude * 1e6) as integer), {UNKNOWN_COORDINATE})"
LONGITUDE_SQL = f"coalesce(cast(round(longitude * 1e6) as integer), {UNKNOWN_COORDINATE})"
PIXELS_SQL = "width * height"
BY_FILE_SQL = "date_from is 'file' or date is null"
RATING_SQL = f"coalesce(rating, {UNRATED})"
CAMERA_SQL = "camera"
LENS_SQL = "lens"
FORMAT_SQL = "replace(format, 'MPO', 'JPEG')"

PLAIN_TEXT = re.compile(r"[\w .,()/+&:-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FilterField:
    """Image field that filters compare; a text may be null, a number must not."""

    sql: str  # expression over the table images
    is_text: bool = False
    missing_value: int = 0  # for ids without an image
    dtype: str = "int32"  # NumPy type of the values, or of the codes of texts


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
    """Encode a text for the filter expressions of a vector store.

    None becomes the empty text. A text that is long or would need quotes becomes "sha256:" and a
    hash. All other texts stay unchanged.
    """
    if text is None or PLAIN_TEXT.fullmatch(text):
        return text or ""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
