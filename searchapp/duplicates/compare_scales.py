"""Compare two registered pictures at several scales, up to the first difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from searchapp.duplicates import registration
from searchapp.duplicates.captions import EDGE_ZONE_SHARE, Caption, find_caption
from searchapp.duplicates.registration import Mask, Transform
from searchapp.duplicates.residuals import BLOCK_SIDE_PX, Residuals, measure_residuals
from searchapp.duplicates.shared_area import is_plausible, measure_outside

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_SIDE_PX = 1280  # longest side at which pictures are compared
SIDES_PX = (256, 128, 512, 1024)  # where pictures are compared, and at their full size
# Measured with tests/bench/duplicates_look_alikes.py and duplicates_quality.py.
MAX_SCORE = 3.8  # difference of a block, as a multiple of the noise
# The same for pages of text: between these scores, a letter may differ, or only the compression.
MAX_SAME_TEXT_SCORE, MIN_OTHER_TEXT_SCORE = 3.3, 6.0
MAX_TEXT_EDGE_NOISE = 0.12  # with more, the edges of equal letters differ as much as two letters
MAX_COLOR_SCORE = 4.8
MAX_COLOR_LEVELS = 14.0
EDGE_PX = 2  # around the box of a caption


@dataclass
class ScaleComparison:
    """A comparison of two pictures. find_difference() changes the other attributes."""

    pictures: tuple[Picture, Picture]  # with their colors
    toned: tuple[Picture, Picture]  # with the same tones: both RGB or both gray
    transform: Transform
    is_text: bool  # a page of text
    caption: Caption | None = None  # the only difference that was found
    is_uncertain: bool = False  # a letter may differ, or only the compression

    def find_difference(self) -> bool:
        """Return whether the pictures differ, other than by a caption."""
        first, second = self.pictures
        sides = list_sides(first.size, second.size, self.transform)
        for side in sides:
            is_last = side == sides[-1]
            residuals = self._measure(side)
            is_different = self._find_different_blocks(residuals)
            must_fit = self.is_text and is_last  # Letters must lie exactly on each other.
            if (must_fit or is_different.any()) and side > SIDES_PX[0] and self.caption is None:
                residuals = self._register_finely(side) or residuals
                is_different = self._find_different_blocks(residuals)
            if self.is_text:
                self.is_uncertain |= bool((residuals.scores > MAX_SAME_TEXT_SCORE).any())
                self.is_uncertain |= is_last and residuals.edge_noise > MAX_TEXT_EDGE_NOISE
            elif self.caption is None and _is_at_edge(is_different):
                self.caption = find_caption(
                    first,
                    second,
                    self.transform,
                    self.toned,
                    lambda side: self._find_different_blocks(self._measure(side)),
                )
            if self.caption is not None:
                is_different &= ~_mask_boxes(self.caption, residuals)
            if is_different.any():
                return True
        return False

    def _measure(self, side: int) -> Residuals:
        return measure_residuals(*self.toned, self.transform, side)

    def _register_finely(self, side: int) -> Residuals | None:
        """Refine the transform at a side; None if nothing moves, or not plausibly."""
        gray = [picture.convert("L") for picture in self.toned]
        finer = registration.register_finely(gray[0], gray[1], self.transform, side)
        if finer is None or not is_plausible(measure_outside(*self.toned, finer)):
            return None
        self.transform = finer
        return self._measure(side)

    def _find_different_blocks(self, residuals: Residuals) -> Mask:
        limit = MIN_OTHER_TEXT_SCORE if self.is_text else MAX_SCORE
        is_different: Mask = residuals.scores > limit
        is_different |= residuals.color_scores > MAX_COLOR_SCORE
        return is_different | (residuals.color_levels > MAX_COLOR_LEVELS)


def list_sides(one: tuple[int, int], other: tuple[int, int], transform: Transform) -> list[int]:
    """Return the longest sides at which two pictures are compared, up to their full common size."""
    largest = max(registration.choose_sizes(one, other, transform, MAX_SIDE_PX)[1])
    return [side for side in SIDES_PX if side < 0.8 * largest] + [largest]


def _is_at_edge(blocks: Mask) -> bool:
    """Return whether there are blocks, and all in the upper or lower part: perhaps a caption."""
    places = np.flatnonzero(blocks.any(axis=1)) / max(1, len(blocks) - 1)
    middle = (places > EDGE_ZONE_SHARE + 0.05) & (places < 0.95 - EDGE_ZONE_SHARE)
    return len(places) > 0 and not middle.any()


def _mask_boxes(caption: Caption, residuals: Residuals) -> Mask:
    """Return which blocks lie in the boxes of a caption, [rows, columns]."""
    is_inside = np.zeros(residuals.scores.shape, np.bool_)
    for box in caption.boxes:
        down, across = (
            _find_blocks(start, end, count, length)
            for (start, end), count, length in zip(
                ((box.top, box.bottom), (box.left, box.right)),
                residuals.scores.shape,
                residuals.is_shared.shape,
                strict=True,
            )
        )
        is_inside |= down[:, None] & across
    return is_inside


def _find_blocks(start: float, end: float, count: int, length: int) -> Mask:
    """Return which of a row of blocks touch a range, given as shares of a length in pixels."""
    places = np.arange(count) * (BLOCK_SIDE_PX // 2) / length
    margin = EDGE_PX / length
    touches: Mask = (places + BLOCK_SIDE_PX / length > start - margin) & (places < end + margin)
    return touches
