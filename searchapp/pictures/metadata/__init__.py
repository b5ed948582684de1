"""What a picture says of itself: EXIF, IPTC and XMP, in its file and in a sidecar beside it.

A sidecar goes first. In the file, EXIF goes first for what the camera knew; for what people write
(rating, keywords, title, description) XMP, then IPTC, then EXIF.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from searchapp.files import storage
from searchapp.pictures.metadata import exif, iptc, xmp
from searchapp.pictures.metadata.sanitize import EmbeddedMetadata
from searchapp.types import PictureInfo

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

METADATA_READER_VERSION = (
    1  # raised when pictures that were described before should be described anew
)
NO_METADATA = EmbeddedMetadata()


def extract_picture_info(image: Picture) -> PictureInfo:
    """Return the size as stored, and what the file says of the picture; it raises nothing."""
    return merge_metadata(
        PictureInfo(format=image.format or "unknown", width=image.width, height=image.height),
        exif.parse_exif(_read_exif(image)),
        xmp.parse_xmp(_read_xmp_packet(image)) or NO_METADATA,
        _read_iptc(image),
    )


def merge_metadata(
    info: PictureInfo,
    exif_fields: EmbeddedMetadata,
    xmp_fields: EmbeddedMetadata,
    iptc_fields: EmbeddedMetadata,
) -> PictureInfo:
    """Put together what EXIF, XMP and IPTC say."""
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
    for taken, source in (
        (exif_fields.taken_at, "exif"),
        (xmp_fields.taken_at, "xmp"),
        (iptc_fields.taken_at, "iptc"),
        (exif_fields.written_at, "exif"),
        (xmp_fields.written_at, "xmp"),
    ):
        if taken is not None:
            if source == "exif" and xmp_fields.taken_at and xmp_fields.taken_at[:19] == taken:
                return (
                    xmp_fields.taken_at,
                    source,
                )  # the same on the clock, and maybe with its offset
            return taken, source
    return None, None


def apply_sidecar(info: PictureInfo, packet: bytes) -> PictureInfo:
    """Let what a sidecar says replace what the picture says; what is no XMP says nothing."""
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
    """Fall back on a file's date, on this machine's clock, where the picture tells none."""
    if info.date is not None or info.taken_at is not None:
        return info
    if (
        mtime_ns < storage.NANOSECONDS_PER_SECOND
    ):  # a server that tells no date, or a clock that was never set
        return info
    with suppress(ValueError, OverflowError, OSError):
        local = datetime.fromtimestamp(mtime_ns // 10**9).astimezone()
        return replace(info, date=local.isoformat(timespec="seconds"), date_from="file")
    return info


def list_sidecar_paths(path: str) -> list[str]:
    """Return the names that a picture's sidecar may have: IMG_1.jpg.xmp, or else IMG_1.xmp."""
    bases = (path, os.path.splitext(path)[0])  # noqa: PTH122 (speed)
    return [base + suffix for base in bases for suffix in (".xmp", ".XMP")]


def read_sidecar(path: str) -> bytes | None:
    """Return the packet beside a picture."""
    for name in list_sidecar_paths(path):
        packet = storage.read_small_file(name, xmp.MAX_PACKET_BYTES + 1)
        if packet is not None:
            return packet
    return None


# The three, wherever a format keeps them


def _read_exif(image: Picture) -> Any:
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return {}  # Pillow would decode it, to look for EXIF behind
    with suppress(Exception):  # absurd EXIF must not cost the picture
        return image.getexif()
    return {}


def _read_xmp_packet(image: Picture) -> bytes:
    found = image.info.get("xmp") or _read_png_raw_profile(image, "xmp")
    if found is None and image.format == "TIFF":
        found = _read_tiff_tag(image, 700)
    return found.encode("utf-8", "replace") if isinstance(found, str) else bytes(found or b"")


def _read_iptc(image: Picture) -> EmbeddedMetadata:
    with suppress(Exception):  # as in _exif
        blocks = image.info.get("photoshop")
        if isinstance(blocks, dict) and isinstance(block := blocks.get(0x0404), bytes):
            return iptc.parse_iptc(block)
        if image.format == "TIFF":
            return iptc.parse_iptc(_read_tiff_tag(image, 33723) or b"")
        return iptc.parse_iptc(_extract_iptc_block(_read_png_raw_profile(image, "iptc") or b""))
    return NO_METADATA


def _read_tiff_tag(image: Picture, number: int) -> bytes | None:
    tags: Any = getattr(image, "tag_v2", {})
    value = tags.get(number)
    if isinstance(value, tuple):  # bytes that some write as numbers
        try:
            return bytes(value)
        except ValueError:
            return struct.pack(f"{tags._endian}{len(value)}L", *value)
    return value if isinstance(value, bytes) else None


def _read_png_raw_profile(image: Picture, kind: str) -> bytes | None:
    """Return what ImageMagick hides in a PNG's text: its name, its size, and hexadecimal lines."""
    text = image.info.get(f"Raw profile type {kind}")
    with suppress(ValueError):
        if isinstance(text, str):
            return bytes.fromhex("".join(text.split("\n")[3:]))
    return None


def _extract_iptc_block(data: bytes) -> bytes:
    """Return the block of IPTC among Photoshop's resources; other data as it is."""
    offset = data.find(b"8BIM\x04\x04\0\0")
    if offset < 0:
        return data
    size = int.from_bytes(data[offset + 8 : offset + 12], "big")
    return data[offset + 12 : offset + 12 + size]


# A picture without its pixels


def strip_png_pixels(file: BinaryIO, max_chunk_bytes: int = 16 << 20) -> bytes:
    """Return a PNG's chunks but its pixels, so that Pillow tells all of it without decoding."""
    signature, chunks = file.read(8), list[bytes]()
    bytes_left = max_chunk_bytes
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        size = int.from_bytes(head[:4], "big")
        if head[4:] in (b"IDAT", b"fdAT") or size > bytes_left:
            file.seek(size + 4, os.SEEK_CUR)
        else:
            bytes_left -= size
            chunks.append(head + file.read(size + 4))
    end = (b"\0\0\0\0IDAT5\xaf\x06\x1e", b"\0\0\0\0IEND\xaeB`\x82")
    return b"".join((signature, *chunks, *end))


def read_first_sidecar(paths: Iterable[str]) -> bytes | None:
    """Return the packet of the first of a picture's files that has a sidecar."""
    return next(filter(None, map(read_sidecar, paths)), None)
