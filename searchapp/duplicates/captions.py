"""Find a caption: a line of text that was written into one of two registered pictures.

Only one of the two pictures has edges along the outlines of such letters. In the other picture,
edges are as frequent there as beside the outlines. If both pictures have a text, then both have
edges along the outlines of what differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searchapp.duplicates import registration
from searchapp.duplicates.borders import Box
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
# Edges of the picture without a caption along the outlines, as a multiple of those of the other
# picture: of a whole line, and of its part where they are most frequent. Measured with other
# pictures than those of the tests: at most 0.33 and 0.40 for 95 % of captions, at least 0.52 if
# both pictures have a text.
MAX_EDGE_RATIO, MAX_PART_RATIO = 0.35, 0.5
PART_LINES = 3  # width of such a part, as a multiple of the height of the line
# Letters have one tone, and their outline, shadow or band another one.
TONE_RANGE = 30.0  # levels around a tone: compression, and the blur of thin strokes
TIGHT_RANGE = 12.0  # levels around a tone: how near the pixels of drawn text are
MIN_BAND_SHARE = 0.55  # of the box around changes; a band changes more or less all its pixels
MIN_BEHIND_SHARE = 0.4  # of the changes, that are explained by a band
MAX_BAND_GAIN = 0.92  # how much of the picture is seen through a translucent band


class Caption(NamedTuple):
    """Boxes with text, and the picture that has this text."""

    boxes: tuple[Box, ...]  # in the second picture
    is_in_first: bool


class _Line(NamedTuple):
    """The box around a line of changes, with its surroundings."""

    carrier: Floats  # [h, w, 3], the picture that may have a caption
    plain: Floats  # [h, w, 3], the other picture
    is_changed: Mask
    height: int  # of the line, in pixels


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
    edges = [
        max(_rate_line(_cut_line(carrier, plain, is_changed, *strip)) for strip in strips)
        for carrier, plain in (pictures, pictures[::-1])
    ]
    if min(edges) > 1:
        return None
    boxes = tuple(_find_box(is_different, *strip) for strip in strips)
    return Caption(boxes, is_in_first=edges[0] < edges[1])


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


def _find_box(is_different: Mask, top: int, end: int) -> Box:
    """Return the box of the different pixels around a strip: a band may change them slightly."""
    height, width = is_different.shape
    is_equal = ~is_different.any(axis=1)
    above, below = np.flatnonzero(is_equal[:top]), np.flatnonzero(is_equal[end:])
    top = above[-1] + 1 if len(above) else 0
    end = end + below[0] if len(below) else height
    columns = np.flatnonzero(is_different[top:end].any(axis=0))
    left, right = columns[0] - MARGIN_PX, columns[-1] + 1 + MARGIN_PX
    return Box(left / width, (top - MARGIN_PX) / height, right / width, (end + MARGIN_PX) / height)


def _cut_line(carrier: Floats, plain: Floats, is_changed: Mask, top: int, end: int) -> _Line:
    """Return the changes between two rows, with surroundings of half the height."""
    reach = max(4, (end - top) // 2)
    columns = np.flatnonzero(is_changed[top:end].any(axis=0))
    box = (
        slice(max(0, top - reach), end + reach),
        slice(max(0, columns[0] - reach), columns[-1] + 1 + reach),
    )
    is_inside = np.zeros_like(is_changed)
    is_inside[top:end] = True
    return _Line(carrier[box], plain[box], (is_changed & is_inside)[box], end - top)


def _rate_line(line: _Line) -> float:
    """Return the edges of the plain picture along a line of text that the carrier has.

    1: as many as allowed. Infinity: the changes are no line of text.
    """
    ink = _find_ink(line)
    if ink.sum() < MIN_INK_PIXELS:
        return math.inf
    edges = _measure_edges(line, ink)
    return edges if edges > 1 or _is_text(line, ink) else math.inf


def _is_text(line: _Line, ink: Mask) -> bool:
    """Return whether ink, or one of its tones, looks like a line of text that is new."""
    carrier, plain = line.carrier.mean(axis=2), line.plain.mean(axis=2)
    nothing = np.zeros_like(ink)
    masks = [(ink, nothing)]
    for tone in _find_tones(carrier[ink]):
        distance, plain_distance = np.abs(carrier - tone), np.abs(plain - tone)
        is_old = np.maximum(distance, plain_distance) <= TIGHT_RANGE
        masks.append((distance <= TONE_RANGE, is_old))
    return any(is_text_line(mask, is_old, ink) for mask, is_old in masks)


def _find_ink(line: _Line) -> Mask:
    """Return the pixels of letters: changes that are no band behind them."""
    rows, columns = (np.flatnonzero(line.is_changed.any(axis=axis)) for axis in (1, 0))
    box = line.is_changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if box.mean() < MIN_BAND_SHARE:
        return line.is_changed
    gain, offset = _fit_band(line)
    distance = np.abs(line.carrier - gain * line.plain - offset).max(axis=2)
    is_behind = line.is_changed & (distance <= MIN_CHANGE_LEVELS)
    is_band = is_behind.sum() >= MIN_BEHIND_SHARE * line.is_changed.sum()
    if not is_band or gain.max() > MAX_BAND_GAIN:
        return line.is_changed
    ink: Mask = line.is_changed & ~is_behind
    return ink


def _fit_band(line: _Line) -> tuple[Floats, Floats]:
    """Return gain and offset of each channel, [3], behind a band. An opaque band has no gain."""
    x, y = line.plain[line.is_changed], line.carrier[line.is_changed]
    weights = np.ones(len(x), np.float32)
    gain, offset = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for _ in range(8):
        total = weights.sum()
        center_x, center_y = (weights @ x) / total, (weights @ y) / total
        spread = weights @ (x - center_x) ** 2
        gain = (weights @ ((x - center_x) * (y - center_y))) / np.maximum(spread, 1e-3)
        offset = center_y - gain * center_x
        distance = np.abs(y - gain * x - offset).max(axis=1)
        weights = 1 / (1 + (distance / 8) ** 2)
    return gain.astype(np.float32), offset.astype(np.float32)


def _measure_edges(line: _Line, ink: Mask) -> float:
    """Return the edges of the plain picture along the outlines of ink. 1: as many as allowed."""
    outline = (_spread(ink) & _spread(~ink)).astype(np.float32)
    # Edges along the outlines count, and those beside them count against.
    weights = outline - _average(outline, line.height)
    plain, carrier = (
        (weights * _measure_steepness(picture)).sum(axis=0)
        for picture in (line.plain, line.carrier)
    )
    part = np.ones(min(len(plain), PART_LINES * line.height))
    plain_parts, carrier_parts = (np.convolve(edges, part, "valid") for edges in (plain, carrier))
    if carrier.sum() <= 0 or carrier_parts.max() <= 0:
        return math.inf
    ratio, part_ratio = plain.sum() / carrier.sum(), plain_parts.max() / carrier_parts.max()
    return float(max(0.0, ratio / MAX_EDGE_RATIO, part_ratio / MAX_PART_RATIO))


def _measure_steepness(picture: Floats) -> Floats:
    """Return the length of the gradient of all colors, in levels for each pixel, [h, w]."""
    down, across = np.gradient(picture, axis=(0, 1))
    steepness: Floats = np.sqrt((down**2 + across**2).sum(axis=2))
    return steepness


def _spread(mask: Mask) -> Mask:
    """Return which pixels are in a mask or next to it."""
    height, width = mask.shape
    padded, spread = np.pad(mask, 1), np.zeros_like(mask)
    for row in range(3):
        for column in range(3):
            spread |= padded[row : row + height, column : column + width]
    return spread


def _average(values: Floats, side: int) -> Floats:
    """Return the mean of the square around each pixel, [h, w]."""
    half = max(1, side // 2)
    length = 2 * half + 1
    sums = np.pad(values, half, mode="edge").cumsum(axis=0).cumsum(axis=1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    totals = sums[length:, length:] - sums[:-length, length:]
    means: Floats = (totals - sums[length:, :-length] + sums[:-length, :-length]) / length**2
    return means


def _find_tones(pixels: Floats) -> list[int]:
    """Return the two most frequent gray tones of pixels, [n]."""
    counts = np.bincount(pixels.astype(np.int64), minlength=256)
    tones, width = list[int](), int(TIGHT_RANGE)
    for _ in range(2):
        tone = int(np.convolve(counts, np.ones(2 * width + 1), "same").argmax())
        counts[max(0, tone - width) : tone + width + 1] = 0
        tones.append(tone)
    return tones
