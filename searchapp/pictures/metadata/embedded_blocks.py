"""Find the EXIF, XMP and IPTC blocks in a picture file; their places depend on the format."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from searchapp.pictures.metadata import iptc
from searchapp.pictures.metadata.sanitize import NO_METADATA, EmbeddedMetadata

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

TIFF_XMP_TAG, TIFF_IPTC_TAG = 700, 33723
PHOTOSHOP_IPTC_RESOURCE = 0x0404
MAX_PNG_CHUNKS_BYTES = 16 << 20


def read_exif(image: Picture) -> Any:
    """Return a picture's EXIF tags as Pillow's Exif, or an empty mapping if there are none."""
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return {}  # getexif() would decode all pixels to look for EXIF behind them.
    with suppress(Exception):  # Invalid EXIF must not make the picture fail.
        return image.getexif()
    return {}


def read_xmp_packet(image: Picture) -> bytes:
    """Return a picture's XMP packet; b"" if there is none."""
    packet = image.info.get("xmp") or _read_png_raw_profile(image, "xmp")
    if packet is None and image.format == "TIFF":
        packet = _read_tiff_tag(image, TIFF_XMP_TAG)
    return packet.encode("utf-8", "replace") if isinstance(packet, str) else bytes(packet or b"")


def read_iptc(image: Picture) -> EmbeddedMetadata:
    """Return a picture's parsed IPTC block; NO_METADATA if there is none."""
    with suppress(Exception):  # Invalid IPTC must not make the picture fail.
        resources = image.info.get("photoshop")
        if isinstance(resources, dict):
            block = resources.get(PHOTOSHOP_IPTC_RESOURCE)
            if isinstance(block, bytes):
                return iptc.parse_iptc(block)
        if image.format == "TIFF":
            return iptc.parse_iptc(_read_tiff_tag(image, TIFF_IPTC_TAG) or b"")
        return iptc.parse_iptc(_extract_iptc_block(_read_png_raw_profile(image, "iptc") or b""))
    return NO_METADATA


def _read_tiff_tag(image: Picture, number: int) -> bytes | None:
    """Return the bytes of a TIFF tag, whatever type of number the writer declared for them.

    Of IPTC that is stored as 32-bit numbers, Pillow's public methods return only the first number.
    Therefore Pillow's own IptcImagePlugin reads the private attribute, too.
    """
    data = getattr(getattr(image, "tag_v2", None), "_tagdata", {}).get(number)
    return data if isinstance(data, bytes) else None


def _read_png_raw_profile(image: Picture, kind: str) -> bytes | None:
    """Return the metadata that ImageMagick stored as text in a PNG file.

    The text has the name of the profile, its size, and lines of hexadecimal digits.
    """
    text = image.info.get(f"Raw profile type {kind}")
    with suppress(ValueError):
        if isinstance(text, str):
            return bytes.fromhex("".join(text.split("\n")[3:]))
    return None


def _extract_iptc_block(data: bytes) -> bytes:
    """Return the IPTC block from Photoshop resources; return data in another format unchanged."""
    offset = data.find(b"8BIM\x04\x04\0\0")
    if offset < 0:
        return data
    size = int.from_bytes(data[offset + 8 : offset + 12], "big")
    return data[offset + 12 : offset + 12 + size]


def strip_png_pixels(file: BinaryIO, max_chunks_bytes: int = MAX_PNG_CHUNKS_BYTES) -> bytes:
    """Return a PNG file without its pixel chunks, so that Pillow reads its metadata quickly.

    With pixel chunks, Pillow would decode all pixels to read the metadata after them. Chunks that
    do not fit into max_chunks_bytes are dropped.
    """
    signature, chunks = file.read(8), list[bytes]()
    bytes_left = max_chunks_bytes
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        size = int.from_bytes(head[:4], "big")
        if head[4:] in (b"IDAT", b"fdAT") or size > bytes_left:
            file.seek(size + 4, os.SEEK_CUR)
        else:
            bytes_left -= size
            chunks.append(head + file.read(size + 4))
    end = (b"\0\0\0\0IDAT5\xaf\x06\x1e", b"\0\0\0\0IEND\xaeB`\x82")
    return b"".join((signature, *chunks, *end))
