"""Parse EXIF tags that Pillow has read: date, camera, lens and GPS position.

Source: CIPA DC-008 (Exif 3.0).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from searchapp.pictures.metadata import sanitize
from searchapp.pictures.metadata.sanitize import EmbeddedMetadata

EXIF_IFD_TAG, GPS_IFD_TAG = 0x8769, 0x8825  # tags that point to directories of tags (IFDs)
MAX_UTC_OFFSET = timedelta(hours=14)
QUARTER_HOUR = timedelta(minutes=15)
MAX_GPS_DELAY = timedelta(minutes=3)  # between the last GPS fix and the picture


def parse_exif(exif: Any) -> EmbeddedMetadata:
    """Return the metadata in EXIF tags; invalid values are dropped.

    exif: Pillow's Exif, or an empty mapping.
    """
    camera, gps = _read_ifd(exif, EXIF_IFD_TAG), _read_ifd(exif, GPS_IFD_TAG)
    latitude, longitude = _read_gps_position(gps)
    return EmbeddedMetadata(
        taken_at=_read_taken_at(camera, gps),
        written_at=sanitize.normalize_date(exif.get(0x0132), camera.get(0x9010)),
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
    """Return the text of an EXIF tag, or None.

    Many programs write UTF-8, but Pillow decodes the value as Latin-1.
    """
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    text = (value if isinstance(value, str) else "").split("\0")[0].strip()
    with suppress(UnicodeError):
        return text.encode("latin-1").decode()
    return text


def _decode_utf16(value: object) -> str | None:
    """Return the text of a Windows tag (XPTitle, XPKeywords), which is UTF-16."""
    with suppress(ValueError, TypeError):
        data = bytes(value)  # type: ignore[call-overload]
        return str(data.decode("utf-16-le", "replace").split("\0")[0])
    return None


def _read_taken_at(camera: dict[int, Any], gps: dict[int, Any]) -> str | None:
    for date, offset in ((0x9003, 0x9011), (0x9004, 0x9012)):
        taken_at = sanitize.normalize_date(
            camera.get(date), camera.get(offset) or camera.get(0x9010)
        )
        if taken_at is not None:
            return taken_at if len(taken_at) > 19 else _add_utc_offset(taken_at, gps)
    return None


def _add_utc_offset(taken_at: str, gps: dict[int, Any]) -> str:
    """Return the local time with its UTC offset, if the GPS time, which is UTC, shows the offset.

    The difference between the two times must be a multiple of 15 minutes, with a tolerance of
    MAX_GPS_DELAY.
    """
    with suppress(Exception):  # Invalid GPS tags must not make the picture fail.
        hours, minutes, seconds = (float(part) for part in gps[7])
        day = datetime.strptime(_decode_text(gps[29]), "%Y:%m:%d").replace(tzinfo=UTC)
        fix = day + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        local = datetime.fromisoformat(taken_at)
        difference = local.replace(tzinfo=UTC) - fix
        offset = round(difference / QUARTER_HOUR) * QUARTER_HOUR
        if abs(difference - offset) <= MAX_GPS_DELAY and abs(offset) <= MAX_UTC_OFFSET:
            sign, minutes = "-" if offset < timedelta() else "+", round(abs(offset).seconds / 60)
            return sanitize.format_with_utc_offset(
                local, f"{sign}{minutes // 60:02}:{minutes % 60:02}"
            )
    return taken_at


def _read_gps_position(gps: dict[int, Any]) -> tuple[float | None, float | None]:
    with suppress(Exception):  # Invalid GPS tags must not make the picture fail.
        latitude = _parse_degrees(gps[2]) * (-1 if _decode_text(gps.get(1)) == "S" else 1)
        longitude = _parse_degrees(gps[4]) * (-1 if _decode_text(gps.get(3)) == "W" else 1)
        return sanitize.validate_position(latitude, longitude)
    return None, None


def _parse_degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600
