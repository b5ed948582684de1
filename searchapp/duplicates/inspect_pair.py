"""Decide whether two pictures are the same, by a comparison at their full common resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from searchapp.duplicates import registration
from searchapp.duplicates.captions import EDGE_ZONE_SHARE, Caption, find_caption
from searchapp.duplicates.registration import Mask, Transform, invert
from searchapp.duplicates.residuals import (
    BLOCK_SIDE_PX,
    Residuals,
    average_blocks,
    match_tones,
    measure_residuals,
)
from searchapp.duplicates.text_pages import is_text_page
from searchapp.pictures.frames import Frame

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_SIDE_PX = 1280  # longest side at which pictures are compared
TONES_SIDE_PX = 256  # longest side at which the tones of a pair are measured
SIDES_PX = (256, 128, 512, 1024)  # where pictures are compared, and at their full size
# Measured with tests/bench/duplicates_look_alikes.py and duplicates_quality.py.
MAX_SCORE = 3.8  # difference of a block, as a multiple of the noise
# The same for pages of text: between these scores, a letter may differ, or only the compression.
MAX_SAME_TEXT_SCORE, MIN_OTHER_TEXT_SCORE = 3.3, 6.0
MAX_COLOR_SCORE = 4.8
MAX_COLOR_LEVELS = 14.0
MAX_ALPHA_LEVELS = 12.0
GRAY_LEVELS = 3  # the largest distance of Cb and Cr from gray, in a picture without color
GRAY_SIDE_PX = 64
# Both pictures may show what the other lacks, up to this share of the area: more is a turned
# camera. What a border color fills does not count.
MAX_TURNED_SHARE = 0.025
MAX_CUT_AREA_SHARE = 0.29
MAX_FILL_RANGE, MIN_FILL_SHARE = 12, 0.9  # levels of a flat area, and how much is flat
MIN_BORDER_SHARE = 0.02  # of the area; a smaller border is not mentioned
# Text is compared if nothing is lost by the scale, or if the common size is large enough to read.
FULL_TEXT_SCALE, READABLE_SIDE_PX = 0.9, 1000
MIN_TEXT_SCALE, MIN_TEXT_SIDE_PX = 0.4, 600

Result = Literal["same", "different", "unreadable"]
Edit = Literal["grayscale", "caption", "border"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a detailed comparison of two pictures has shown."""

    result: Result
    first_edits: tuple[Edit, ...] = ()  # what was done to the first picture
    second_edits: tuple[Edit, ...] = ()
    transform: Transform | None = None  # from the second to the first; None: they differ


class Outside(NamedTuple):
    """The part of a picture that the other one does not show."""

    share: float  # of the area
    is_filled: bool  # with one color: a border, or the corners of a turned copy


DIFFERENT = Inspection("different")


def inspect_frames(first: Frame, second: Frame, start: Transform) -> Inspection:
    """Compare two upright pictures in detail. start: where the registration begins."""
    is_text = is_text_page(first.colors) or is_text_page(second.colors)
    is_gray = [_is_gray(frame.colors) for frame in (first, second)]
    one, other = first.colors, second.colors
    if any(is_gray):
        one, other = one.convert("L"), other.convert("L")
    transform = registration.register_pictures(one.convert("L"), other.convert("L"), start)

    def list_outside(transform: Transform) -> list[Outside]:
        return [
            _measure_outside(one, invert(transform)), _measure_outside(other, transform)
        ]  # fmt: skip

    outside = list_outside(transform)
    if not _is_plausible(outside):
        return DIFFERENT
    if not _is_alpha_equal(first, second, transform):
        return DIFFERENT
    if is_text and not _is_readable(one.size, other.size, transform):
        return Inspection("unreadable")
    caption: Caption | None = None
    is_uncertain = False
    toned = match_tones(one, other, transform, TONES_SIDE_PX)
    if toned[0] is not one or toned[1] is not other:
        # Clipped colors have changed the brightness unevenly, which has pulled the transform.
        gray = [picture.convert("L") for picture in toned]
        transform = registration.register_pictures(gray[0], gray[1], start)
        toned = match_tones(one, other, transform, TONES_SIDE_PX)

    def find_different_blocks(side: int) -> Mask:
        return _find_different_blocks(measure_residuals(*toned, transform, side), is_text)

    for side in _list_sides(one.size, other.size, transform):
        residuals = measure_residuals(*toned, transform, side)
        is_different = _find_different_blocks(residuals, is_text)
        if side > SIDES_PX[0] and caption is None and is_different.any():
            gray = [picture.convert("L") for picture in toned]
            finer = registration.register_finely(gray[0], gray[1], transform, side)
            if _is_plausible(list_outside(finer)):
                transform = finer
                residuals = measure_residuals(*toned, transform, side)
                is_different = _find_different_blocks(residuals, is_text)
        is_uncertain |= is_text and bool((residuals.scores > MAX_SAME_TEXT_SCORE).any())
        if caption is None and not is_text and _is_at_edge(is_different):
            caption = find_caption(
                first.colors, second.colors, transform, toned, find_different_blocks
            )
        if caption is not None:
            is_different &= ~_mask_strips(caption, residuals)
        if is_different.any():
            return DIFFERENT
    if is_uncertain:
        return Inspection("unreadable")
    edits: tuple[list[Edit], list[Edit]] = ([], [])
    for position in (0, 1):
        if is_gray[position] and not is_gray[1 - position]:
            edits[position].append("grayscale")
        if caption is not None and caption.is_in_first == (position == 0):
            edits[position].append("caption")
        if outside[position].is_filled and outside[position].share >= MIN_BORDER_SHARE:
            edits[position].append("border")
    return Inspection("same", tuple(edits[0]), tuple(edits[1]), transform)


