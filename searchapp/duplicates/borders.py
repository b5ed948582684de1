"""Find a border: flat lines around the content of a picture, of one color or of a few frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_RANGE_LEVELS = 16  # of a flat line; the compression of the content adds noise near it
MAX_FRAMES = 3  # such as a black line in a white border
MAX_BORDER_SHARE = 0.3  # of a side, at each end
MIN_CONTENT_SHARE = 0.3  # of the area


class Box(NamedTuple):
    """The content of a picture, as shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float

    def scale(self, width: int, height: int) -> tuple[int, int]:
        """Return the size of the content in pixels, from the size of the picture."""
        return (
            max(1, round((self.right - self.left) * width)),
            max(1, round((self.bottom - self.top) * height)),
        )

    def crop(self, picture: Picture) -> Picture:
        """Return the content of a picture."""
        width, height = picture.size
        return picture.crop(
            (
                round(self.left * width),
                round(self.top * height),
                round(self.right * width),
                round(self.bottom * height),
            )
        )


def find_content(picture: Picture) -> Box | None:
    """Return the content of an RGB picture without its border; None if it has no border.

    A border has flat lines at two opposite sides at least.
    """
    pixels = np.asarray(picture, np.int16)
    height, width = pixels.shape[:2]
    left, top, right, bottom = 0, 0, width, height
    for _ in range(MAX_FRAMES):
        inner = pixels[top:bottom, left:right]
        rows, columns = inner, inner.transpose(1, 0, 2)
        cuts = [_count_flat_lines(side) for side in (rows, rows[::-1], columns, columns[::-1])]
        if not any(cuts):
            break
        top, bottom, left, right = top + cuts[0], bottom - cuts[1], left + cuts[2], right - cuts[3]
        if right - left < 8 or bottom - top < 8:
            return None
    edges = (top, height - bottom, left, width - right)
    if not (all(edges[:2]) or all(edges[2:])):
        return None
    sides = (height, height, width, width)
    if any(edge > MAX_BORDER_SHARE * side for edge, side in zip(edges, sides, strict=True)):
        return None
    if (right - left) * (bottom - top) < MIN_CONTENT_SHARE * width * height:
        return None
    return Box(left / width, top / height, right / width, bottom / height)


def _count_flat_lines(lines: NDArray[np.int16]) -> int:
    """Return how many lines, [n, length, 3], have the color of the first line throughout."""
    first = lines[0]
    color = np.median(first, axis=0)
    if np.abs(first - color).max() > MAX_RANGE_LEVELS:
        return 0
    is_flat = (np.abs(lines - color) <= MAX_RANGE_LEVELS).all(axis=(1, 2))
    return len(lines) if is_flat.all() else int(np.argmin(is_flat))
