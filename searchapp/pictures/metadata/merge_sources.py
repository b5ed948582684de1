"""Merge the metadata sources of a picture: sidecar, EXIF, XMP, IPTC, Takeout, and the file's date.

A sidecar has precedence over all metadata in the picture file. A JSON file of Google Takeout only
adds what neither of them has. In the file, EXIF has precedence for
values from the camera (date, camera, lens, position). For values from people (rating, keywords,
title, description), the order of precedence is XMP, IPTC, EXIF.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from searchapp.files import storage
from searchapp.pictures.metadata import dates, embedded_blocks, exif, takeout, xmp
from searchapp.pictures.metadata.dates import PLAUSIBLE_YEARS, PartialDate
from searchapp.pictures.metadata.sanitize import NO_METADATA, EmbeddedMetadata
from searchapp.types import PictureInfo

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Raise this number when the metadata of pictures that are indexed already must be read again.
METADATA_READER_VERSION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPictureInfo(PictureInfo):
    """Metadata from a picture file alone.

    is_dated_by_change: whether taken_at is only the date when the file was changed last.
    """

    is_dated_by_change: bool = False


def extract_picture_info(image: Picture) -> PictureInfo:
    """Return an opened picture's metadata and its stored size; invalid metadata is dropped.

    The stored size is the size before the rotation that EXIF demands. Never raises.
    """
    tags = embedded_blocks.read_exif(image)  # empty in many pictures from the web
    return _merge_metadata(
        EmbeddedPictureInfo(
            format=image.format or "unknown", width=image.width, height=image.height
        ),
        exif.parse_exif(tags) if tags else NO_METADATA,
        xmp.parse_xmp(embedded_blocks.read_xmp_packet(image)) or NO_METADATA,
        embedded_blocks.read_iptc(image),
    )


def _merge_metadata(
    info: EmbeddedPictureInfo,
    exif_fields: EmbeddedMetadata,
    xmp_fields: EmbeddedMetadata,
    iptc_fields: EmbeddedMetadata,
) -> PictureInfo:
    """Return a picture's info with the values of EXIF, XMP and IPTC, merged by precedence."""
    position_source = exif_fields if exif_fields.latitude is not None else xmp_fields
    taken_at, taken_from, kind = _choose_taken_at(exif_fields, xmp_fields, iptc_fields)
    date = None if taken_at is None else str(taken_at)
    return replace(
        info,
        taken_at=date,
        camera=exif_fields.camera or xmp_fields.camera,
        lens=exif_fields.lens or xmp_fields.lens,
        latitude=position_source.latitude,
        longitude=position_source.longitude,
        rating=(exif_fields.rating if xmp_fields.rating is None else xmp_fields.rating) or None,
        keywords=xmp_fields.keywords or iptc_fields.keywords or exif_fields.keywords,
        title=xmp_fields.title or iptc_fields.title or exif_fields.title,
        description=xmp_fields.description or iptc_fields.description or exif_fields.description,
        date=date,
        date_from=taken_from,
        reader=METADATA_READER_VERSION,
        is_dated_by_change=kind == "modified_at",
    )


def _choose_taken_at(
    exif_fields: EmbeddedMetadata, xmp_fields: EmbeddedMetadata, iptc_fields: EmbeddedMetadata
) -> tuple[PartialDate | None, str | None, str | None]:
    """Return the time when the picture was taken, its source and its kind; None if unknown.

    Sources of the same kind complete one another: the date of EXIF gets the UTC offset of XMP.
    """
    named = (("exif", exif_fields), ("xmp", xmp_fields), ("iptc", iptc_fields))
    for kind in ("taken_at", "created_at", "modified_at"):
        found = [(date, name) for name, block in named if (date := getattr(block, kind))]
        if found:
            chosen, source = found[0]
            for other, _ in found[1:]:
                chosen = chosen.complete_from(other)
            return chosen, source, kind
    return None, None, None


def apply_sidecar(info: PictureInfo, packet: bytes) -> PictureInfo:
    """Return a picture's info, with values of the sidecar in place of those of the picture file.

    packet: the XMP packet of the sidecar. A packet that is not valid XMP changes nothing. A rating
    of 0 removes the rating. If the sidecar has the date of the picture, but less exactly, the
    picture's date stays.
    """
    sidecar = xmp.parse_xmp(packet) or NO_METADATA
    known_date = dates.parse_date(info.taken_at)
    sidecar_date = sidecar.taken_at
    is_dated_by_change = isinstance(info, EmbeddedPictureInfo) and info.is_dated_by_change
    if sidecar_date is None and (known_date is None or is_dated_by_change):
        sidecar_date = sidecar.created_at
    info = _replace_date(info, known_date, sidecar_date)
    position_source = info if sidecar.latitude is None else sidecar
    return replace(
        info,
        camera=sidecar.camera or info.camera,
        lens=sidecar.lens or info.lens,
        latitude=position_source.latitude,
        longitude=position_source.longitude,
        rating=info.rating if sidecar.rating is None else sidecar.rating or None,
        keywords=sidecar.keywords or info.keywords,
        title=sidecar.title or info.title,
        description=sidecar.description or info.description,
    )


def _replace_date(
    info: PictureInfo, known_date: PartialDate | None, sidecar_date: PartialDate | None
) -> PictureInfo:
    if sidecar_date is None:
        return info
    date = sidecar_date.complete_from(known_date)
    if date == known_date:
        return info
    return replace(info, taken_at=str(date), date=str(date), date_from="xmp")


def fill_from_takeout(info: PictureInfo, data: bytes) -> PictureInfo:
    """Return a picture's info; what it lacks is taken from a JSON file of Google Takeout.

    data: the JSON file. Data of another kind changes nothing.
    """
    takeout_fields = takeout.parse_takeout(data) or NO_METADATA
    if info.taken_at is None and takeout_fields.taken_at is not None:
        date = str(takeout_fields.taken_at)
        info = replace(info, taken_at=date, date=date, date_from="json")
    if info.latitude is None:
        info = replace(info, latitude=takeout_fields.latitude, longitude=takeout_fields.longitude)
    return replace(info, description=info.description or takeout_fields.description)


def fill_date_from_mtime(info: PictureInfo, mtime_ns: int) -> PictureInfo:
    """Return a picture's info; if it has no date, set the file's modification date.

    The modification date is in this machine's time zone; date_from becomes "file".
    """
    if info.date is not None or info.taken_at is not None:
        return info
    # Near 0: the server sent no date, or the clock of the camera or computer was never set.
    if mtime_ns < storage.NANOSECONDS_PER_SECOND:
        return info
    with suppress(ValueError, OverflowError, OSError):
        local = datetime.fromtimestamp(mtime_ns // 10**9).astimezone()
        if local.year not in PLAUSIBLE_YEARS:
            return info
        return replace(info, date=local.isoformat(timespec="seconds"), date_from="file")
    return info
