"""Files of the library in the forms that browsers show: pictures, thumbnails and videos.

The functions raise PictureError if no file of an image is readable and still the indexed one.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.catalog import LocatedImage
from searchapp.errors import PictureError
from searchapp.pictures import decode, mean_colors, thumbnail_cache, thumbnails
from searchapp.pictures.originals import open_original
from searchapp.search.original_files import use_first_available
from searchapp.types import Original

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

THUMBNAIL_SIDES_PX = (320, 640)  # long side
BROWSER_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP"})
MAX_CONVERTED_SIDE_PX = 2560  # long side of a picture that is converted for browsers


def make_thumbnail(located: LocatedImage, side: int) -> Picture:
    """Return an upright thumbnail of an image."""
    return use_first_available(located, lambda original: thumbnails.make_thumbnail(original, side))


def load_thumbnail(folder: Path, located: LocatedImage, size: int) -> bytes:
    """Return a thumbnail (WebP, upright) from the disk cache; make it if it is missing there.

    folder: of the library. size: long side, one of THUMBNAIL_SIDES_PX.
    """
    file = thumbnail_cache.locate_thumbnail(folder, located.key, size, located.info.colors_since)
    if (cached := thumbnail_cache.load_thumbnail(file)) is not None:
        return cached
    thumbnail, buffer = make_thumbnail(located, size), io.BytesIO()
    thumbnail.save(buffer, "WEBP", quality=80)
    thumbnail_cache.save_thumbnail(file, buffer.getvalue())
    mean_colors.save_color(folder, located.image_id, thumbnail)
    return buffer.getvalue()


def encode_for_browser(located: LocatedImage) -> tuple[bytes, str]:
    """Return a picture in a format that browsers show, and its media type."""
    if located.seconds is None and located.info.format in BROWSER_FORMATS:
        data = use_first_available(located, _read_original)
        # An imported catalog can state another format than that of the file.
        if decode.detect_format(data) == located.info.format:
            return data, f"image/{located.info.format.lower()}"
    buffer = io.BytesIO()
    make_thumbnail(located, MAX_CONVERTED_SIDE_PX).save(buffer, "JPEG", quality=90)
    return buffer.getvalue(), "image/jpeg"


def _read_original(original: Original) -> bytes:
    with open_original(original) as file:
        return file.read()


def load_original(located: LocatedImage) -> tuple[bytes, str]:
    """Return the unchanged file of a picture, and its path."""
    return use_first_available(located, _read_picture)


def _read_picture(original: Original) -> tuple[bytes, str]:
    """Return the bytes of a picture and its path; raise PictureError if it cannot be decoded.

    An import can name a private file with its real hash, but such a file is no picture.
    """
    thumbnails.make_thumbnail(original, THUMBNAIL_SIDES_PX[0])
    return _read_original(original), original.path


def find_video(located: LocatedImage) -> Original:
    """Return the video that an image is a frame of; raise PictureError if it is no frame."""
    if located.seconds is None:
        raise PictureError("this image is not a frame of a video", stage="read")

    def check(original: Original) -> Original:
        with open_original(original):
            return original

    return use_first_available(located, check)
