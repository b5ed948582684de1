"""JPEG XL: detect the format, and read the size before the plugin decodes the picture."""

from __future__ import annotations

import math

from searchapp.errors import PictureError
from searchapp.pictures import limits, optional_decoders

CONTAINER_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
CODESTREAM_SIGNATURE = b"\xff\x0a"
ASPECT_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height
SIDE_BITS = (9, 13, 18, 30)  # possible lengths of a side field


def is_jxl(head: bytes) -> bool:
    """Return whether a file is JPEG XL, by its first bytes."""
    return head.startswith((CONTAINER_SIGNATURE, CODESTREAM_SIGNATURE))


def check_size(data: bytes, max_megapixels: float) -> None:
    """Raise PictureError if a JPEG XL picture cannot be decoded: too large, or no decoder."""
    if not optional_decoders.is_installed("jxl"):
        raise optional_decoders.make_missing_extra_error("jxl", "JPEG XL")
    size = read_size(data)
    if size is None:
        raise PictureError("cannot be decoded: broken or cut off in its first part")
    limits.check_pixel_count(math.prod(size), max_megapixels)


def read_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG XL picture in pixels; None if the file is truncated.

    Source: ISO/IEC 18181-1, SizeHeader.
    """
    start = _find_codestream(data)
    header = data[start : start + 16] if start is not None else b""
    if len(header) < 11 or not header.startswith(CODESTREAM_SIGNATURE):
        return None
    bits, bit_position = int.from_bytes(header[2:], "little"), 0

    def read_bits(count: int) -> int:
        nonlocal bit_position
        bit_position += count
        return (bits >> (bit_position - count)) & ((1 << count) - 1)

    is_small = read_bits(1)

    def read_side() -> int:
        return 8 * (1 + read_bits(5)) if is_small else 1 + read_bits(SIDE_BITS[read_bits(2)])

    height, ratio = read_side(), read_bits(3)
    if not ratio:
        return read_side(), height
    wide, high = ASPECT_RATIOS[ratio - 1]
    return height * wide // high, height


def _find_codestream(data: bytes) -> int | None:
    """Return the offset of the codestream in a JPEG XL file; None if it is missing.

    The offset is 0 if the file has no container; otherwise a box of the container holds the
    codestream.
    """
    if not data.startswith(CONTAINER_SIGNATURE):
        return 0
    position = 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        head_bytes = 8
        if length == 1:  # The 64-bit length follows.
            length, head_bytes = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            return position + head_bytes + (4 if kind == b"jxlp" else 0)
        if length < head_bytes:  # The box extends to the end of the file, or is invalid.
            return None
        position += length
    return None
