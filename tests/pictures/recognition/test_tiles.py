"""Long pictures are split into tiles, and each line is kept once."""

from itertools import pairwise

import pytest

from searchapp.pictures.recognition.tiles import (
    MAX_LONG_SIDE_PX,
    TILE_OVERLAP_PX,
    Tile,
    compute_reading_size,
    merge_tiles,
    split_picture,
)
from searchapp.types import TextLine
from searchapp.types.picture import Box


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((800, 600), (800, 600)),  # never enlarged
        ((4000, 3000), (2000, 1500)),  # a photo
        ((1080, 12000), (1080, 12000)),  # a long screenshot keeps its letters
        ((12000, 3000), (5120, 1280)),  # a panorama
        ((1, 60000), (1, 60000)),
    ],
)
def test_pictures_are_reduced_by_both_sides(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert compute_reading_size(*size) == expected
    assert compute_reading_size(*size[::-1]) == expected[::-1]


@pytest.mark.parametrize("length", [1, 1999, 2000, 2001, 3840, 3841, 12000, 60000])
def test_tiles_cover_the_picture_and_overlap(length: int) -> None:
    for width, height in ((length, 900), (900, length)):
        tiles = split_picture(width, height)
        assert (tiles[0].left, tiles[0].top) == (0, 0)
        assert (tiles[-1].right, tiles[-1].bottom) == (width, height)
        for tile in tiles:
            assert max(tile.right - tile.left, tile.bottom - tile.top) <= MAX_LONG_SIDE_PX
        for one, other in pairwise(tiles):
            assert (one.right - other.left, one.bottom - other.top)[height > width] >= (
                TILE_OVERLAP_PX
            )


def line(text: str, tile: Tile, left: int, top: int, right: int, bottom: int) -> TextLine:
    """Return a line with a box in pixels of the picture, cut off at the edges of a tile."""
    width, height = tile.right - tile.left, tile.bottom - tile.top

    def share(x: int, y: int) -> tuple[float, float]:
        return (
            min(max((x - tile.left) / width, 0.0), 1.0),
            min(max((y - tile.top) / height, 0.0), 1.0),
        )

    box: Box = (share(left, top), share(right, top), share(right, bottom), share(left, bottom))
    return TextLine(text, box, 0.9)


def test_a_line_in_two_tiles_is_kept_once() -> None:
    """In the picture's coordinates, whole rather than cut off, from top to bottom."""
    one, other = Tile(0, 0, 1000, 2000), Tile(0, 1840, 1000, 3840)
    lines_of_one = [
        line("first", one, 100, 100, 500, 150),
        line("in both", one, 100, 1900, 500, 1950),
        line("cut of", one, 100, 1980, 500, 2010),
    ]
    lines_of_other = [
        line("in both", other, 102, 1899, 505, 1951),
        line("cut off", other, 100, 1980, 500, 2030),
        line("last", other, 100, 3000, 500, 3050),
    ]
    found = merge_tiles(1000, 3840, [(one, lines_of_one), (other, lines_of_other)])
    assert [each.text for each in found] == ["first", "in both", "cut off", "last"]
    assert found[-1].box[0] == (0.1, round(3000 / 3840, 4))


def test_a_line_longer_than_the_overlap_is_not_lost() -> None:
    """Each tile contains a part of it."""
    left, right = Tile(0, 0, 2000, 500), Tile(1840, 0, 3840, 500)
    parts = [
        (left, [line("a very long headl", left, 100, 100, 3000, 200)]),
        (right, [line("headline", right, 100, 100, 3000, 200)]),
    ]
    found = merge_tiles(3840, 500, parts)
    assert {each.text for each in found} == {"a very long headl", "headline"}


def test_equal_lines_of_one_tile_are_all_kept() -> None:
    """A tile has no doubles; boxes of slanted lines may overlap."""
    tile = Tile(0, 0, 100, 100)
    lines = [line("one", tile, 10, 10, 90, 60), line("two", tile, 10, 20, 90, 70)]
    assert len(merge_tiles(100, 100, [(tile, lines)])) == 2
    no_box = TextLine("no box")
    assert merge_tiles(100, 100, [(tile, [no_box])]) == [no_box]
