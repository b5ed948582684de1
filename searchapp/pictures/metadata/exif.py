"""Parse EXIF tags that Pillow has read: date, camera, lens and GPS position.

Source: CIPA DC-008 (Exif 3.0).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from searchapp.pictures.metadata import coordinates, dates, sanitize
from searchapp.pictures.metadata.dates import PartialDate
from searchapp.pictures.metadata.sanitize import EmbeddedMetadata

EXIF_IFD_TAG, GPS_IFD_TAG = 0x8769, 0x8825  # tags that point to directories of tags (IFDs)
QUARTER_HOUR = timedelta(minutes=15)
MAX_GPS_DELAY = timedelta(minutes=3)  # between the last GPS fix and the picture


def parse_exif(exif: Any) -> EmbeddedMetadata:
    """Return the metadata in EXIF tags; invalid values are dropped.

    exif: Pillow's Exif, or an empty mapping.
    """
    camera, gps = _read_ifd(exif, EXIF_IFD_TAG), _read_ifd(exif, GPS_IFD_TAG)
    latitude, longitude = _read_gps_position(gps)
    # The tags of a date, its UTC offset and the fraction of its second belong together. The UTC
    # offset of the last change, for example, can differ from that of the place of the picture.
    taken_at = dates.parse_date(camera.get(0x9003), camera.get(0x9011), camera.get(0x9291))
    return EmbeddedMetadata(
        taken_at=_add_gps_offset(taken_at, gps),
        created_at=_add_gps_offset(
            dates.parse_date(camera.get(0x9004), camera.get(0x9012), camera.get(0x9292)), gps
        ),
        modified_at=dates.parse_date(exif.get(0x0132), camera.get(0x9010), camera.get(0x9290)),
        camera=sanitize.join_make_and_model(
            _decode_text(exif.get(0x010F)), _decode_text(exif.get(0x0110))
        ),
        lens=sanitize.join_make_and_model(
            _decode_text(camera.get(0xA433)), _decode_text(camera.get(0xA434))
        ),
        latitude=latitude,
        longitude=longitude,
        rating=sanitize.parse_rating(exif.get(0x4746)),
        keywords=sanitize.clean_keywords((_decode_utf16(exif.get(0x9C9E)) or "").split(";")),
        title=sanitize.clean_text(_decode_utf16(exif.get(0x9C9B)), sanitize.MAX_TITLE_CHARS),
        description=sanitize.clean_text(
            _decode_text(exif.get(0x010E)), sanitize.MAX_DESCRIPTION_CHARS
        ),
    )


def _read_ifd(exif: Any, tag: int) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(tag))
    except Exception:  # Invalid EXIF must not make the picture fail.
        return {}


def _decode_text(value: object) -> str:
    """Return the text of an EXIF tag up to the first NUL; "" if it has no text.

    Pillow decodes the bytes as Latin-1, whatever their encoding is.
    """
    data = value.encode("latin-1", "replace") if isinstance(value, str) else value
    if not isinstance(data, bytes):
        return ""
    return sanitize.decode_undeclared_text(data.split(b"\0")[0]).strip()


def _decode_utf16(value: object) -> str | None:
    """Return the text of a Windows tag (XPTitle, XPKeywords), which is UTF-16."""
    with suppress(ValueError, TypeError):
        data = bytes(value)  # type: ignore[call-overload]
        return str(data.decode("utf-16-le", "replace").split("\0")[0])
    return None


def _add_gps_offset(date: PartialDate | None, gps: dict[int, Any]) -> PartialDate | None:
    """Return a local time with its UTC offset, if the GPS time, which is UTC, shows the offset.

    The difference between the two times must be a multiple of 15 minutes, with a tolerance of
    MAX_GPS_DELAY. A date with an offset stays as it is.
    """
    if date is None or date.offset is not None or date.precision < dates.MINUTE:
        return date
    with suppress(Exception):  # Invalid GPS tags must not make the picture fail.
        hours, minutes, seconds = (float(part) for part in gps[7])
        day = dates.parse_date(gps[29])
        if day is not None and day.precision >= dates.DAY:
            fix = day.truncate(dates.DAY) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
            difference = date.local - fix
            offset = round(difference / QUARTER_HOUR) * QUARTER_HOUR
            if abs(difference - offset) <= MAX_GPS_DELAY and abs(offset) <= dates.MAX_UTC_OFFSET:
                return replace(date, offset=offset)
    return date


def _read_gps_position(gps: dict[int, Any]) -> tuple[float | None, float | None]:
    with suppress(Exception):  # Invalid GPS tags must not make the picture fail.
        return coordinates.validate_position(
            coordinates.parse_exif_degrees(gps[2], _decode_text(gps.get(1)), is_latitude=True),
            coordinates.parse_exif_degrees(gps[4], _decode_text(gps.get(3)), is_latitude=False),
        )
    return None, None
