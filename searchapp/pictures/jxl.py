"""JPEG XL: tell it from other files, and how large it is before the plugin decodes it."""

from __future__ import annotations

CONTAINER_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
CODESTREAM_SIGNATURE = b"\xff\x0a"
ASPECT_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # of width to height
SIDE_BITS = (9, 13, 18, 30)  # that a side may be written with


def is_jxl(head: bytes) -> bool:
    """Tell from a file's first bytes whether it is JPEG XL."""
    return head.startswith((CONTAINER_SIGNATURE, CODESTREAM_SIGNATURE))


def read_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels (ISO/IEC 18181-1, SizeHeader); None where cut off."""
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
    """Return where the codestream begins: at once, or in a box of the container."""
    if not data.startswith(CONTAINER_SIGNATURE):
        return 0
    position = 0
    while position + 8 <= len(data):
        length, kind = (
            int.from_bytes(data[position : position + 4], "big"),
            data[position + 4 : position + 8],
        )
        head = 8
        if length == 1:
            length, head = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            return position + head + (4 if kind == b"jxlp" else 0)
        if length < head:  # it goes to the end of the file, or is nonsense
            return None
        position += length
    return None