def _find_different_blocks(residuals: Residuals, is_text: bool) -> Mask:
    is_different: Mask = residuals.scores > (MIN_OTHER_TEXT_SCORE if is_text else MAX_SCORE)
    is_different |= residuals.color_scores > MAX_COLOR_SCORE
    return is_different | (residuals.color_levels > MAX_COLOR_LEVELS)


def _is_at_edge(blocks: Mask) -> bool:
    """Return whether there are blocks, and all in the upper or lower part: perhaps a caption."""
    places = np.flatnonzero(blocks.any(axis=1)) / max(1, len(blocks) - 1)
    middle = (places > EDGE_ZONE_SHARE + 0.05) & (places < 0.95 - EDGE_ZONE_SHARE)
    return len(places) > 0 and not middle.any()


def _list_sides(one: tuple[int, int], other: tuple[int, int], transform: Transform) -> list[int]:
    """Return the longest sides at which two pictures are compared, up to their full common size."""
    largest = max(registration.choose_sizes(one, other, transform, MAX_SIDE_PX)[1])
    return [side for side in SIDES_PX if side < 0.8 * largest] + [largest]


def _is_gray(picture: Picture) -> bool:
    small = registration.shrink_picture(picture, _limit_size(picture.size, GRAY_SIDE_PX))
    colors = np.asarray(small.convert("YCbCr"), np.int16)[:, :, 1:]
    return bool((np.abs(colors - 128) <= GRAY_LEVELS).all())


def _limit_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    return min(size[0], side), min(size[1], side)


def _is_plausible(outside: list[Outside]) -> bool:
    """Return whether one picture shows the other, or nearly all of it.

    outside: what the first and the second picture show, and the other one does not.
    """
    turned = min(0.0 if part.is_filled else part.share for part in outside)
    return max(part.share for part in outside) <= MAX_CUT_AREA_SHARE and turned <= MAX_TURNED_SHARE


def _measure_outside(picture: Picture, transform: Transform) -> Outside:
    """Return how much of a picture the other lacks, by the transform to the other."""
    size = _limit_size(picture.size, 128)
    grid = registration.make_grid(transform, size)
    margin = 0.004
    is_outside = (grid.u < -margin) | (grid.u > 1 + margin)
    is_outside |= (grid.v < -margin) | (grid.v > 1 + margin) | (grid.depth <= 0)
    share = float(is_outside.mean())
    if not share:
        return Outside(0.0, False)
    pixels = np.asarray(registration.shrink_picture(picture, size).convert("L"))[is_outside]
    fill = np.median(pixels)
    is_filled = np.abs(pixels - fill) <= MAX_FILL_RANGE
    return Outside(share, bool(is_filled.mean() > MIN_FILL_SHARE))


def _is_alpha_equal(first: Frame, second: Frame, transform: Transform) -> bool:
    from PIL import Image

    if first.alpha is None and second.alpha is None:
        return True
    one, other = (
        frame.alpha or Image.new("L", frame.colors.size, 255) for frame in (first, second)
    )
    first_size, size = registration.choose_sizes(one.size, other.size, transform, MAX_SIDE_PX)
    warped = registration.warp_picture(
        registration.shrink_picture(one, first_size), transform, size
    )
    grid = registration.make_grid(transform, size)
    is_shared = registration.find_shared_pixels(grid, first_size, 2.0)
    small = registration.shrink_picture(other, size)
    difference = np.asarray(warped, np.float32) - np.asarray(small, np.float32)
    if min(size) < 2 * BLOCK_SIDE_PX:
        return bool((np.abs(difference) <= MAX_ALPHA_LEVELS).all())
    return bool((np.abs(average_blocks(difference * is_shared)) <= MAX_ALPHA_LEVELS).all())


def _is_readable(one: tuple[int, int], other: tuple[int, int], transform: Transform) -> bool:
    """Return whether the text of two pages can be compared at their common size."""
    first_size, size = registration.choose_sizes(one, other, transform, MAX_SIDE_PX)
    scale = min(first_size[0] / one[0], first_size[1] / one[1], size[0] / other[0])
    side = max(size)
    if scale >= FULL_TEXT_SCALE or side >= READABLE_SIDE_PX:
        return True
    return scale >= MIN_TEXT_SCALE and side >= MIN_TEXT_SIDE_PX


def _mask_strips(caption: Caption, residuals: Residuals) -> Mask:
    """Return which blocks lie in the strips of a caption, [rows, columns]."""
    height = len(residuals.is_shared)
    half = BLOCK_SIDE_PX // 2
    tops = np.arange(len(residuals.scores)) * half / height
    ends = tops + BLOCK_SIDE_PX / height
    margin = 2 / height
    is_inside = np.zeros(len(tops), bool)
    for top, end in caption.strips:
        is_inside |= (ends > top - margin) & (tops < end + margin)
    return np.broadcast_to(is_inside[:, None], residuals.scores.shape)
