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
from searchapp.duplicates.bands import find_ink
from searchapp.duplicates.borders import Box
from searchapp.duplicates.changed_line import ChangedLine, Part, cut_line, find_tones
from searchapp.duplicates.outlines import rate_outlines
from searchapp.duplicates.registration import Floats, Mask, Transform
from searchapp.duplicates.residuals import BLOCK_SIDE_PX
from searchapp.duplicates.text_lines import is_text_line
from searchapp.duplicates.veils import find_veil

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
# Letters have one tone, and their outline, shadow or band another one.
TONE_RANGE = 30.0  # levels around a tone: compression, and the blur of thin strokes
TIGHT_RANGE = 12  # levels around a tone: how near the pixels of drawn text are


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
    is_in_first = choose_carrier(*pictures, is_changed, strips)
    if is_in_first is None:
        return None
    parts = (part for strip in strips for part in _find_parts(is_changed, *strip))
    return Caption(tuple(_find_box(is_different, part) for part in parts), is_in_first)


def choose_carrier(
    one: Floats, other: Floats, is_changed: Mask, strips: list[tuple[int, int]]
) -> bool | None:
    """Return whether the first of two pictures, [h, w, 3], has the new text in these strips.

    False: the second picture has it. None: neither has a new text, or both have.
    """
    ratings = [
        max(_rate_strip(carrier, plain, is_changed, strip) for strip in strips)
        for carrier, plain in ((one, other), (other, one))
    ]
    if (ratings[0] <= 1) == (ratings[1] <= 1):
        return None
    return ratings[0] < ratings[1]


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


def _rate_strip(carrier: Floats, plain: Floats, is_changed: Mask, strip: tuple[int, int]) -> float:
    """Return how much speaks against a new text in a strip of the carrier. 1: as much as allowed.

    What a translucent band changes is no letter: in dark places, it changes hardly anything.
    """
    columns = np.flatnonzero(is_changed[slice(*strip)].any(axis=0))
    box = slice(*strip), slice(int(columns[0]), int(columns[-1]) + 1)
    veil = find_veil(carrier[box], plain[box])
    if veil is None:
        parts = _find_parts(is_changed, *strip)
        return max(_rate_line(cut_line(carrier, plain, is_changed, part)) for part in parts)
    plain, is_letter = plain.copy(), np.zeros_like(is_changed)
    plain[box], is_letter[box] = veil.covered, veil.is_letter
    lines = [cut_line(carrier, plain, is_letter, part) for part in _find_parts(is_letter, *strip)]
    # Fewer pixels are the compression of what is below the band.
    lines = [line for line in lines if line.is_changed.sum() >= MIN_INK_PIXELS]
    return max((_rate_letters(line, line.is_changed) for line in lines), default=math.inf)


def _rate_line(line: ChangedLine) -> float:
    """Return how much speaks against a new text in the carrier. 1: as much as allowed."""
    ink = find_ink(line)
    if ink is None or ink.sum() < MIN_INK_PIXELS:
        return math.inf
    return _rate_letters(line, ink)


def _rate_letters(line: ChangedLine, ink: Mask) -> float:
    """Return how much speaks against ink as the letters of a new text. 1: as much as allowed."""
    rating = rate_outlines(line, ink)
    return rating if rating > 1 or _is_text(line, ink) else math.inf


def _is_text(line: ChangedLine, ink: Mask) -> bool:
    """Return whether ink, or one of its tones, looks like a line of text that is new."""
    gray = line.carrier.mean(axis=2)
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
    return any(is_text_line(mask, is_old, ink) for mask, is_old in masks)
