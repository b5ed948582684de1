"""Decide whether two pictures are the same, by a comparison at their full common resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from searchapp.duplicates import registration
from searchapp.duplicates.captions import Caption
from searchapp.duplicates.compare_scales import MAX_SIDE_PX, ScaleComparison
from searchapp.duplicates.registration import Transform
from searchapp.duplicates.residuals import BLOCK_SIDE_PX, average_blocks, match_tones
from searchapp.duplicates.shared_area import Outside, is_plausible, measure_outside
from searchapp.duplicates.text_pages import is_text_page
from searchapp.pictures.frames import Frame

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

TONES_SIDE_PX = 256  # longest side at which the tones of a pair are measured
ROUGH_TONES_SIDE_PX = 64  # the same before pictures are registered: pixels may not match exactly
MAX_ALPHA_LEVELS = 12.0
GRAY_LEVELS = 3  # the largest distance of Cb and Cr from gray, in a picture without color
GRAY_SIDE_PX = 64
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


DIFFERENT = Inspection("different")


def inspect_frames(first: Frame, second: Frame, start: Transform) -> Inspection:
    """Compare two upright pictures in detail. start: where the registration begins."""
    is_text = is_text_page(first.colors) or is_text_page(second.colors)
    is_gray = _is_gray(first.colors), _is_gray(second.colors)
    mode = "L" if any(is_gray) else "RGB"
    one, other = first.colors.convert(mode), second.colors.convert(mode)
    transform = _register(match_tones(one, other, start, ROUGH_TONES_SIDE_PX), start)
    outside = measure_outside(one, other, transform)
    if not is_plausible(outside):
        return DIFFERENT
    if not _is_alpha_equal(first, second, transform):
        return DIFFERENT
    if is_text and not _is_readable(one.size, other.size, transform):
        return Inspection("unreadable")
    toned, transform = _match_tones(one, other, transform, start)
    comparison = ScaleComparison((first.colors, second.colors), toned, transform, is_text)
    if comparison.find_difference():
        return DIFFERENT
    if comparison.is_uncertain:
        return Inspection("unreadable")
    first_edits, second_edits = (
        _list_edits(position, is_gray, comparison.caption, outside) for position in (0, 1)
    )
    return Inspection("same", first_edits, second_edits, comparison.transform)


def _match_tones(
    one: Picture, other: Picture, transform: Transform, start: Transform
) -> tuple[tuple[Picture, Picture], Transform]:
    """Return both pictures with the same tones, and their transform."""
    toned = match_tones(one, other, transform, TONES_SIDE_PX)
    if toned[0] is one and toned[1] is other:
        return toned, transform
    transform = _register(toned, start)
    return match_tones(one, other, transform, TONES_SIDE_PX), transform


def _register(toned: tuple[Picture, Picture], start: Transform) -> Transform:
    """Return the transform of two pictures with the same tones.

    Clipped colors change the brightness unevenly, which would pull the transform.
    """
    one, other = (picture.convert("L") for picture in toned)
    return registration.register_pictures(one, other, start)


def _list_edits(
    position: int,
    is_gray: tuple[bool, bool],
    caption: Caption | None,
    outside: tuple[Outside, Outside],
) -> tuple[Edit, ...]:
    """Return what was done to the first (0) or to the second picture (1)."""
    edits: dict[Edit, bool] = {
        "grayscale": is_gray[position] and not is_gray[1 - position],
        "caption": caption is not None and caption.is_in_first == (position == 0),
        "border": outside[position].is_filled and outside[position].share >= MIN_BORDER_SHARE,
    }
    return tuple(edit for edit, is_made in edits.items() if is_made)


def _is_gray(picture: Picture) -> bool:
    small = registration.shrink_picture(
        picture, (min(picture.width, GRAY_SIDE_PX), min(picture.height, GRAY_SIDE_PX))
    )
    colors = np.asarray(small.convert("YCbCr"), np.int16)[:, :, 1:]
    return bool((np.abs(colors - 128) <= GRAY_LEVELS).all())


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
