"""Split a long picture into overlapping tiles, and merge the lines that were read in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from searchapp.types import TextLine
from searchapp.types.picture import Box

# A picture is reduced until its long side or its short side has at most this many pixels.
MAX_LONG_SIDE_PX = 2000
MAX_SHORT_SIDE_PX = 1280
TILE_OVERLAP_PX = 160  # more than the height of a line
MAX_COVERED_SHARE = 0.5  # of a line, by lines that were read in another tile
EDGE_PX = 3  # A box that is this near to the edge of a tile can be cut off.

Bounds = tuple[float, float, float, float]  # left, top, right, bottom


def compute_reading_size(width: int, height: int) -> tuple[int, int]:
    """Return the size in pixels at which a picture of this size is read."""
    short, long = sorted((width, height))
    scale = min(1.0, max(MAX_LONG_SIDE_PX / long, MAX_SHORT_SIDE_PX / short))
    return max(1, round(width * scale)), max(1, round(height * scale))


@dataclass(frozen=True, slots=True)
class Tile:
    """Part of a picture, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


def split_picture(width: int, height: int) -> list[Tile]:
    """Return tiles that cover a picture; neighbors overlap by at least TILE_OVERLAP_PX."""
    return [
        Tile(left, top, right, bottom)
        for top, bottom in _split_side(height)
        for left, right in _split_side(width)
    ]


def _split_side(length: int) -> list[tuple[int, int]]:
    if length <= MAX_LONG_SIDE_PX:
        return [(0, length)]
    step = MAX_LONG_SIDE_PX - TILE_OVERLAP_PX
    count = math.ceil((length - TILE_OVERLAP_PX) / step)
    starts = [round(number * (length - MAX_LONG_SIDE_PX) / (count - 1)) for number in range(count)]
    return [(start, start + MAX_LONG_SIDE_PX) for start in starts]


def merge_tiles(
    width: int, height: int, tiles: Iterable[tuple[Tile, Sequence[TextLine]]]
) -> list[TextLine]:
    """Return the lines of all tiles, without the lines that two tiles contain.

    tiles: with the lines that were read in each. A tile can occur twice, read in two ways.
    Complete lines come before lines that the edge of a tile may cut off. A line is left out if
    better lines of other tiles cover most of it.
    """
    candidates: list[tuple[bool, int, TextLine]] = []
    for number, (tile, lines) in enumerate(tiles):
        for line in lines:
            is_cut = _touches_inner_edge(line.box, tile, width, height)
            candidates.append((is_cut, number, _move_to_picture(line, tile, width, height)))
    candidates.sort(key=lambda each: (each[0], -each[2].confidence))
    kept: list[tuple[int, TextLine]] = []
    for _, number, line in candidates:
        others = [other.box for other_number, other in kept if other_number != number]
        if all(_measure_covered_share(line.box, box) <= MAX_COVERED_SHARE for box in others):
            kept.append((number, line))
    return _sort_rows([line for _, line in kept])


def _sort_rows(lines: list[TextLine]) -> list[TextLine]:
    """Return lines from top to bottom, and those of one row from left to right."""
    rows: list[list[tuple[Bounds, TextLine]]] = []
    located = [(_compute_bounds(line.box), line) for line in lines]
    for bounds, line in sorted(located, key=lambda each: each[0][1]):
        # A line whose top is above the middle of the first one in the row belongs to the row.
        if rows and bounds[1] < (rows[-1][0][0][1] + rows[-1][0][0][3]) / 2:
            rows[-1].append((bounds, line))
        else:
            rows.append([(bounds, line)])
    return [line for row in rows for _, line in sorted(row, key=lambda each: each[0][0])]


def _touches_inner_edge(box: Box, tile: Tile, width: int, height: int) -> bool:
    if not box:
        return False
    left, top, right, bottom = _compute_bounds(box)
    tile_width, tile_height = tile.right - tile.left, tile.bottom - tile.top
    return (
        (tile.left > 0 and left * tile_width < EDGE_PX)
        or (tile.top > 0 and top * tile_height < EDGE_PX)
        or (tile.right < width and (1 - right) * tile_width < EDGE_PX)
        or (tile.bottom < height and (1 - bottom) * tile_height < EDGE_PX)
    )


def _move_to_picture(line: TextLine, tile: Tile, width: int, height: int) -> TextLine:
    """Return a line whose box is in shares of the picture, instead of shares of a tile."""
    box = tuple(
        (
            round((tile.left + x * (tile.right - tile.left)) / width, 4),
            round((tile.top + y * (tile.bottom - tile.top)) / height, 4),
        )
        for x, y in line.box
    )
    return replace(line, box=box)


def _compute_bounds(box: Box) -> Bounds:
    xs, ys = [x for x, _ in box] or [0.0], [y for _, y in box] or [0.0]
    return min(xs), min(ys), max(xs), max(ys)


def _measure_covered_share(box: Box, other: Box) -> float:
    """Return how much of the smaller of two boxes the other box covers, by their bounds."""
    if not box or not other:
        return 0.0
    a, b = _compute_bounds(box), _compute_bounds(other)
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = ((each[2] - each[0]) * (each[3] - each[1]) for each in (a, b))
    return width * height / max(min(areas), 1e-12)
