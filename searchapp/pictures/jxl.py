"""JPEG XL: tell it from other files, and how large it is before the plugin decodes it."""

from __future__ import annotations

CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
CODESTREAM = b"\xff\x0a"
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # of width to height
SIDE_BITS = (9, 13, 18, 30)  # that a side may be written with


def is_one(head: bytes) -> bool:
    """Tell from a file's first bytes whether it is JPEG XL."""
    return head.startswith((CONTAINER, CODESTREAM))


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels (ISO/IEC 18181-1, SizeHeader); None where cut off."""
    start = _codestream(data)
    header = data[start : start + 16] if start is not None else b""
    if len(header) < 11 or not header.startswith(CODESTREAM):
        return None
    bits, at = int.from_bytes(header[2:], "little"), 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return (bits >> (at - count)) & ((1 << count) - 1)

    small = take(1)

    def side() -> int:
        return 8 * (1 + take(5)) if small else 1 + take(SIDE_BITS[take(2)])

    height, ratio = side(), take(3)
    if not ratio:
        return side(), height
    wide, high = RATIOS[ratio - 1]
    return height * wide // high, height


def _codestream(data: bytes) -> int | None:
    """Return where the codestream begins: at once, or in a box of the container."""
    if not data.startswith(CONTAINER):
        return 0
    at = 0
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            return at + head + (4 if kind == b"jxlp" else 0)
        if length < head:  # it goes to the end of the file, or is nonsense
            return None
        at += length
    return None
