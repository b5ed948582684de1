"""Use the file of an indexed image: the first of its files that is still the indexed one."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

from searchapp.catalog import LocatedImage
from searchapp.errors import PictureError
from searchapp.pictures import video
from searchapp.pictures.originals import open_original
from searchapp.types import Original

Result = TypeVar("Result")


def use_first_available(located: LocatedImage, use: Callable[[Original], Result]) -> Result:
    """Return use(original) of the first file of an image that can be used.

    Raises the last PictureError if no file can be used.
    """
    last_error = PictureError(
        "no file of this image is in the library any more; index its folder again", stage="read"
    )
    for original in located.originals:
        try:
            return use(original)
        except PictureError as error:
            last_error = error
    raise last_error


def read_image(located: LocatedImage) -> bytes:
    """Return the file of a picture, or a video frame as a PNG of the full size.

    Raises PictureError if no file is readable and still the indexed one.
    """

    def read(original: Original) -> bytes:
        with open_original(original) as file:
            if original.seconds is None:
                return file.read()
            side = max(located.info.width, located.info.height)
            buffer = io.BytesIO()
            video.extract_frame(file, original.seconds, side).save(buffer, "PNG", compress_level=1)
            return buffer.getvalue()

    return use_first_available(located, read)
