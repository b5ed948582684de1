"""Find a caption: a line of text that was written into one of two registered pictures.

Only one of the two pictures has edges along the outlines of such letters. In the other picture,
edges are as frequent there as beside the outlines. If both pictures have a text, then both have
edges along the outlines of what differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searchapp.duplicates import registration
from searchapp.duplicates.bands import find_band
from searchapp.duplicates.borders import Box
from searchapp.duplicates.changed_line import ChangedLine, Part, cut_line, find_tones
from searchapp.duplicates.covered_texts import may_cover_text
from searchapp.duplicates.outlines import rate_outlines
from searchapp.duplicates.registration import Floats, Mask, Transform
from searchapp.duplicates.residuals import BLOCK_SIDE_PX
from searchapp.duplicates.text_lines import is_text_line

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SIDE_PX = 640  # longest side at which captions are looked for
MIN_CHANGE_LEVELS = 24.0  # of the brightest color channel
EDGE_PX = 3.0
EDGE_ZONE_SHARE = 0.4  # a caption lies in the upper or in the lower part of a picture
MAX_STRIP_SHARE, MAX_STRIPS_SHARE = 0.22, 0.36  # of the height: one line, and all lines
STRIP_GAP_SHARE = 0.02  # of the height; smaller gaps are inside a line of text
STRAY_PIXEL_SHARE = 2e-4  # of a strip: single pixels that compression has changed
MIN_INK_PIXELS = 40
MARGIN_PX = 3  # around a line, that compression changes
# Of the ratings of both pictures. Leaves may look like letters, but less clearly than a caption.
MAX_RATING_RATIO = 0.25
# Letters have one tone, and their outline, shadow or band another one.
TONE_RANGE = 30.0  # levels around a tone: compression, and the blur of thin strokes
TIGHT_RANGE = 12  # levels around a tone: how near the pixels of drawn text are


class Text(NamedTuple):
    """What may be a new text."""

    rating: float  # how much speaks against it. 1: as much as allowed
    parts: list[Part]  # the text, or the bands behind it


class Caption(NamedTuple):
    """Boxes with text, and the picture that has this text."""

    boxes: tuple[Box, ...]  # in the second picture
    is_in_first: bool


def find_caption(
    first: Picture,
    second: Picture,
    transform: Transform,
    toned: tuple[Picture, Picture],
    find_different_blocks: Callable[[int], Mask],
) -> Caption | None:
    """Return the caption that one of two pictures has; None if they differ otherwise.

    toned: both pictures again, with the same tones: they show what has changed.
    find_different_blocks: returns which blocks differ at a size, by the longest side.
    """
    side = min(SIDE_PX, max(second.size))
    first_size, size = registration.choose_sizes(first.size, second.size, transform, side)

    def align(one: Picture, other: Picture) -> tuple[Floats, Floats]:
        warped = registration.warp_picture(
            registration.shrink_picture(one, first_size), transform, size
        )
        small = registration.shrink_picture(other, size)
        return _as_array(warped), _as_array(small)

    grid = registration.make_grid(transform, size)
    is_shared = registration.find_shared_pixels(grid, first_size, EDGE_PX)
    one, other = align(*toned)
    levels = np.abs(one - other).max(axis=2)
    is_different = _spread_blocks(find_different_blocks(side), is_shared.shape)
    is_changed = (levels > MIN_CHANGE_LEVELS) & is_shared & is_different
    strips = _find_strips(is_changed)
    if not strips:
        return None
    pictures = align(first, second)
    texts = [
        _find_text(*pair, is_changed, is_shared, strips) for pair in (pictures, pictures[::-1])
    ]
    is_in_first = texts[0].rating < texts[1].rating
    text, other_text = texts if is_in_first else texts[::-1]
    is_clear = other_text.rating > 1 or text.rating <= MAX_RATING_RATIO * other_text.rating
    if text.rating > 1 or not is_clear:
        return None
    return Caption(tuple(_find_box(is_different, part) for part in text.parts), is_in_first)


def _find_text(
    carrier: Floats, plain: Floats, is_changed: Mask, is_shared: Mask, strips: list[tuple[int, int]]
) -> Text:
    """Return the new text that the carrier, [h, w, 3], may have in strips of changes."""
    texts = [_find_line(carrier, plain, is_changed, is_shared, strip) for strip in strips]
    return Text(max(text.rating for text in texts), [part for text in texts for part in text.parts])


def _spread_blocks(blocks: Mask, shape: tuple[int, ...]) -> Mask:
    """Return which pixels lie in one of the blocks, [h, w]."""
    half = BLOCK_SIDE_PX // 2
    cells = np.zeros((len(blocks) + 1, blocks.shape[1] + 1), np.bool_)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            cells[rows, columns] |= blocks
    pixels = cells.repeat(half, axis=0).repeat(half, axis=1)
    # The last rows and columns fill no block.
    padding = [(0, max(0, length - size)) for length, size in zip(shape, pixels.shape, strict=True)]
    spread: Mask = np.pad(pixels, padding, mode="edge")[: shape[0], : shape[1]]
    return spread


def _as_array(picture: Picture) -> Floats:
    return np.asarray(picture.convert("RGB"), np.float32)


def _find_strips(is_changed: Mask) -> list[tuple[int, int]]:
    """Return the rows, from and to, of changes that may be lines of text; [] if others changed."""
    height, width = is_changed.shape
    counts = is_changed.sum(axis=1)
    rows = np.flatnonzero(counts > max(1, STRAY_PIXEL_SHARE * width * 4))
    if not len(rows):
        return []
    gap = max(2, round(STRIP_GAP_SHARE * height))
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > gap) + 1)
    strips = [(int(part[0]), int(part[-1]) + 1) for part in parts]
    heights = [end - top for top, end in strips]
    if max(heights) > MAX_STRIP_SHARE * height or sum(heights) > MAX_STRIPS_SHARE * height:
        return []
    is_at_edge = (
        end <= EDGE_ZONE_SHARE * height or top >= (1 - EDGE_ZONE_SHARE) * height
        for top, end in strips
    )
    return strips if all(is_at_edge) else []


def _find_parts(is_changed: Mask, top: int, end: int) -> Iterator[Part]:
    """Yield the parts of a strip, between gaps that are wider than the strip is high."""
    columns = np.flatnonzero(is_changed[top:end].any(axis=0))
    gaps = np.flatnonzero(np.diff(columns) > end - top) + 1
    for part in np.split(columns, gaps) if len(columns) else ():
        yield Part(top, end, int(part[0]), int(part[-1]) + 1)


def _find_box(is_different: Mask, part: Part) -> Box:
    """Return the box of the different pixels around a part: a band may change them slightly."""
    rows: Mask = np.asarray(is_different.any(axis=1))
    top, bottom = _find_reach(rows, part.top, part.end)
    columns: Mask = np.asarray(is_different[top:bottom].any(axis=0))
    left, right = _find_reach(columns, part.left, part.right)
    height, width = is_different.shape
    return Box(
        (left - MARGIN_PX) / width,
        (top - MARGIN_PX) / height,
        (right + MARGIN_PX) / width,
        (bottom + MARGIN_PX) / height,
    )


def _find_reach(values: Mask, start: int, end: int) -> tuple[int, int]:
    """Return the range of true values, [n], that contains a range."""
    before, after = np.flatnonzero(~values[:start]), np.flatnonzero(~values[end:])
    return (
        int(before[-1]) + 1 if len(before) else 0,
        end + int(after[0]) if len(after) else len(values),
    )


def _find_line(
    carrier: Floats, plain: Floats, is_changed: Mask, is_shared: Mask, strip: tuple[int, int]
) -> Text:
    """Return the new text that the carrier may have in one strip.

    A band is looked for in the full width: in dark places, it changes hardly anything.
    """
    rows, columns = slice(*strip), np.flatnonzero(is_changed[slice(*strip)].any(axis=0))
    for left, right in ((0, is_changed.shape[1]), (int(columns[0]), int(columns[-1]) + 1)):
        box = rows, slice(left, right)
        band = find_band(carrier[box], plain[box])
        if band is None:
            continue
        part, is_letter = Part(*strip, left, right), np.zeros_like(is_changed)
        is_letter[box] = band.is_letter & is_shared[box]
        if band.is_opaque and may_cover_text(
            cut_line(carrier, plain, is_changed & ~is_letter, part)
        ):
            return Text(math.inf, [part])
        if not band.is_opaque:
            plain = plain.copy()
            plain[box] = band.covered
        letters = _find_parts(is_letter, *strip)
        lines = [cut_line(carrier, plain, is_letter, letter_part) for letter_part in letters]
        # Fewer pixels are the compression of what is below the band.
        lines = [line for line in lines if line.is_changed.sum() >= MIN_INK_PIXELS]
        return Text(max(map(_rate_letters, lines), default=math.inf), [part])
    parts = list(_find_parts(is_changed, *strip))
    lines = [cut_line(carrier, plain, is_changed, part) for part in parts]
    return Text(max(map(_rate_letters, lines)), parts)


def _rate_letters(line: ChangedLine) -> float:
    """Return how much speaks against changes as the letters of a text. 1: as much as allowed."""
    if line.is_changed.sum() < MIN_INK_PIXELS:
        return math.inf
    letters = _list_letters(line)
    return min((rate_outlines(line, mask) for mask in letters), default=math.inf)


def _list_letters(line: ChangedLine) -> list[Mask]:
    """Return masks that look like a new line of text: all changes, or those in one tone."""
    ink, gray = line.is_changed, line.carrier.mean(axis=2)
    masks = [(ink, np.zeros_like(ink))]
    for tone in find_tones(gray[ink], 2, TIGHT_RANGE):
        # Letters have a color, too: a texture often has its brightness, and seldom its color.
        has_tone = ink & (np.abs(gray - tone) <= TIGHT_RANGE)
        if not has_tone.any():
            continue
        color = np.median(line.carrier[has_tone], axis=0)
        distance, plain_distance = (
            np.abs(picture - color).max(axis=2) for picture in (line.carrier, line.plain)
        )
        is_old = np.maximum(distance, plain_distance) <= TIGHT_RANGE
        masks.append((distance <= TONE_RANGE, is_old))
    return [mask & ink for mask, is_old in masks if is_text_line(mask, is_old, ink)]
