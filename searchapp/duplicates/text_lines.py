"""Tell whether pixels look like a line of letters, by the runs and gaps of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from searchapp.duplicates.registration import Mask

# Changed patches of photos have at most 9 runs, but less than 3 letters, and the box of a square.
MIN_LETTERS = 5
MIN_RUNS = 6.0  # in a row of text: how often the color of the letters begins, on average
MIN_ASPECT_RATIO = 2.5  # width to height of the box around the text
FILL_SHARES = (0.03, 0.7)  # of this box
MIN_OLD_RUNS = 2.0
MAX_OLD_TEXT_SHARE = 0.15  # of the pixels in the color of the letters, that both pictures have


def is_text_line(has_tone: Mask, is_old: Mask, is_changed: Mask) -> bool:
    """Return whether the pixels of a strip in one tone look like a new line of letters.

    is_old: the pixels that have this tone in both pictures.
    """
    is_letter = has_tone & is_changed
    if is_letter.sum() < 20:
        return False
    rows, columns = np.flatnonzero(is_letter.any(1)), np.flatnonzero(is_letter.any(0))
    lines = slice(rows[0], rows[-1] + 1)
    box = is_letter[lines, columns[0] : columns[-1] + 1]
    near = slice(max(0, columns[0] - 2 * len(rows)), columns[-1] + 2 * len(rows))
    old = (is_old & ~is_changed)[lines, near]
    if _count_runs(old) >= MIN_OLD_RUNS and old.sum() > MAX_OLD_TEXT_SHARE * is_letter.sum():
        return False  # The line had text before, and some letters have changed.
    if box.shape[1] < MIN_ASPECT_RATIO * box.shape[0]:
        return False
    if not FILL_SHARES[0] <= box.mean() <= FILL_SHARES[1]:
        return False
    return _count_runs(box) >= MIN_RUNS and _count_letters(box) >= MIN_LETTERS


def _count_runs(mask: Mask) -> float:
    """Return how many runs of true pixels the rows with any of them have, on average."""
    starts = mask[:, 1:] & ~mask[:, :-1]
    counts = starts.sum(axis=1) + mask[:, 0]
    counts = counts[counts > 0]
    return float(counts.mean()) if len(counts) else 0.0


def _count_letters(mask: Mask) -> int:
    """Return how many parts a line of text has that gaps separate, from left to right."""
    is_used: NDArray[np.bool_] = mask.sum(axis=0) > 0.06 * len(mask)
    return int((is_used[1:] & ~is_used[:-1]).sum() + is_used[0])
