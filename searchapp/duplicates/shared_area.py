"""Measure what each of two registered pictures shows, and the other one does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searchapp.duplicates import registration
from searchapp.duplicates.registration import Transform, invert

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SIDE_PX = 128  # longest side at which the area is measured
EDGE_SHARE = 0.004  # of a side; registration is not more exact
# Both pictures may show what the other lacks, up to this share of the area: more is a turned
# camera. What a border color fills does not count.
MAX_TURNED_SHARE = 0.025
MAX_CUT_AREA_SHARE = 0.29
MAX_FILL_RANGE, MIN_FILL_SHARE = 12, 0.9  # levels of a flat area, and how much is flat


class Outside(NamedTuple):
    """The part of a picture that the other one does not show."""

    share: float  # of the area
    is_filled: bool  # with one color: a border, or the corners of a turned copy


def measure_outside(
    first: Picture, second: Picture, transform: Transform
) -> tuple[Outside, Outside]:
    """Return what the first and the second picture show, and the other one does not."""
    return _measure_outside(first, invert(transform)), _measure_outside(second, transform)


def is_plausible(outside: tuple[Outside, Outside]) -> bool:
    """Return whether one picture shows the other, or nearly all of it."""
    turned = min(0.0 if part.is_filled else part.share for part in outside)
    return max(part.share for part in outside) <= MAX_CUT_AREA_SHARE and turned <= MAX_TURNED_SHARE


def _measure_outside(picture: Picture, transform: Transform) -> Outside:
    """Return how much of a picture the other lacks, by the transform to the other."""
    size = min(picture.width, SIDE_PX), min(picture.height, SIDE_PX)
    grid = registration.make_grid(transform, size)
    is_outside = (grid.u < -EDGE_SHARE) | (grid.u > 1 + EDGE_SHARE)
    is_outside |= (grid.v < -EDGE_SHARE) | (grid.v > 1 + EDGE_SHARE) | (grid.depth <= 0)
    share = float(is_outside.mean())
    if not share:
        return Outside(0.0, False)
    pixels = np.asarray(registration.shrink_picture(picture, size).convert("L"))[is_outside]
    fill = np.median(pixels)
    is_filled = np.abs(pixels - fill) <= MAX_FILL_RANGE
    return Outside(share, bool(is_filled.mean() > MIN_FILL_SHARE))
