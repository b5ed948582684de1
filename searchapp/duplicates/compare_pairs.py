"""Tell of pairs of pictures whether they show the same, by their small copies and embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchapp.duplicates import fingerprint as prints
from searchapp.duplicates.alignment import Copies, Floats, fit, rough_likeness
from searchapp.engines.machine import cores

Pairs = NDArray[np.int64]  # [n, 3]: an image, another, and how that is turned (fingerprint.TURNS)

AT_ONCE = 64  # pairs
# Where the search for the window begins; of a whole picture there is none.
WHOLE = (0.0, 0.0, 1.0, 1.0)
STARTS = (WHOLE, (0.025, 0.025, 0.95, 0.95))
# Measured with tests/bench/duplicates.py. What is cut off costs pixels, and so certainty; so does
# what is made brighter until it is white.
APART, APART_CUT, APART_MOST = 0.62, 9.0, 1.4  # pixels of the small copy; more for each share cut
APART_LIT = 8.0  # more for each time that one is brighter
COLOURS, COLOURS_CUT, COLOURS_LIT = 3.0, 200.0, 100.0  # levels
LIKENESS = 0.985  # correlation
DETAILS, DETAILS_CUT, DETAILS_LIT = 0.975, 0.25, 0.3  # correlation
OUTSIDE = 0.012  # of the frame, by which a window may lie outside
MOST_CUT = 0.15  # of a side
SHAPE = 0.05  # by which the shape of what both show may differ: of 1
ROUGH = 0.7  # correlation of the whole, very coarse, where it is worth to look closer
PLAIN = 1.5  # grey levels of contrast: with less there is nothing to compare
BARELY = 0.008  # of a side: with less cut off, it may be the same pixels
SAME_LUMA, SAME_COLOUR = 4.0, 3.0  # levels by which copies of the same pixels may differ


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What is found of pairs, [n] each."""

    near: NDArray[np.bool_]  # both show the same, as far as small copies tell
    pixels: NDArray[np.bool_]  # it may be the same pixels: worth to be looked at
    cut: Floats  # share of the longer side's length that one of them lacks
    inner: NDArray[np.bool_]  # the other is a part of the one, rather than the reverse


def compare(ones: Copies, others: Copies, one_sizes: Pairs, other_sizes: Pairs) -> Verdicts:
    """Compare pictures by their small copies; all arrays are [n, ...], sizes width and height.

    The others, and their sizes, are turned already.
    """

    def part(start: int) -> Verdicts:
        end = start + AT_ONCE
        return _compare(
            _part(ones, start), _part(others, start), one_sizes[start:end], other_sizes[start:end]
        )

    with ThreadPoolExecutor(len(cores())) as threads:  # numpy computes beside Python
        parts = list(threads.map(part, range(0, len(one_sizes), AT_ONCE)))
    none = np.empty(0, np.bool_)
    parts.append(Verdicts(none, none, np.empty(0, np.float32), none))
    return Verdicts(
        near=np.concatenate([part.near for part in parts]),
        pixels=np.concatenate([part.pixels for part in parts]),
        cut=np.concatenate([part.cut for part in parts]),
        inner=np.concatenate([part.inner for part in parts]),
    )


def _part(copies: Copies, start: int) -> Copies:
    return copies[0][start : start + AT_ONCE], copies[1][start : start + AT_ONCE]


def _compare(ones: Copies, others: Copies, one_sizes: Pairs, other_sizes: Pairs) -> Verdicts:
    count = len(one_sizes)
    near, inner = np.zeros(count, np.bool_), np.ones(count, np.bool_)
    cut = np.zeros(count, np.float32)
    likely = rough_likeness(ones[0], others[0]) >= ROUGH
    for start in STARTS:
        left = np.flatnonzero(likely & ~near)
        if not len(left):
            break
        found, window_cut, is_inner = _fitted(
            _chosen(ones, left), _chosen(others, left), one_sizes[left], other_sizes[left], start
        )
        near[left], cut[left], inner[left] = found, window_cut, is_inner
    alike = np.abs(ones[0] - others[0]).max((1, 2)) <= 3 * SAME_LUMA
    alike &= np.abs(ones[0] - others[0]).mean((1, 2)) <= SAME_LUMA / 2
    alike &= np.abs(ones[1] - others[1]).mean((1, 2, 3)) <= SAME_COLOUR
    same_size = (one_sizes == other_sizes).all(axis=1)
    plain = np.minimum(ones[0].std((1, 2)), others[0].std((1, 2))) < PLAIN
    near &= ~plain
    return Verdicts(near, same_size & (alike | (near & (cut < BARELY))), cut, inner)


