"""Tell whether a file has more bits per sample than Pillow decodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

JPEG2000_SIZE_MARKER = b"\xff\x4f\xff\x51"  # start of the codestream, and marker SIZ
JPEG2000_DEPTH_OFFSET = 42  # from the start of the codestream (ISO/IEC 15444-1, A.5.1)
AV1_FLAGS_OFFSET, AV1_HIGH_BIT_DEPTH = (
    6,
    0x40,
)  # https://aomediacodec.github.io/av1-isobmff/#av1codecconfigurationbox


def loses_bits(image: Picture, data: bytes) -> bool:
    """Return whether Pillow reduces the samples of an opened picture to 8 bits.

    data: the bytes of the file. Call it before the picture is loaded.
    """
    if image.mode.startswith(("I", "F")):
        return False  # These modes hold all bits.
    if image.info.get("bit_depth", 8) > 8:  # of HEIF
        return True
    if image.format == "JPEG2000":
        start = data.find(JPEG2000_SIZE_MARKER)
        depth = data[start + JPEG2000_DEPTH_OFFSET : start + JPEG2000_DEPTH_OFFSET + 1]
        return start >= 0 and depth != b"" and (depth[0] & 0x7F) + 1 > 8
    if image.format == "AVIF":
        start = data.find(b"av1C")
        flags = data[start + AV1_FLAGS_OFFSET : start + AV1_FLAGS_OFFSET + 1]
        return start >= 0 and flags != b"" and bool(flags[0] & AV1_HIGH_BIT_DEPTH)
    for tile in getattr(image, "tile", ()):
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(isinstance(each, str) and ";16" in each for each in arguments):
            return True
    return False
