"""Find the band behind a line of text: it is opaque, or it shows the picture through one color."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from searchapp.duplicates.registration import Floats, Mask

MAX_DISTANCE_LEVELS = 24.0  # of the brightest color channel, from the color of a band
MAX_GAIN = 0.92  # how much of the picture is seen through
MAX_OPAQUE_GAIN = 0.1
# Measured with other pictures than those of the tests: 0.7 to 0.95 behind a caption, and less than
# 0.65 in half of the pairs in which the other picture has a text, too.
MIN_EXPLAINED_SHARE = 0.65  # of the pixels of a line; the others are letters
MAX_DISTANCE_RATIO = 0.8  # mean distance of the pixels from a band, and from no band
FIT_STEPS, FIT_LEVELS = 12, 8.0  # a pixel at this distance, in levels, has half the weight
MAX_FIT_PIXELS = 4000
EDGE_PX = 2  # rows at each blurred edge of a band


class Band(NamedTuple):
    """A line of a picture as it looks behind a band, and the letters on the band."""

    covered: Floats  # [h, w, 3]
    is_letter: Mask  # [h, w]
    is_opaque: bool


def find_band(carrier: Floats, plain: Floats) -> Band | None:
    """Return the band that makes one line, [h, w, 3], of another; None if there is none.

    A band mixes all pixels with one color: it has the same gain in each color channel. Letters are
    outliers of this robust fit.
    """
    gain, offset = _fit_band(carrier, plain)
    if gain > MAX_GAIN:
        return None
    covered: Floats = gain * plain + offset
    distance, change = (
        np.abs(carrier - ground).max(axis=2).clip(max=MAX_DISTANCE_LEVELS)
        for ground in (covered, plain)
    )
    is_letter: Mask = distance >= MAX_DISTANCE_LEVELS
    is_explained = 1 - is_letter.mean() >= MIN_EXPLAINED_SHARE
    if not is_explained or distance.mean() > MAX_DISTANCE_RATIO * change.mean():
        return None
    is_letter[:EDGE_PX] = is_letter[-EDGE_PX:] = False
    return Band(covered, is_letter, gain <= MAX_OPAQUE_GAIN)


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
        gain = max(gain, 0.0)
        offset = (center_y - gain * center_x).astype(np.float32)
        distance = np.abs(y - gain * x - offset).max(axis=1)
        weights = 1 / (1 + (distance / FIT_LEVELS) ** 2)
    return gain, offset