def _chosen(copies: Copies, which: Pairs) -> Copies:
    return copies[0][which], copies[1][which]


def _fitted(
    ones: Copies, others: Copies, one_sizes: Pairs, other_sizes: Pairs,
    start: Sequence[float],
) -> tuple[NDArray[np.bool_], Floats, NDArray[np.bool_]]:  # fmt: skip
    """Lay pictures over another: (the same, share cut off, the other is the inner one)."""
    windows = np.tile(np.array(start, np.float32), (len(one_sizes), 1))
    if start == WHOLE:
        # What was made brighter until it is white cannot be made darker again.
        inner = ones[0].mean((1, 2)) <= others[0].mean((1, 2))
    else:
        # What turns out to be the larger one takes the place of the one.
        windows = fit(ones, others, windows).windows
        inner = windows[:, 2] * windows[:, 3] <= 1
        size = np.where(inner[:, None], windows[:, 2:], 1 / windows[:, 2:])
        place = np.where(inner[:, None], windows[:, :2], -windows[:, :2] * size)
        windows = np.hstack([place, size])
    found = fit(
        _where(inner, ones, others), _where(inner, others, ones), windows, moving=start != WHOLE
    )
    left, top, width, height = found.windows.T
    ends = np.stack([-left, -top, left + width - 1, top + height - 1])
    cut = np.maximum(0, 1 - np.minimum(width, height))
    outer_sizes = np.where(inner[:, None], one_sizes, other_sizes)
    inner_sizes = np.where(inner[:, None], other_sizes, one_sizes)
    shapes = outer_sizes[:, 0] * width / (outer_sizes[:, 1] * height)
    shapes = shapes * inner_sizes[:, 1] / inner_sizes[:, 0]
    rounding = 1 / inner_sizes.min(axis=1)
    same = ends.max(axis=0) <= OUTSIDE
    same &= (cut <= MOST_CUT) & (np.abs(shapes - 1) <= SHAPE + rounding)
    lit = np.abs(found.lit)
    same &= found.apart <= np.minimum(APART + APART_CUT * cut + APART_LIT * lit, APART_MOST)
    same &= found.colours <= COLOURS + COLOURS_CUT * cut + COLOURS_LIT * lit
    same &= found.likeness >= LIKENESS
    same &= found.details >= DETAILS - DETAILS_CUT * cut - DETAILS_LIT * lit
    return same, cut, inner


def _where(which: NDArray[np.bool_], ones: Copies, others: Copies) -> Copies:
    luma = np.where(which[:, None, None], ones[0], others[0])
    return luma, np.where(which[:, None, None, None], ones[1], others[1])


def turned(copies: Copies, turns: NDArray[np.int64]) -> Copies:
    """Turn small copies, each its own way."""
    luma, colours = copies[0].copy(), copies[1].copy()
    for number in np.unique(turns[turns > 0]).tolist():
        of = turns == number
        luma[of], colours[of] = (prints.turn(x[of], number) for x in copies)
    return luma, colours


def turned_sizes(sizes: Pairs, turns: NDArray[np.int64]) -> Pairs:
    """Return widths and heights, [n, 2], as they are when the pictures are turned."""
    swapped = np.array([swap for swap, _, _ in prints.TURNS], np.bool_)[turns]
    result: Pairs = np.where(swapped[:, None], sizes[:, ::-1], sizes)
    return result
