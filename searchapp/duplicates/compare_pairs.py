"""Find pairs of pictures that may be near duplicates, from their aligned small copies.

inspect_pair compares these pairs in detail. So the limits here let some look-alikes pass.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchapp.duplicates import fingerprint as prints
from searchapp.duplicates.alignment import (
    Copies,
    Floats,
    align_copies,
    compute_rough_correlation,
)
from searchapp.engines.machine import list_cores

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

BATCH_PAIRS = 64
FULL_WINDOW = (0.0, 0.0, 1.0, 1.0)
CROP_WINDOW = (0.025, 0.025, 0.95, 0.95)  # where the search for a crop begins
MIN_MATCHED_SHARE = 0.5  # of the blocks; a caption, or a changed color, covers the others
MAX_OUTSIDE_SHARE = 0.06  # how far a window may leave the frame, as a share of the frame
MAX_CUT_SHARE = 0.2  # of a side
MAX_SHAPE_DIFFERENCE = 0.08  # relative difference of the aspect ratios of the shared area
MIN_ROUGH_CORRELATION = 0.6  # below this, the full alignment is not worth its time
MIN_CONTRAST_LEVELS = 1.5  # gray levels; pictures with less contrast have nothing to compare
MAX_SAME_PIXELS_CUT = 0.008  # of a side; pairs with less cut off may have the same pixels
# Levels by which small copies of the same pixels may differ.
SAME_LUMA_LEVELS, SAME_COLOR_LEVELS = 4.0, 3.0


@dataclass(frozen=True, slots=True)
class ComparisonResults:
    """Results of comparing n pairs of pictures; every array has one entry for each pair."""

    matched_share: Floats  # share of the blocks that match; 0: the pictures differ
    may_have_same_pixels: Flags  # worth comparing the hashes of all pixels
    windows: Floats  # [n, 4]: left, top, width, height of the inner picture in the outer one
    is_other_inner: Flags  # the second picture shows a part of the first


def compare_copies(
    ones: Copies, others: Copies, one_sizes: Integers, other_sizes: Integers
) -> ComparisonResults:
    """Compare n pairs of pictures by their small copies.

    one_sizes, other_sizes: width and height, [n, 2]. Both others and other_sizes must be turned
    before the call.
    """

    def compare_part(start: int) -> ComparisonResults:
        end = start + BATCH_PAIRS
        return _compare_batch(
            _slice_copies(ones, start),
            _slice_copies(others, start),
            one_sizes[start:end],
            other_sizes[start:end],
        )

    with ThreadPoolExecutor(len(list_cores())) as threads:  # NumPy releases the GIL
        parts = list(threads.map(compare_part, range(0, len(one_sizes), BATCH_PAIRS)))
    empty = np.empty(0, np.bool_)
    none = np.empty(0, np.float32)
    parts.append(ComparisonResults(none, empty, none.reshape(0, 4), empty))
    return ComparisonResults(
        matched_share=np.concatenate([part.matched_share for part in parts]),
        may_have_same_pixels=np.concatenate([part.may_have_same_pixels for part in parts]),
        windows=np.concatenate([part.windows for part in parts]),
        is_other_inner=np.concatenate([part.is_other_inner for part in parts]),
    )


def _slice_copies(copies: Copies, start: int) -> Copies:
    return copies[0][start : start + BATCH_PAIRS], copies[1][start : start + BATCH_PAIRS]


def _compare_batch(
    ones: Copies, others: Copies, one_sizes: Integers, other_sizes: Integers
) -> ComparisonResults:
    count = len(one_sizes)
    shares, is_other_inner = np.zeros(count, np.float32), np.ones(count, np.bool_)
    windows = np.tile(np.array(FULL_WINDOW, np.float32), (count, 1))
    is_candidate = compute_rough_correlation(ones[0], others[0]) >= MIN_ROUGH_CORRELATION
    is_plain = np.minimum(ones[0].std((1, 2)), others[0].std((1, 2))) < MIN_CONTRAST_LEVELS
    candidates = np.flatnonzero(is_candidate & ~is_plain)
    for fit in (_fit_full_windows, _fit_swapped_windows, _fit_crops):
        if fit is _fit_swapped_windows:
            tried = candidates[shares[candidates] < MIN_MATCHED_SHARE]
        else:
            tried = candidates
        if not len(tried):
            continue
        found_shares, found_windows, is_inner = fit(
            _select_copies(ones, tried),
            _select_copies(others, tried),
            one_sizes[tried],
            other_sizes[tried],
        )
        is_better = found_shares > shares[tried]
        better = tried[is_better]
        shares[better], windows[better] = found_shares[is_better], found_windows[is_better]
        is_other_inner[better] = is_inner[is_better]
    shares[shares < MIN_MATCHED_SHARE] = 0
    is_alike = np.abs(ones[0] - others[0]).max((1, 2)) <= 3 * SAME_LUMA_LEVELS
    is_alike &= np.abs(ones[0] - others[0]).mean((1, 2)) <= SAME_LUMA_LEVELS / 2
    is_alike &= np.abs(ones[1] - others[1]).mean((1, 2, 3)) <= SAME_COLOR_LEVELS
    same_size = (one_sizes == other_sizes).all(axis=1)
    is_uncut = 1 - np.minimum(windows[:, 2], windows[:, 3]) < MAX_SAME_PIXELS_CUT
    may_have_same_pixels = same_size & (is_alike | ((shares > 0) & is_uncut))
    return ComparisonResults(shares, may_have_same_pixels, windows, is_other_inner)


def _select_copies(copies: Copies, indexes: Integers) -> Copies:
    return copies[0][indexes], copies[1][indexes]


def _fit_full_windows(
    ones: Copies, others: Copies, one_sizes: Integers, other_sizes: Integers
) -> tuple[Floats, Floats, Flags]:
    """Compare whole pictures, as _align_windows() does.

    The darker picture is the outer one: clipping to white cannot be undone.
    """
    is_other_inner = ones[0].mean((1, 2)) <= others[0].mean((1, 2))
    return _align_windows(ones, others, one_sizes, other_sizes, is_other_inner)


def _fit_swapped_windows(
    ones: Copies, others: Copies, one_sizes: Integers, other_sizes: Integers
) -> tuple[Floats, Floats, Flags]:
    """Compare whole pictures, as _align_windows() does. The brighter picture is the outer one.

    If the dark band of a caption makes a picture the darker one, its brightness cannot be fitted.
    """
    is_other_inner = ones[0].mean((1, 2)) > others[0].mean((1, 2))
    return _align_windows(ones, others, one_sizes, other_sizes, is_other_inner)


def _fit_crops(
    ones: Copies, others: Copies, one_sizes: Integers, other_sizes: Integers
) -> tuple[Floats, Floats, Flags]:
    """Compare pictures of which one shows less, as _align_windows() does."""
    # A first alignment shows which picture is larger. That one is the outer picture.
    starts = np.tile(np.array(CROP_WINDOW, np.float32), (len(one_sizes), 1))
    windows = align_copies(ones, others, starts).windows
    is_other_inner = windows[:, 2] * windows[:, 3] <= 1
    size = np.where(is_other_inner[:, None], windows[:, 2:], 1 / windows[:, 2:])
    corner = np.where(is_other_inner[:, None], windows[:, :2], -windows[:, :2] * size)
    windows = np.hstack([corner, size])
    return _align_windows(ones, others, one_sizes, other_sizes, is_other_inner, windows)


def _align_windows(
    ones: Copies,
    others: Copies,
    one_sizes: Integers,
    other_sizes: Integers,
    is_other_inner: Flags,
    windows: Floats | None = None,
) -> tuple[Floats, Floats, Flags]:
    """Align pairs of pictures; return matched_share, windows, is_other_inner.

    windows: where to start; None: whole pictures, which are not moved. Every returned array has one
    entry for each pair. A pair that the window rules out has a matched_share of 0.
    """
    full = np.tile(np.array(FULL_WINDOW, np.float32), (len(one_sizes), 1))
    alignments = align_copies(
        _choose_copies(is_other_inner, ones, others),
        _choose_copies(is_other_inner, others, ones),
        full if windows is None else windows,
        can_shift=windows is not None,
    )
    is_possible = _check_windows(alignments.windows, is_other_inner, one_sizes, other_sizes)
    return np.where(is_possible, alignments.matched_share, 0), alignments.windows, is_other_inner


def _check_windows(
    windows: Floats,
    is_other_inner: Flags,
    one_sizes: Integers,
    other_sizes: Integers,
) -> Flags:
    """Return whether each window, [n, 4], is one that a near duplicate can have."""
    left, top, width, height = windows.T
    overhangs = np.stack([-left, -top, left + width - 1, top + height - 1])
    cut = np.maximum(0, 1 - np.minimum(width, height))
    outer_sizes = np.where(is_other_inner[:, None], one_sizes, other_sizes)
    inner_sizes = np.where(is_other_inner[:, None], other_sizes, one_sizes)
    shapes = outer_sizes[:, 0] * width / (outer_sizes[:, 1] * height)
    shapes = shapes * inner_sizes[:, 1] / inner_sizes[:, 0]
    rounding = 1 / inner_sizes.min(axis=1)
    is_possible: Flags = overhangs.max(axis=0) <= MAX_OUTSIDE_SHARE
    is_possible &= (cut <= MAX_CUT_SHARE) & (np.abs(shapes - 1) <= MAX_SHAPE_DIFFERENCE + rounding)
    return is_possible


def _choose_copies(is_one: Flags, ones: Copies, others: Copies) -> Copies:
    """Return one small copy for each pair: from ones if is_one is true, else from others."""
    luma = np.where(is_one[:, None, None], ones[0], others[0])
    return luma, np.where(is_one[:, None, None, None], ones[1], others[1])


def turn_copies(copies: Copies, turns: Integers) -> Copies:
    """Return small copies rotated and mirrored, each by its own turn, [n]."""
    luma, colors = copies[0].copy(), copies[1].copy()
    for turn in np.unique(turns[turns > 0]).tolist():
        is_turned = turns == turn
        luma[is_turned], colors[is_turned] = (
            prints.turn_arrays(x[is_turned], turn) for x in copies
        )
    return luma, colors


def turn_sizes(sizes: Integers, turns: Integers) -> Integers:
    """Return widths and heights, [n, 2], of pictures after their turns, [n]."""
    is_swapped = np.array([swap for swap, _, _ in prints.TURNS], np.bool_)[turns]
    turned: Integers = np.where(is_swapped[:, None], sizes[:, ::-1], sizes)
    return turned
