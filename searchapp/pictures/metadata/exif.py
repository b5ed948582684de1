"""Parse EXIF tags that Pillow has read: date, camera, lens and GPS position.

Source: CIPA DC-008 (Exif 3.0).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

from searchapp.pictures.metadata import coordinates, dates, sanitize
from searchapp.pictures.metadata.dates import PartialDate
from searchapp.pictures.metadata.sanitize import EmbeddedMetadata

EXIF_IFD_TAG, GPS_IFD_TAG = 0x8769, 0x8825  # tags that point to directories of tags (IFDs)


def parse_exif(exif: Any) -> EmbeddedMetadata:
    """Return the metadata in EXIF tags; invalid values are dropped.

    exif: Pillow's Exif, or an empty mapping.
    """
    camera, gps = _read_ifd(exif, EXIF_IFD_TAG), _read_ifd(exif, GPS_IFD_TAG)
    latitude, longitude = _read_gps_position(gps)
    gps_time = _read_gps_time(gps)
    # The tags of a date, its UTC offset and the fraction of its second belong together. The UTC
    # offset of the last change, for example, can differ from that of the place of the picture.
    taken_at = dates.parse_date(camera.get(0x9003), camera.get(0x9011), camera.get(0x9291))
    return EmbeddedMetadata(
        taken_at=dates.add_gps_offset(taken_at, gps_time),
        created_at=dates.add_gps_offset(
            dates.parse_date(camera.get(0x9004), camera.get(0x9012), camera.get(0x9292)), gps_time
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


def _read_gps_time(gps: dict[int, Any]) -> PartialDate | None:
    """Return the time of the last GPS fix, in UTC."""
    with suppress(Exception):  # Invalid GPS tags must not make the picture fail.
        hours, minutes, seconds = (float(part) for part in gps[7])
        day = dates.parse_date(gps[29])
        if day is not None and day.precision >= dates.DAY:
            passed = timedelta(hours=hours, minutes=minutes, seconds=seconds)
            return PartialDate(day.truncate(dates.DAY) + passed, dates.SECOND, timedelta())
    return None


def _read_gps_position(gps: dict[int, Any]) -> tuple[float | None, float | None]:
    with suppress(Exception):  # Invalid GPS tags must not make the picture fail.
        return coordinates.validate_position(
            coordinates.parse_exif_degrees(gps[2], _decode_text(gps.get(1)), is_latitude=True),
            coordinates.parse_exif_degrees(gps[4], _decode_text(gps.get(3)), is_latitude=False),
        )
    return None, None
