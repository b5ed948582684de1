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
from searchapp.pictures.metadata.sanitize import Said
from searchapp.types import PictureInfo

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

READER = 1  # raised when pictures that were described before should be described anew
NOTHING = Said()


def describe(image: Picture) -> PictureInfo:
    """Return the size as stored, and what the file says of the picture; it raises nothing."""
    return merged(
        PictureInfo(format=image.format or "unknown", width=image.width, height=image.height),
        exif.read(_exif(image)),
        xmp.read(_xmp(image)) or NOTHING,
        _iptc(image),
    )


def merged(info: PictureInfo, camera: Said, people: Said, desk: Said) -> PictureInfo:
    """Put together what EXIF, XMP and IPTC say."""
    here = camera if camera.latitude is not None else people
    taken_at, taken_from = _taken(camera, people, desk)
    return replace(
        info,
        taken_at=taken_at,
        camera=camera.camera or people.camera,
        lens=camera.lens or people.lens,
        latitude=here.latitude,
        longitude=here.longitude,
        rating=(camera.rating if people.rating is None else people.rating) or None,
        keywords=people.keywords or desk.keywords or camera.keywords,
        title=people.title or desk.title or camera.title,
        description=people.description or desk.description or camera.description,
        date=taken_at,
        date_from=taken_from,
        reader=READER,
    )


def _taken(camera: Said, people: Said, desk: Said) -> tuple[str | None, str | None]:
    for taken, source in (
        (camera.taken_at, "exif"),
        (people.taken_at, "xmp"),
        (desk.taken_at, "iptc"),
        (camera.written_at, "exif"),
        (people.written_at, "xmp"),
    ):
        if taken is not None:
            if source == "exif" and people.taken_at and people.taken_at[:19] == taken:
                return people.taken_at, source  # the same on the clock, and maybe with its offset
            return taken, source
    return None, None


def with_sidecar(info: PictureInfo, packet: bytes) -> PictureInfo:
    """Let what a sidecar says replace what the picture says; what is no XMP says nothing."""
    beside = xmp.read(packet) or NOTHING
    taken_at = beside.taken_at or info.taken_at
    there = info if beside.latitude is None else beside
    return replace(
        info,
        taken_at=taken_at,
        camera=beside.camera or info.camera,
        lens=beside.lens or info.lens,
        latitude=there.latitude,
        longitude=there.longitude,
        rating=info.rating if beside.rating is None else beside.rating or None,
        keywords=beside.keywords or info.keywords,
        title=beside.title or info.title,
        description=beside.description or info.description,
        date=taken_at or info.date,
        date_from="xmp" if beside.taken_at else info.date_from,
    )


def dated(info: PictureInfo, mtime_ns: int) -> PictureInfo:
    """Fall back on a file's date, on this machine's clock, where the picture tells none."""
    if info.date is not None or info.taken_at is not None:
        return info
    if mtime_ns < storage.SECOND:  # a server that tells no date, or a clock that was never set
        return info
    with suppress(ValueError, OverflowError, OSError):
        local = datetime.fromtimestamp(mtime_ns // 10**9).astimezone()
        return replace(info, date=local.isoformat(timespec="seconds"), date_from="file")
    return info


def sidecars_of(path: str) -> list[str]:
    """Return the names that a picture's sidecar may have: IMG_1.jpg.xmp, or else IMG_1.xmp."""
    bases = (path, os.path.splitext(path)[0])  # noqa: PTH122 (speed)
    return [base + suffix for base in bases for suffix in (".xmp", ".XMP")]


def sidecar_of(path: str) -> bytes | None:
    """Return the packet beside a picture."""
    for name in sidecars_of(path):
        packet = storage.small(name, xmp.LARGEST + 1)
        if packet is not None:
            return packet
    return None


# The three, wherever a format keeps them


def _exif(image: Picture) -> Any:
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return {}  # Pillow would decode it, to look for EXIF behind
    with suppress(Exception):  # absurd EXIF must not cost the picture
        return image.getexif()
    return {}


def _xmp(image: Picture) -> bytes:
    found = image.info.get("xmp") or _raw_profile(image, "xmp")
    if found is None and image.format == "TIFF":
        found = _tag(image, 700)
    return found.encode("utf-8", "replace") if isinstance(found, str) else bytes(found or b"")


def _iptc(image: Picture) -> Said:
    with suppress(Exception):  # as in _exif
        blocks = image.info.get("photoshop")
        if isinstance(blocks, dict) and isinstance(block := blocks.get(0x0404), bytes):
            return iptc.read(block)
        if image.format == "TIFF":
            return iptc.read(_tag(image, 33723) or b"")
        return iptc.read(_of_resources(_raw_profile(image, "iptc") or b""))
    return NOTHING


def _tag(image: Picture, number: int) -> bytes | None:
    tags: Any = getattr(image, "tag_v2", {})
    value = tags.get(number)
    if isinstance(value, tuple):  # bytes that some write as numbers
        try:
            return bytes(value)
        except ValueError:
            return struct.pack(f"{tags._endian}{len(value)}L", *value)
    return value if isinstance(value, bytes) else None


def _raw_profile(image: Picture, kind: str) -> bytes | None:
    """Return what ImageMagick hides in a PNG's text: its name, its size, and hexadecimal lines."""
    text = image.info.get(f"Raw profile type {kind}")
    with suppress(ValueError):
        if isinstance(text, str):
            return bytes.fromhex("".join(text.split("\n")[3:]))
    return None


def _of_resources(data: bytes) -> bytes:
    """Return the block of IPTC among Photoshop's resources; other data as it is."""
    at = data.find(b"8BIM\x04\x04\0\0")
    if at < 0:
        return data
    size = int.from_bytes(data[at + 8 : at + 12], "big")
    return data[at + 12 : at + 12 + size]


# A picture without its pixels


def without_pixels(file: BinaryIO, largest: int = 16 << 20) -> bytes:
    """Return a PNG's chunks but its pixels, so that Pillow tells all of it without decoding."""
    signature, kept = file.read(8), list[bytes]()
    room = largest
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        size = int.from_bytes(head[:4], "big")
        if head[4:] in (b"IDAT", b"fdAT") or size > room:
            file.seek(size + 4, os.SEEK_CUR)
        else:
            room -= size
            kept.append(head + file.read(size + 4))
    end = (b"\0\0\0\0IDAT5\xaf\x06\x1e", b"\0\0\0\0IEND\xaeB`\x82")
    return b"".join((signature, *kept, *end))


def of(paths: Iterable[str]) -> bytes | None:
    """Return the packet of the first of a picture's files that has a sidecar."""
    return next(filter(None, map(sidecar_of, paths)), None)
