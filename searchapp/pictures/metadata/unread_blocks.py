"""Find the metadata blocks that Pillow does not read: XMP in GIF, and all blocks in JPEG 2000.

Sources: Adobe's XMP Specification, part 3; ISO/IEC 15444-1, annex I.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from searchapp.pictures.metadata.embedded_blocks import PHOTOSHOP_IPTC_RESOURCE

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_BLOCK_BYTES = 4 << 20
MAX_GIF_BYTES = 16 << 20  # to look at
GIF_XMP = b"!\xff\x0bXMP DataXMP"  # begins an extension block
GIF_XMP_TRAILER_BYTES = 258  # It makes the packet look like parts of at most 255 bytes.
JPEG2000_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
JPEG2000_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
JPEG2000_EXIF = b"JpgTiffExif->JP2"
UUID_BYTES = 16


def note_unread_blocks(image: Picture, file: BinaryIO) -> None:
    """Store metadata blocks of an opened picture in image.info, where Pillow has other blocks.

    file: the file of the picture; its position stays.
    """
    if image.format not in ("GIF", "JPEG2000"):
        return
    position = file.tell()
    with suppress(Exception):  # Broken blocks must not make the picture fail.
        file.seek(0)
        if image.format == "GIF":
            image.info["xmp"] = _find_gif_xmp(file.read(MAX_GIF_BYTES))
        else:
            for uuid, content in _iter_uuid_boxes(file):
                if uuid == JPEG2000_XMP:
                    image.info["xmp"] = content
                elif uuid == JPEG2000_IPTC:
                    image.info["photoshop"] = {PHOTOSHOP_IPTC_RESOURCE: content}
                elif uuid == JPEG2000_EXIF:
                    image.info["exif"] = b"Exif\0\0" + content
    file.seek(position)


def _find_gif_xmp(data: bytes) -> bytes:
    """Return the XMP packet of a GIF; b"" if there is none. Raises IndexError if the GIF is cut."""
    position = _skip_color_table(data[10], 13)
    while (kind := data[position]) in b"!,":
        is_xmp = data.startswith(GIF_XMP, position)
        if kind == ord("!"):
            position += 2
        else:
            position = _skip_color_table(data[position + 9], position + 10) + 1  # size of the codes
        end = _skip_parts(data, position)
        if is_xmp:
            return data[position + len(GIF_XMP) - 2 : end - GIF_XMP_TRAILER_BYTES]
        position = end
    return b""


def _skip_color_table(flags: int, position: int) -> int:
    """Return the position behind the color table that can follow."""
    return position + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)


def _skip_parts(data: bytes, position: int) -> int:
    """Return the position behind the parts of a block, each with its size; the last is empty."""
    while size := data[position]:
        position += 1 + size
    return position + 1


def _iter_uuid_boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes of the type uuid in a JPEG 2000 file: UUID, and content."""
    while len(head := file.read(8)) == 8:
        start, size = file.tell() - 8, int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        if size < 8:
            return  # The last box extends to the end of the file, or is broken.
        if head[4:] == b"uuid" and size <= MAX_BLOCK_BYTES:
            yield file.read(UUID_BYTES), file.read(start + size - file.tell())
        file.seek(start + size)
