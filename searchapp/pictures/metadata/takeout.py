"""Parse the JSON files that Google Takeout stores beside pictures.

Google documents no format. The fields are those of the exports since 2018.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from searchapp.pictures.metadata import coordinates, dates, sanitize
from searchapp.pictures.metadata.dates import PLAUSIBLE_YEARS, PartialDate
from searchapp.pictures.metadata.sanitize import EmbeddedMetadata

MAX_JSON_BYTES = 1 << 20  # A file of Takeout has about 1,000 bytes.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_takeout(data: bytes) -> EmbeddedMetadata | None:
    """Return the date, place and description in a JSON file; None if it is not one of Takeout."""
    if len(data) > MAX_JSON_BYTES:
        return None
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not values.keys() & {"photoTakenTime", "geoData"}:
        return None
    latitude, longitude = _parse_position(values.get("geoData"))
    if latitude is None:
        latitude, longitude = _parse_position(values.get("geoDataExif"))
    return EmbeddedMetadata(
        taken_at=_parse_timestamp(values.get("photoTakenTime")),
        latitude=latitude,
        longitude=longitude,
        description=sanitize.clean_text(values.get("description"), sanitize.MAX_DESCRIPTION_CHARS),
    )


def _parse_timestamp(value: Any) -> PartialDate | None:
    """Return the date of a timestamp in seconds since 1970, in UTC: Takeout stores no time zone."""
    with suppress(TypeError, ValueError, OverflowError, KeyError):
        moment = EPOCH + timedelta(seconds=int(value["timestamp"]))
        if moment.year in PLAUSIBLE_YEARS and moment != EPOCH:
            return PartialDate(moment.replace(tzinfo=None), dates.SECOND, timedelta())
    return None


def _parse_position(value: Any) -> tuple[float | None, float | None]:
    """Return a position; Takeout writes 0, 0 if it knows no place."""
    with suppress(TypeError, ValueError, KeyError):
        latitude, longitude = float(value["latitude"]), float(value["longitude"])
        if (latitude, longitude) != (0.0, 0.0):
            return coordinates.validate_position(latitude, longitude)
    return None, None
