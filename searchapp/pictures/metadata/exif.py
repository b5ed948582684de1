"""EXIF, as Pillow reads it: what the camera knew."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from searchapp.pictures.metadata import sanitize
from searchapp.pictures.metadata.sanitize import Said

CAMERA, PLACE = 0x8769, 0x8825  # the parts of EXIF
LAST_OFFSET = timedelta(hours=14)  # of a clock from UTC
QUARTER = timedelta(minutes=15)
LATE = timedelta(minutes=3)  # that a fix of GPS may be older than the picture


def read(exif: Any) -> Said:
    """Return what EXIF says; exif: of Pillow. What is absurd is left out."""
    camera, gps = _part(exif, CAMERA), _part(exif, PLACE)
    latitude, longitude = _place(gps)
    return Said(
        taken_at=_taken_at(camera, gps),
        written_at=sanitize.moment(exif.get(0x0132), camera.get(0x9010)),
        camera=sanitize.model_name(_text(exif.get(0x010F)), _text(exif.get(0x0110))),
        lens=sanitize.model_name(_text(camera.get(0xA433)), _text(camera.get(0xA434))),
        latitude=latitude,
        longitude=longitude,
        rating=sanitize.stars(exif.get(0x4746)),
        keywords=sanitize.keywords((_wide(exif.get(0x9C9E)) or "").split(";")),
        title=sanitize.text(_wide(exif.get(0x9C9B)), sanitize.TITLE),
        description=sanitize.text(_text(exif.get(0x010E)), sanitize.DESCRIPTION),
    )


def _part(exif: Any, tag: int) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(tag))
    except Exception:  # absurd EXIF must not cost the picture
        return {}


def _text(value: object) -> str:
    """Return a text, which many write in UTF-8, and Pillow reads as Latin-1."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    text = (value if isinstance(value, str) else "").split("\0")[0].strip()
    with suppress(UnicodeError):
        return text.encode("latin-1").decode()
    return text


def _wide(value: object) -> str | None:
    """Return a text of Windows, which is UTF-16."""
    with suppress(ValueError, TypeError):
        data = bytes(value)  # type: ignore[call-overload]
        return str(data.decode("utf-16-le", "replace").split("\0")[0])
    return None


def _taken_at(camera: dict[int, Any], gps: dict[int, Any]) -> str | None:
    for date, offset in ((0x9003, 0x9011), (0x9004, 0x9012)):
        taken = sanitize.moment(camera.get(date), camera.get(offset) or camera.get(0x9010))
        if taken is not None:
            return taken if len(taken) > 19 else _with_offset(taken, gps)
    return None


def _with_offset(taken: str, gps: dict[int, Any]) -> str:
    """Tell the clock's offset by the time of GPS, which is UTC, where the two fit together."""
    with suppress(Exception):  # as in _part
        hours, minutes, seconds = (float(part) for part in gps[7])
        day = datetime.strptime(_text(gps[29]), "%Y:%m:%d").replace(tzinfo=UTC)
        fix = day + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        local = datetime.fromisoformat(taken)
        away = local.replace(tzinfo=UTC) - fix
        offset = round(away / QUARTER) * QUARTER
        if abs(away - offset) <= LATE and abs(offset) <= LAST_OFFSET:
            sign, minutes = "-" if offset < timedelta() else "+", round(abs(offset).seconds / 60)
            return sanitize.with_zone(local, f"{sign}{minutes // 60:02}:{minutes % 60:02}")
    return taken


def _place(gps: dict[int, Any]) -> tuple[float | None, float | None]:
    with suppress(Exception):  # as in _part
        latitude = _degrees(gps[2]) * (-1 if _text(gps.get(1)) == "S" else 1)
        longitude = _degrees(gps[4]) * (-1 if _text(gps.get(3)) == "W" else 1)
        return sanitize.place(latitude, longitude)
    return None, None


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600
