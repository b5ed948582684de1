"""Find the translucent band behind a line of text: it shows the picture through one color."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from searchapp.duplicates.registration import Floats, Mask

MAX_DISTANCE_LEVELS = 24.0  # of the brightest color channel, from the color of a band
GAIN_RANGE = 0.25, 0.92  # how much of the picture is seen through
# Measured with other pictures than those of the tests: 0.7 to 0.95 behind a caption, and less than
# 0.65 in half of the pairs in which the other picture has a text, too.
MIN_EXPLAINED_SHARE = 0.65  # of the pixels of a line; the others are letters
MIN_GAINED_SHARE = 0.01  # of the pixels, that are another color without a band
FIT_STEPS, FIT_LEVELS = 12, 8.0  # a pixel at this distance, in levels, has half the weight
MAX_FIT_PIXELS = 4000
EDGE_PX = 2  # rows at each blurred edge of a band


class Veil(NamedTuple):
    """A line of a picture as it looks through a translucent band, and the letters on the band."""

    covered: Floats  # [h, w, 3]
    is_letter: Mask  # [h, w]


def find_veil(carrier: Floats, plain: Floats) -> Veil | None:
    """Return the band that makes one line, [h, w, 3], of another; None if there is none.

    A band mixes all pixels with one color: it has the same gain in each color channel. Letters are
    outliers of this robust fit.
    """
    gain, offset = _fit_band(carrier, plain)
    if not GAIN_RANGE[0] <= gain <= GAIN_RANGE[1]:
        return None
    covered: Floats = gain * plain + offset
    is_letter: Mask = np.abs(carrier - covered).max(axis=2) > MAX_DISTANCE_LEVELS
    unchanged_share = (np.abs(carrier - plain).max(axis=2) <= MAX_DISTANCE_LEVELS).mean()
    explained_share = 1 - is_letter.mean()
    if explained_share < max(MIN_EXPLAINED_SHARE, unchanged_share + MIN_GAINED_SHARE):
        return None
    is_letter[:EDGE_PX] = is_letter[-EDGE_PX:] = False
    return Veil(covered, is_letter)


def _fit_band(carrier: Floats, plain: Floats) -> tuple[float, Floats]:
    """Return the gain, and the offset of each channel, [3], of a band."""
    x, y = plain.reshape(-1, 3), carrier.reshape(-1, 3)
    step = max(1, len(x) // MAX_FIT_PIXELS)
    x, y = x[::step], y[::step]
    weights = np.ones(len(x), np.float32)
    gain, offset = 0.0, np.zeros(3, np.float32)
    for _ in range(FIT_STEPS):
        total = weights.sum()
        center_x, center_y = (weights @ x) / total, (weights @ y) / total
        spread = float((weights @ (x - center_x) ** 2).sum())
        gain = float((weights @ ((x - center_x) * (y - center_y))).sum()) / max(spread, 1e-3)
        offset = (center_y - gain * center_x).astype(np.float32)
        distance = np.abs(y - gain * x - offset).max(axis=1)
        weights = 1 / (1 + (distance / FIT_LEVELS) ** 2)
    return gain, offset
