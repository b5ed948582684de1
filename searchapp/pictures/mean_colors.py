"""Keep the mean color of each thumbnail of a library, in one small file beside the thumbnails.

The web page shows the color until a thumbnail has arrived. The file needs no pass over the pictures
of existing libraries, no column, and no write to the catalog while another process indexes.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchapp.pictures.thumbnail_cache import FOLDER_NAME

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FILE_NAME = "colors.bin"
COLOR_BYTES = 2  # little-endian: IS_KNOWN, and 4 bits each of red, green and blue
IS_KNOWN = 0x8000
UNKNOWN_COLOR = "   "

logger = logging.getLogger(__name__)


def read_colors(library: Path, image_ids: NDArray[np.int64]) -> str:
    """Return the mean colors of images: three hexadecimal digits or three spaces for each.

    The text is empty if no color is known.
    """
    try:
        stored = np.fromfile(library / FOLDER_NAME / FILE_NAME, "<u2")
    except OSError:
        return ""
    codes = np.zeros(len(image_ids), np.int64)
    is_stored = image_ids < len(stored)
    codes[is_stored] = stored[image_ids[is_stored]]
    known = codes & IS_KNOWN != 0
    if not known.any():
        return ""
    texts = np.array([*(f"{color:03x}" for color in range(0x1000)), UNKNOWN_COLOR], "S3")
    found: bytes = texts[np.where(known, codes & 0xFFF, len(texts) - 1)].tobytes()
    return found.decode()


def save_color(library: Path, image_id: int, thumbnail: Picture) -> None:
    """Store the mean color of a thumbnail; if the disk is full or read-only, only log it.

    Several processes may write at once: each image has its own place in the file.
    """
    from PIL import Image

    pixel = thumbnail.convert("RGB").resize((1, 1), Image.Resampling.BOX).tobytes()
    red, green, blue = (round(channel / 17) for channel in pixel)
    code = IS_KNOWN | red << 8 | green << 4 | blue
    file = library / FOLDER_NAME / FILE_NAME
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644)
    except OSError as error:
        logger.debug("Did not save the color of the image %d: %s", image_id, error)
        return
    try:
        os.pwrite(descriptor, code.to_bytes(COLOR_BYTES, "little"), COLOR_BYTES * image_id)
    except OSError as error:
        logger.debug("Did not save the color of the image %d: %s", image_id, error)
    finally:
        os.close(descriptor)
