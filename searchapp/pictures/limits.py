"""Refuse pictures that would take too much memory or time, before they are decoded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from searchapp.errors import PictureError
from searchapp.types import megapixels_to_pixels

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Each scan of a progressive JPEG passes over all pixels. Programs write about 10 scans.
MAX_JPEG_SCANS = 100
TIFF_TILE_SIDE_TAGS = (0x0142, 0x0143)  # TileWidth, TileLength


def check_pixel_count(pixels: int, max_megapixels: float, subject: str = "the picture") -> None:
    """Raise PictureError if a picture, or a part of a picture, has too many pixels to decode.

    subject: what has these pixels, as a noun for the message.
    """
    if pixels > megapixels_to_pixels(max_megapixels):
        raise PictureError(
            # Rounded up: more than a limit of 4.1 is at least 4.11.
            f"{subject} has {_format_number(math.ceil(pixels / 1e4) / 100)} megapixels, the limit "
            f"is {_format_number(max_megapixels)}",
            index_remedy="raise --max-megapixels",
        )


def _format_number(number: float) -> str:
    """Return a number with at most two decimals."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def check_limits(image: Picture, data: bytes, max_megapixels: float) -> None:
    """Raise PictureError if an opened picture is too large to decode, or empty.

    data: the bytes of the file.
    """
    pixels, subject = image.width * image.height, "the picture"
    if image.format == "TIFF":  # A small picture can be cut from one large tile.
        tags: Any = getattr(image, "tag_v2", {})
        sides = [side for tag in TIFF_TILE_SIDE_TAGS if isinstance(side := tags.get(tag), int)]
        if len(sides) == 2 and math.prod(sides) > pixels:
            pixels, subject = math.prod(sides), "a tile of the picture"
    check_pixel_count(pixels, max_megapixels, subject)
    # Without image data, the JPEG 2000 decoder returns a gray picture instead of an error.
    if image.format == "JPEG2000" and b"\xff\x93" not in data:
        raise PictureError("cannot be decoded: image file is truncated")
    if "progressive" in image.info:
        scans = _count_jpeg_scans(data)
        if scans > MAX_JPEG_SCANS:
            raise PictureError(
                f"the picture is a progressive JPEG of {scans} scans, the limit is "
                f"{MAX_JPEG_SCANS}; save it again with another program"
            )


def _count_jpeg_scans(data: bytes) -> int:
    """Count the scans of a JPEG's first picture.

    Segments before the first scan are skipped, because their content can look like a scan.
    """
    position, scan = 2, b"\xff\xda"
    while position < len(data) and data[position : position + 2] != scan:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    end = data.find(b"\xff\xd9", position)
    return data.count(scan, position, end if end >= 0 else len(data))
