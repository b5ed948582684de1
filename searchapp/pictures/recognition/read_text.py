"""Read the text of an indexed picture or video frame: first at a small size, then in tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from searchapp.pictures import decode, video
from searchapp.pictures.originals import open_original
from searchapp.pictures.recognition.text_reader import TextReader
from searchapp.pictures.recognition.tiles import (
    MAX_LONG_SIDE_PX,
    Tile,
    compute_reading_size,
    merge_tiles,
    split_picture,
)
from searchapp.types import MAX_MEGAPIXELS, Original, TextLine

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Long side of the picture in which text is looked for first. A large JPEG is decoded faster at
# this size.
SEARCH_SIDE_PX = 960

Size = tuple[int, int]
LoadPicture = Callable[[Callable[[int, int], Size]], "Picture"]


def read_original(
    original: Original, reader: TextReader, max_megapixels: float = MAX_MEGAPIXELS
) -> list[TextLine]:
    """Return the lines of text in an indexed picture or video frame.

    Raises PictureError if the file changed since it was indexed, or cannot be decoded.
    """
    with open_original(original) as file:
        if original.seconds is not None:
            frame = video.extract_frame(file, original.seconds, MAX_LONG_SIDE_PX)
            return read_text(lambda _: frame, reader)
        data = file.read()
    return read_text(
        lambda choose_size: decode.decode_picture(data, choose_size, max_megapixels)[0], reader
    )


def read_text(load: LoadPicture, reader: TextReader) -> list[TextLine]:
    """Return the lines of text in a picture; boxes are shares of the upright picture.

    load: returns the upright RGB picture. Its argument chooses the size that is needed from width
    and height; the picture can be larger.
    """
    from PIL import Image

    full_sides = list[int]()

    def choose_search_size(width: int, height: int) -> Size:
        full_sides.append(max(width, height))
        scale = min(1.0, SEARCH_SIDE_PX / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    picture = load(choose_search_size)
    # The decoder may have reduced the picture.
    enlargement = max(1.0, max(full_sides, default=0) / max(picture.size))
    width, height = compute_reading_size(
        round(picture.width * enlargement), round(picture.height * enlargement)
    )
    tiles = split_picture(width, height)
    quick: list[TextLine] = []
    if len(tiles) == 1 and not (quick := reader.find_lines(picture)):
        return []
    if max(picture.size) < max(width, height):
        picture = load(compute_reading_size)
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    parts: list[tuple[Tile, list[TextLine]]] = []
    for tile in tiles:
        part = picture.crop((tile.left, tile.top, tile.right, tile.bottom))
        # The detection misses some large lines at one size, and other lines at the other size.
        parts.append((tile, quick or reader.find_lines(part)))
        parts.append((tile, reader.read_lines(part)))
    return merge_tiles(width, height, parts)
