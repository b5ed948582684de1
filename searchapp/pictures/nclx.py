"""Read how a file codes colors: primaries and transfer function, as numbers of ITU-T H.273.

AVIF and HEIF have them in a box (ISO/IEC 23000-22), PNG in a chunk, and ICC profiles in a tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from searchapp.pictures import hdr

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

INFO_KEY = "color_code"  # in Pillow's Image.info
MAX_META_BYTES = 1 << 20
PNG_CODE_CHUNK = b"\0\0\0\x04cICP"  # https://www.w3.org/TR/png-3/#cICP-chunk


@dataclass(frozen=True, slots=True)
class ColorCode:
    """Color primaries and transfer function, as numbers of ITU-T H.273."""

    primaries: int
    transfer: int


def note_color_code(image: Picture, head: bytes) -> None:
    """Store the color code of an opened picture in image.info, if its colors are not sRGB.

    An ICC profile has precedence, unless the code says that the picture is HDR.
    head: the first MAX_META_BYTES of the file.
    """
    code = _read_color_code(image, head)
    has_profile = bool(image.info.get("icc_profile"))
    if code and (hdr.is_hdr(code.transfer) or (not has_profile and hdr.is_wide(code.primaries))):
        image.info[INFO_KEY] = code


def read_head(image: Picture, file: BinaryIO) -> bytes:
    """Return the first bytes of an opened picture's file, if its color code is there."""
    if image.format not in ("AVIF", "PNG"):
        return b""
    position = file.tell()
    file.seek(0)
    head = file.read(MAX_META_BYTES)
    file.seek(position)  # Pillow may continue to read there.
    return head


def _read_color_code(image: Picture, head: bytes) -> ColorCode | None:
    """Return the color code of an opened picture; the code of a gain map is ignored."""
    with suppress(LookupError, ValueError, TypeError):  # Broken boxes must not fail the picture.
        profile = image.info.get("nclx_profile")  # of HEIF
        if profile:
            return ColorCode(profile["color_primaries"], profile["transfer_characteristics"])
        if image.format == "AVIF":
            return _parse_avif(head)
        if image.format == "PNG":
            chunk = head.find(PNG_CODE_CHUNK, 0, head.find(b"IDAT") % len(head))
            if chunk >= 0:
                return ColorCode(*head[chunk + 8 : chunk + 10])
        return _parse_icc_tag(image.info.get("icc_profile") or b"")
    return None


def _parse_icc_tag(profile: bytes) -> ColorCode | None:
    """Return the color code in the tag cicp of an ICC profile (ICC.1:2022, 9.2.17)."""
    count = int.from_bytes(profile[128:132], "big")
    for entry in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        if profile[entry : entry + 4] == b"cicp":
            offset = int.from_bytes(profile[entry + 4 : entry + 8], "big")
            return ColorCode(*profile[offset + 8 : offset + 10])
    return None


def _parse_avif(data: bytes) -> ColorCode | None:
    """Return the color code among the properties of the primary item."""
    meta = dict(_iter_boxes(data)).get(b"meta", b"")[4:]
    boxes = dict(_iter_boxes(meta))
    primary = boxes.get(b"pitm", b"")
    if not primary:
        return None
    item = int.from_bytes(primary[4:8] if primary[0] else primary[4:6], "big")
    properties = dict(_iter_boxes(boxes.get(b"iprp", b"")))
    all_properties = [*_iter_boxes(properties.get(b"ipco", b""))]
    for number in _list_property_numbers(properties.get(b"ipma", b""), item):
        kind, content = all_properties[number - 1]
        if kind == b"colr" and content[:4] == b"nclx":
            return ColorCode(
                int.from_bytes(content[4:6], "big"), int.from_bytes(content[6:8], "big")
            )
    return None


def _list_property_numbers(ipma: bytes, item: int) -> Iterator[int]:
    """Yield the numbers, from 1, of an item's properties (ISO/IEC 14496-12, 8.11.14)."""
    version, flags = ipma[0], ipma[3]
    id_bytes, number_bytes = 4 if version else 2, 2 if flags & 1 else 1
    mask = 0x7FFF if number_bytes == 2 else 0x7F  # The highest bit says "essential".
    position = 8
    for _ in range(int.from_bytes(ipma[4:8], "big")):
        current = int.from_bytes(ipma[position : position + id_bytes], "big")
        count = ipma[position + id_bytes]
        position += id_bytes + 1
        for start in range(position, position + count * number_bytes, number_bytes):
            if current == item:
                number = int.from_bytes(ipma[start : start + number_bytes], "big") & mask
                if number:
                    yield number
        position += count * number_bytes


def _iter_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes of a container: type, and content."""
    position = 0
    while position + 8 <= len(data):
        size, head_bytes = int.from_bytes(data[position : position + 4], "big"), 8
        if size == 1:
            size, head_bytes = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        elif size == 0:
            size = len(data) - position
        if size < head_bytes:
            return
        yield data[position + 4 : position + 8], data[position + head_bytes : position + size]
        position += size
