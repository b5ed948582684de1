"""Measure the edges of two pictures along the outlines of letters that only one may have."""

from __future__ import annotations

import math

import numpy as np

from searchapp.duplicates.changed_line import ChangedLine, measure_steepness
from searchapp.duplicates.registration import Floats, Mask

# Edges of the picture without a caption along the outlines, as a multiple of those of the other
# picture: of a whole line, and of its part where they are most frequent. Measured with other
# pictures than those of the tests: at most 0.33 and 0.40 for 95 % of captions, at least 0.52 if
# both pictures have a text in the same style.
MAX_EDGE_RATIO, MAX_PART_RATIO = 0.35, 0.5
PART_LINES = 3  # width of such a part, as a multiple of the height of the line
# Share of the outlines in a part where only the picture without a caption has an edge: what it has
# there is missing in the other one. At most 0.09 for 95 % of captions, at least 0.11 if both
# pictures have a text.
MAX_MISSING_SHARE = 0.1
NO_EDGE_SHARE = 0.25  # of the steepness of a clear outline
MIN_PART_SHARE = 0.3  # of the outlines in the fullest part, that another part must have


def rate_outlines(line: ChangedLine, letters: Mask) -> float:
    """Return how much the plain picture speaks against a new text. 1: as much as allowed.

    letters: the changes that have the color of the text.
    """
    plain, carrier = measure_steepness(line.plain), measure_steepness(line.carrier)
    rating = _rate(line, plain, carrier, _find_outline(line.is_changed))
    if rating < math.inf:
        return rating
    # The outline or the shadow of the letters has the color of the ground.
    return _rate(line, plain, carrier, _find_outline(line.is_changed) | _find_outline(letters))


def _rate(line: ChangedLine, plain: Floats, carrier: Floats, outline: Mask) -> float:
    """Return the same for these outlines, from the steepness of both pictures, [h, w]."""
    # Edges along the outlines count, and those beside them count against.
    weights = outline - _average(outline.astype(np.float32), line.height)
    plain_edges, carrier_edges = (weights * plain).sum(axis=0), (weights * carrier).sum(axis=0)
    most = _sum_parts(carrier_edges, line).max()
    if carrier_edges.sum() <= 0 or most <= 0:
        return math.inf
    ratio = plain_edges.sum() / carrier_edges.sum() / MAX_EDGE_RATIO
    part_ratio = _sum_parts(plain_edges, line).max() / most / MAX_PART_RATIO
    missing = _find_missing(plain, carrier, outline)
    missing_share = _measure_share(missing, outline, line) / MAX_MISSING_SHARE
    return float(max(0.0, ratio, part_ratio, missing_share))


def _find_missing(plain: Floats, carrier: Floats, outline: Mask) -> Mask:
    """Return where on the outlines only the plain picture has an edge, one pixel away at most."""
    near_plain, near_carrier = _find_highest_near(plain), _find_highest_near(carrier)
    limit = NO_EDGE_SHARE * np.percentile(near_carrier[outline], 75)
    missing: Mask = outline & (near_carrier < limit) & (near_plain > near_carrier)
    return missing


def _measure_share(some: Mask, outline: Mask, line: ChangedLine) -> float:
    """Return the highest share that some pixels are of the outlines, in a part of the line."""
    counts, totals = (_sum_parts(mask.sum(axis=0), line) for mask in (some, outline))
    return float((counts / np.maximum(totals, MIN_PART_SHARE * totals.max())).max())


def _sum_parts(columns: Floats, line: ChangedLine) -> Floats:
    """Return the sum of the columns in each part of a line."""
    part = np.ones(min(len(columns), PART_LINES * line.height))
    sums: Floats = np.convolve(columns, part, "valid")
    return sums


def _find_outline(mask: Mask) -> Mask:
    """Return the pixels at both sides of the edges of a mask."""
    outline: Mask = _spread(mask) & _spread(~mask)
    return outline


def _spread(mask: Mask) -> Mask:
    """Return which pixels are in a mask or next to it."""
    height, width = mask.shape
    padded, spread = np.pad(mask, 1), np.zeros_like(mask)
    for row in range(3):
        for column in range(3):
            spread |= padded[row : row + height, column : column + width]
    return spread


def _find_highest_near(values: Floats) -> Floats:
    """Return the highest value among the 3 x 3 pixels around each pixel, [h, w]."""
    height, width = values.shape
    padded = np.pad(values, 1, mode="edge")
    across = np.maximum.reduce([padded[:, step : step + width] for step in range(3)])
    highest: Floats = np.maximum.reduce([across[step : step + height] for step in range(3)])
    return highest


def _average(values: Floats, side: int) -> Floats:
    """Return the mean of the square around each pixel, [h, w]."""
    half = max(1, side // 2)
    length = 2 * half + 1
    sums = np.pad(values, half, mode="edge").cumsum(axis=0).cumsum(axis=1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    totals = sums[length:, length:] - sums[:-length, length:]
    means: Floats = (totals - sums[length:, :-length] + sums[:-length, :-length]) / length**2
    return means
