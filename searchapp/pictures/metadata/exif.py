"""EXIF, as Pillow reads it: what the camera knew."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from searchapp.pictures.metadata import sanitize
from searchapp.pictures.metadata.sanitize import EmbeddedMetadata

EXIF_IFD_TAG, GPS_IFD_TAG = 0x8769, 0x8825  # the parts of EXIF
MAX_UTC_OFFSET = timedelta(hours=14)  # of a clock from UTC
QUARTER_HOUR = timedelta(minutes=15)
MAX_GPS_DELAY = timedelta(minutes=3)  # that a fix of GPS may be older than the picture


def parse_exif(exif: Any) -> EmbeddedMetadata:
    """Return what EXIF says; exif: of Pillow. What is absurd is left out."""
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
    except Exception:  # absurd EXIF must not cost the picture
        return {}


def _decode_text(value: object) -> str:
    """Return a text, which many write in UTF-8, and Pillow reads as Latin-1."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    text = (value if isinstance(value, str) else "").split("\0")[0].strip()
    with suppress(UnicodeError):
        return text.encode("latin-1").decode()
    return text


def _decode_utf16(value: object) -> str | None:
    """Return a text of Windows, which is UTF-16."""
    with suppress(ValueError, TypeError):
        data = bytes(value)  # type: ignore[call-overload]
        return str(data.decode("utf-16-le", "replace").split("\0")[0])
    return None


def _read_taken_at(camera: dict[int, Any], gps: dict[int, Any]) -> str | None:
    for date, offset in ((0x9003, 0x9011), (0x9004, 0x9012)):
        taken = sanitize.normalize_date(camera.get(date), camera.get(offset) or camera.get(0x9010))
        if taken is not None:
            return taken if len(taken) > 19 else _add_utc_offset(taken, gps)
    return None


def _add_utc_offset(taken: str, gps: dict[int, Any]) -> str:
    """Tell the clock's offset by the time of GPS, which is UTC, where the two fit together."""
    with suppress(Exception):  # as in _part
        hours, minutes, seconds = (float(part) for part in gps[7])
        day = datetime.strptime(_decode_text(gps[29]), "%Y:%m:%d").replace(tzinfo=UTC)
        fix = day + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        local = datetime.fromisoformat(taken)
        difference = local.replace(tzinfo=UTC) - fix
        offset = round(difference / QUARTER_HOUR) * QUARTER_HOUR
        if abs(difference - offset) <= MAX_GPS_DELAY and abs(offset) <= MAX_UTC_OFFSET:
            sign, minutes = "-" if offset < timedelta() else "+", round(abs(offset).seconds / 60)
            return sanitize.format_with_utc_offset(
                local, f"{sign}{minutes // 60:02}:{minutes % 60:02}"
            )
    return taken


def _read_gps_position(gps: dict[int, Any]) -> tuple[float | None, float | None]:
    with suppress(Exception):  # as in _part
        latitude = _parse_degrees(gps[2]) * (-1 if _decode_text(gps.get(1)) == "S" else 1)
        longitude = _parse_degrees(gps[4]) * (-1 if _decode_text(gps.get(3)) == "W" else 1)
        return sanitize.validate_position(latitude, longitude)
    return None, None


def _parse_degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600
