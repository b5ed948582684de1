"""What people are shown of a file: a picture, or a frame of a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchapp import images, video

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


def thumbnail(path: str, side: int, seconds: float | None = None) -> Picture:
    """Return a file's picture: upright, RGB, at most side by side pixels; PictureError.

    seconds: of a video, when the frame is shown.
    """
    if seconds is not None:
        return video.still(path, seconds, side)
    return images.thumbnail(images.read(path)[0], side)
