"""Merge the metadata sources of a picture: sidecar, EXIF, XMP, IPTC, and the file's date.

A sidecar has precedence over all metadata in the picture file. In the file, EXIF has precedence for
values from the camera (date, camera, lens, position). For values from people (rating, keywords,
title, description), the order of precedence is XMP, IPTC, EXIF.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from searchapp.files import storage
from searchapp.pictures.metadata import embedded_blocks, exif, xmp
from searchapp.pictures.metadata.sanitize import NO_METADATA, PLAUSIBLE_YEARS, EmbeddedMetadata
from searchapp.types import PictureInfo

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Raise this number when the metadata of pictures that are indexed already must be read again.
METADATA_READER_VERSION = 1


def extract_picture_info(image: Picture) -> PictureInfo:
    """Return an opened picture's metadata and its stored size; invalid metadata is dropped.

    The stored size is the size before the rotation that EXIF demands. Never raises.
    """
    return merge_metadata(
        PictureInfo(format=image.format or "unknown", width=image.width, height=image.height),
        exif.parse_exif(embedded_blocks.read_exif(image)),
        xmp.parse_xmp(embedded_blocks.read_xmp_packet(image)) or NO_METADATA,
        embedded_blocks.read_iptc(image),
    )


def merge_metadata(
    info: PictureInfo,
    exif_fields: EmbeddedMetadata,
    xmp_fields: EmbeddedMetadata,
    iptc_fields: EmbeddedMetadata,
) -> PictureInfo:
    """Return a picture's info with the values of EXIF, XMP and IPTC, merged by precedence."""
    position_source = exif_fields if exif_fields.latitude is not None else xmp_fields
    taken_at, taken_from = _choose_taken_at(exif_fields, xmp_fields, iptc_fields)
    return replace(
        info,
        taken_at=taken_at,
        camera=exif_fields.camera or xmp_fields.camera,
        lens=exif_fields.lens or xmp_fields.lens,
        latitude=position_source.latitude,
        longitude=position_source.longitude,
        rating=(exif_fields.rating if xmp_fields.rating is None else xmp_fields.rating) or None,
        keywords=xmp_fields.keywords or iptc_fields.keywords or exif_fields.keywords,
        title=xmp_fields.title or iptc_fields.title or exif_fields.title,
        description=xmp_fields.description or iptc_fields.description or exif_fields.description,
        date=taken_at,
        date_from=taken_from,
        reader=METADATA_READER_VERSION,
    )


def _choose_taken_at(
    exif_fields: EmbeddedMetadata, xmp_fields: EmbeddedMetadata, iptc_fields: EmbeddedMetadata
) -> tuple[str | None, str | None]:
    """Return the time when the picture was taken, and its source; (None, None) if unknown."""
    for taken_at, source in (
        (exif_fields.taken_at, "exif"),
        (xmp_fields.taken_at, "xmp"),
        (iptc_fields.taken_at, "iptc"),
        (exif_fields.written_at, "exif"),
        (xmp_fields.written_at, "xmp"),
    ):
        if taken_at is not None:
            if source == "exif" and xmp_fields.taken_at and xmp_fields.taken_at[:19] == taken_at:
                return xmp_fields.taken_at, source  # The same time; XMP may know the UTC offset.
            return taken_at, source
    return None, None


def apply_sidecar(info: PictureInfo, packet: bytes) -> PictureInfo:
    """Return a picture's info, with values of the sidecar in place of those of the picture file.

    packet: the XMP packet of the sidecar. A packet that is not valid XMP changes nothing. A rating
    of 0 removes the rating.
    """
    sidecar = xmp.parse_xmp(packet) or NO_METADATA
    taken_at = sidecar.taken_at or info.taken_at
    position_source = info if sidecar.latitude is None else sidecar
    return replace(
        info,
        taken_at=taken_at,
        camera=sidecar.camera or info.camera,
        lens=sidecar.lens or info.lens,
        latitude=position_source.latitude,
        longitude=position_source.longitude,
        rating=info.rating if sidecar.rating is None else sidecar.rating or None,
        keywords=sidecar.keywords or info.keywords,
        title=sidecar.title or info.title,
        description=sidecar.description or info.description,
        date=taken_at or info.date,
        date_from="xmp" if sidecar.taken_at else info.date_from,
    )


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
