"""Rotate pictures upright by the orientation in their EXIF."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

EXIF_ORIENTATION_TAG = 0x0112
# EXIF's orientation to the name of Pillow's Transpose that makes the picture upright.
TRANSPOSE_BY_ORIENTATION = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def rotate_upright(image: Picture) -> Picture:
    """Return a picture rotated by its EXIF orientation; the same object if it is upright.

    Pillow's ImageOps.exif_transpose is not used: it writes the EXIF again, which fails for some
    pictures.
    """
    from PIL import Image

    transpose = None
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        return image  # libjxl has rotated it by the codestream; the EXIF orientation is void.
    with suppress(Exception):  # Invalid EXIF must not make the picture fail.
        transpose = TRANSPOSE_BY_ORIENTATION.get(image.getexif().get(EXIF_ORIENTATION_TAG, 1))
    return image.transpose(Image.Transpose[transpose]) if transpose else image
