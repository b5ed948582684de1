"""Decode the frames of pictures for a detailed comparison, and keep the last ones in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchapp.duplicates import fingerprint as prints
from searchapp.duplicates.borders import Box, find_content
from searchapp.duplicates.compare_scales import MAX_SIDE_PX
from searchapp.duplicates.existing_images import ExistingImages
from searchapp.duplicates.read_file import read_unchanged_file
from searchapp.errors import PictureError
from searchapp.pictures.frames import Frame, decode_frames

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_CACHED_PICTURES = 32  # of 5 MB at most


class FrameReader:
    """Reads pictures by their position, in the size that a detailed comparison needs."""

    def __init__(self, images: ExistingImages) -> None:
        self._images = images
        self._frame_counts: dict[int, int] = {}
        self._cache: OrderedDict[int, Frame] = OrderedDict()
        self._lock = threading.Lock()

    def get_frame_count(self, position: int) -> int:
        """Return the number of frames that the picture had when it was read; 1 if unknown."""
        return self._frame_counts.get(position, 1)

    def read_frames(self, position: int, content: Box | None, turn: int) -> Iterator[Frame]:
        """Yield the frames of a picture as prepare_frame() returns them. Raises PictureError."""
        for frame in self._read_cached(position):
            yield prepare_frame(frame, content, turn)

    def _read_cached(self, position: int) -> Iterator[Frame]:
        with self._lock:
            if (cached := self._cache.get(position)) is not None:
                self._cache.move_to_end(position)
        if cached is not None:
            yield cached
            return
        count, first = 0, None
        for frame in self._decode(position):
            count, first = count + 1, first or frame
            yield frame
        with self._lock:
            self._frame_counts[position] = count
            if count == 1 and first is not None:
                self._cache[position] = first
                while len(self._cache) > MAX_CACHED_PICTURES:
                    self._cache.popitem(last=False)

    def _decode(self, position: int) -> Iterator[Frame]:
        image = self._images[position]
        megapixels = image.width * image.height / 1e6 + 1
        for number, file in enumerate(image.files):
            try:
                data = read_unchanged_file(file)
            except PictureError:
                if number == len(image.files) - 1:
                    raise
                continue
            for frame in decode_frames(data, _choose_size, megapixels):
                yield shrink_frame(frame)
            return


def shrink_frame(frame: Frame) -> Frame:
    """Return a frame in the size that a detailed comparison needs."""
    return Frame(_shrink(frame.colors), frame.alpha and _shrink(frame.alpha))


def prepare_frame(frame: Frame, content: Box | None, turn: int) -> Frame:
    """Return a frame without its border and turned.

    content: the part to return, from the fingerprint; None: all. turn: as in TURNS.
    """
    colors, alpha = frame.colors, frame.alpha
    if content is not None:
        box = find_content(colors) or content
        colors, alpha = box.crop(colors), alpha and box.crop(alpha)
    return Frame(_turn(colors, turn), alpha and _turn(alpha, turn))


def _choose_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, MAX_SIDE_PX / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _shrink(picture: Picture) -> Picture:
    from PIL import Image

    size = _choose_size(*picture.size)
    if size == picture.size:
        return picture
    # BOX would displace thin lines by half a pixel where a picture is shrunk by little.
    return picture.resize(size, Image.Resampling.HAMMING, reducing_gap=2.0)


def _turn(picture: Picture, turn: int) -> Picture:
    """Return a picture rotated and mirrored by TURNS[turn]."""
    from PIL.Image import Transpose

    swap, rows, columns = prints.TURNS[turn]
    steps = (
        (swap, Transpose.TRANSPOSE),
        (rows, Transpose.FLIP_TOP_BOTTOM),
        (columns, Transpose.FLIP_LEFT_RIGHT),
    )
    for is_used, step in steps:
        picture = picture.transpose(step) if is_used else picture
    return picture
