"""Tell of pairs of pictures whether they show the same, by their small copies and embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchapp.duplicates import fingerprint as prints
from searchapp.duplicates.alignment import Copies, Floats, align_copies, compute_rough_correlation
from searchapp.engines.machine import list_cores

Pairs = NDArray[np.int64]  # [n, 3]: an image, another, and how that is turned (fingerprint.TURNS)

BATCH_PAIRS = 64  # pairs
# Where the search for the window begins; of a whole picture there is none.
FULL_WINDOW = (0.0, 0.0, 1.0, 1.0)
START_WINDOWS = (FULL_WINDOW, (0.025, 0.025, 0.95, 0.95))
# Measured with tests/bench/duplicates_quality.py. What is cut off costs pixels, and so certainty; so does
# what is made brighter until it is white.
MAX_SHIFT_PX, SHIFT_PX_PER_CUT, SHIFT_LIMIT_PX = (
    0.62,
    9.0,
    1.4,
)  # pixels of the small copy; more for each share cut
SHIFT_PX_PER_GAIN = 8.0  # more for each time that one is brighter
MAX_COLOR_LEVELS, COLOR_LEVELS_PER_CUT, COLOR_LEVELS_PER_GAIN = 3.0, 200.0, 100.0  # levels
MIN_CORRELATION = 0.985  # correlation
MIN_DETAIL_CORRELATION, DETAIL_CORRELATION_PER_CUT, DETAIL_CORRELATION_PER_GAIN = (
    0.975,
    0.25,
    0.3,
)  # correlation
MAX_OUTSIDE_SHARE = 0.012  # of the frame, by which a window may lie outside
MAX_CUT_SHARE = 0.15  # of a side
MAX_SHAPE_DIFFERENCE = 0.05  # by which the shape of what both show may differ: of 1
MIN_ROUGH_CORRELATION = (
    0.7  # correlation of the whole, very coarse, where it is worth to look closer
)
MIN_CONTRAST_LEVELS = 1.5  # grey levels of contrast: with less there is nothing to compare
MAX_SAME_PIXELS_CUT = 0.008  # of a side: with less cut off, it may be the same pixels
SAME_LUMA_LEVELS, SAME_COLOR_LEVELS = (
    4.0,
    3.0,
)  # levels by which copies of the same pixels may differ


@dataclass(frozen=True, slots=True)
class ComparisonResults:
    """What is found of pairs, [n] each."""

    is_near: NDArray[np.bool_]  # both show the same, as far as small copies tell
    may_have_same_pixels: NDArray[np.bool_]  # it may be the same pixels: worth to be looked at
    cut_share: Floats  # share of the longer side's length that one of them lacks
    is_other_inner: NDArray[np.bool_]  # the other is a part of the one, rather than the reverse


def compare_copies(
    ones: Copies, others: Copies, one_sizes: Pairs, other_sizes: Pairs
) -> ComparisonResults:
    """Compare pictures by their small copies; all arrays are [n, ...], sizes width and height.

    The others, and their sizes, are turned already.
    """

    def compare_part(start: int) -> ComparisonResults:
        end = start + BATCH_PAIRS
        return _compare_batch(
            _slice_copies(ones, start),
            _slice_copies(others, start),
            one_sizes[start:end],
            other_sizes[start:end],
        )

    with ThreadPoolExecutor(len(list_cores())) as threads:  # numpy computes beside Python
        parts = list(threads.map(compare_part, range(0, len(one_sizes), BATCH_PAIRS)))
    none = np.empty(0, np.bool_)
    parts.append(ComparisonResults(none, none, np.empty(0, np.float32), none))
    return ComparisonResults(
        is_near=np.concatenate([part.is_near for part in parts]),
        may_have_same_pixels=np.concatenate([part.may_have_same_pixels for part in parts]),
        cut_share=np.concatenate([part.cut_share for part in parts]),
        is_other_inner=np.concatenate([part.is_other_inner for part in parts]),
    )


def _slice_copies(copies: Copies, start: int) -> Copies:
    return copies[0][start : start + BATCH_PAIRS], copies[1][start : start + BATCH_PAIRS]


def _compare_batch(
    ones: Copies, others: Copies, one_sizes: Pairs, other_sizes: Pairs
) -> ComparisonResults:
    count = len(one_sizes)
    near, inner = np.zeros(count, np.bool_), np.ones(count, np.bool_)
    cut = np.zeros(count, np.float32)
    is_candidate = compute_rough_correlation(ones[0], others[0]) >= MIN_ROUGH_CORRELATION
    for start in START_WINDOWS:
        open_pairs = np.flatnonzero(is_candidate & ~near)
        if not len(open_pairs):
            break
        found, window_cut, is_inner = _fit_windows(
            _select_copies(ones, open_pairs),
            _select_copies(others, open_pairs),
            one_sizes[open_pairs],
            other_sizes[open_pairs],
            start,
        )
        near[open_pairs], cut[open_pairs], inner[open_pairs] = found, window_cut, is_inner
    is_alike = np.abs(ones[0] - others[0]).max((1, 2)) <= 3 * SAME_LUMA_LEVELS
    is_alike &= np.abs(ones[0] - others[0]).mean((1, 2)) <= SAME_LUMA_LEVELS / 2
    is_alike &= np.abs(ones[1] - others[1]).mean((1, 2, 3)) <= SAME_COLOR_LEVELS
    same_size = (one_sizes == other_sizes).all(axis=1)
    is_plain = np.minimum(ones[0].std((1, 2)), others[0].std((1, 2))) < MIN_CONTRAST_LEVELS
    near &= ~is_plain
    return ComparisonResults(
        near, same_size & (is_alike | (near & (cut < MAX_SAME_PIXELS_CUT))), cut, inner
    )


def _select_copies(copies: Copies, which: Pairs) -> Copies:
    return copies[0][which], copies[1][which]


def _fit_windows(
    ones: Copies, others: Copies, one_sizes: Pairs, other_sizes: Pairs,
    start: Sequence[float],
) -> tuple[NDArray[np.bool_], Floats, NDArray[np.bool_]]:  # fmt: skip
    """Lay pictures over another: (the same, share cut off, the other is the inner one)."""
    windows = np.tile(np.array(start, np.float32), (len(one_sizes), 1))
    if start == FULL_WINDOW:
        # What was made brighter until it is white cannot be made darker again.
        is_other_inner = ones[0].mean((1, 2)) <= others[0].mean((1, 2))
    else:
        # What turns out to be the larger one takes the place of the one.
        windows = align_copies(ones, others, windows).windows
        is_other_inner = windows[:, 2] * windows[:, 3] <= 1
        size = np.where(is_other_inner[:, None], windows[:, 2:], 1 / windows[:, 2:])
        place = np.where(is_other_inner[:, None], windows[:, :2], -windows[:, :2] * size)
        windows = np.hstack([place, size])
    found = align_copies(
        _choose_copies(is_other_inner, ones, others),
        _choose_copies(is_other_inner, others, ones),
        windows,
        can_shift=start != FULL_WINDOW,
    )
    left, top, width, height = found.windows.T
    ends = np.stack([-left, -top, left + width - 1, top + height - 1])
    cut = np.maximum(0, 1 - np.minimum(width, height))
    outer_sizes = np.where(is_other_inner[:, None], one_sizes, other_sizes)
    inner_sizes = np.where(is_other_inner[:, None], other_sizes, one_sizes)
    shapes = outer_sizes[:, 0] * width / (outer_sizes[:, 1] * height)
    shapes = shapes * inner_sizes[:, 1] / inner_sizes[:, 0]
    rounding = 1 / inner_sizes.min(axis=1)
    same = ends.max(axis=0) <= MAX_OUTSIDE_SHARE
    same &= (cut <= MAX_CUT_SHARE) & (np.abs(shapes - 1) <= MAX_SHAPE_DIFFERENCE + rounding)
    brightness_gain = np.abs(found.brightness_gain)
    same &= found.max_shift_px <= np.minimum(
        MAX_SHIFT_PX + SHIFT_PX_PER_CUT * cut + SHIFT_PX_PER_GAIN * brightness_gain, SHIFT_LIMIT_PX
    )
    same &= (
        found.max_color_difference
        <= MAX_COLOR_LEVELS + COLOR_LEVELS_PER_CUT * cut + COLOR_LEVELS_PER_GAIN * brightness_gain
    )
    same &= found.correlation >= MIN_CORRELATION
    same &= (
        found.detail_correlation
        >= MIN_DETAIL_CORRELATION
        - DETAIL_CORRELATION_PER_CUT * cut
        - DETAIL_CORRELATION_PER_GAIN * brightness_gain
    )
    return same, cut, is_other_inner


def _choose_copies(which: NDArray[np.bool_], ones: Copies, others: Copies) -> Copies:
    luma = np.where(which[:, None, None], ones[0], others[0])
    return luma, np.where(which[:, None, None, None], ones[1], others[1])


def turn_copies(copies: Copies, turns: NDArray[np.int64]) -> Copies:
    """Turn small copies, each its own way."""
    luma, colours = copies[0].copy(), copies[1].copy()
    for number in np.unique(turns[turns > 0]).tolist():
        is_turned = turns == number
        luma[is_turned], colours[is_turned] = (
            prints.turn_arrays(x[is_turned], number) for x in copies
        )
    return luma, colours


def turn_sizes(sizes: Pairs, turns: NDArray[np.int64]) -> Pairs:
    """Return widths and heights, [n, 2], as they are when the pictures are turned."""
    swapped = np.array([swap for swap, _, _ in prints.TURNS], np.bool_)[turns]
    result: Pairs = np.where(swapped[:, None], sizes[:, ::-1], sizes)
    return result
