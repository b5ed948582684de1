"""Remove differences of brightness and contrast between two registered pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SMOOTHING_LEVELS = 3.0
MAX_PIXELS = 300.0  # of a level that count
MIN_PIXELS = 20.0  # a level with fewer pixels takes its tone from others
UNCLIPPED = (6, 249)  # levels
MIN_CURVE_LEVELS = 30
MAX_CURVE_ERROR = 2.5  # levels; in half of them
MIN_UNCLIPPED_SHARE = 0.25  # of the pixels; with fewer, clipped ones are measured too
# Clipping can be repeated, but not undone. So the tones that give more contrast are used, unless
# they leave clearly larger differences.
MAX_LOSS_RATIO = 1.25
ROUNDING_LEVELS = 1.0  # of differences: below, they say nothing
MEDIAN_LEVELS = 20  # to each side
MEAN_RANGE_LEVELS = 6  # around the median: for tones more exact than one level
MAX_COUNTED_LEVELS = 40  # larger differences count as much
COUNTED_SHARE = 0.7  # of the pixels, those that differ least
MIN_DIFFERENCE_LEVELS = 1.0  # a smaller mean difference needs no other tones
MIN_GAIN = 0.8  # of the difference without a change of tones; else tones stay as they are
LEVELS = np.arange(256)
UNCHANGED = list(range(256))  # the table of one channel that changes nothing
MAX_CHANGE, CHANGES = 255, 511  # of a level: from -255 to 255


@dataclass(frozen=True, slots=True)
class Tones:
    """A table that gives one picture the tones of the other."""

    table: list[int]  # 256 levels for each channel
    is_for_first: bool

    def apply(self, first: Picture, second: Picture) -> tuple[Picture, Picture]:
        """Return both pictures with the same tones; the same objects if nothing changes."""
        if self.table == UNCHANGED * (len(self.table) // len(UNCHANGED)):
            return first, second
        if self.is_for_first:
            return first.point(self.table), second
        return first, second.point(self.table)


def mark_clipped(picture: Picture) -> Picture:
    """Return a picture of the same size and mode that is black where no channel is clipped."""
    low, high = UNCLIPPED
    table = [0 if low < level < high else 255 for level in LEVELS.tolist()]
    return picture.point(table * len(picture.getbands()))


def fit_tones(
    first: Picture,
    second: Picture,
    is_shared: NDArray[np.bool_],
    clipped: tuple[Picture, Picture],
) -> Tones:
    """Return the tones of two pictures of the same size and mode, measured where both show.

    clipped: what mark_clipped() returns for each, shrunk in the same way. The mean of clipped and
    other pixels has the tone of neither. Tones stay as they are unless a change removes
    differences.
    """
    pixels = [_list_channels(picture, is_shared) for picture in (first, second)]
    unchanged = Tones(UNCHANGED * len(pixels[0]), True)
    difference = _measure_difference(unchanged, first, second, is_shared, COUNTED_SHARE)
    if difference <= MIN_DIFFERENCE_LEVELS:
        return unchanged
    masks = [_list_channels(picture, is_shared) for picture in clipped]
    for number, parts in enumerate(zip(*masks, strict=True)):
        is_measured = (parts[0] == 0) & (parts[1] == 0)
        if is_measured.mean() >= MIN_UNCLIPPED_SHARE:
            for channels in pixels:
                channels[number] = channels[number][is_measured]
    changed = []
    for is_for_first in (True, False):
        tables = [
            _fit_channel(one, other) if is_for_first else _fit_channel(other, one)
            for one, other in zip(*pixels, strict=True)
        ]
        table = np.clip(np.concatenate(tables) + 0.5, 0, 255).astype(int).tolist()
        changed.append(Tones(table, is_for_first))
    steeper, flatter = sorted(changed, key=lambda tones: -_measure_gain(tones, first, second))
    losses = [_measure_loss(tones, first, second, is_shared) for tones in (steeper, flatter)]
    best = steeper if losses[0] <= MAX_LOSS_RATIO * losses[1] else flatter
    least = _measure_difference(best, first, second, is_shared, COUNTED_SHARE)
    return best if least < MIN_GAIN * difference else unchanged


def _measure_gain(tones: Tones, first: Picture, second: Picture) -> float:
    """Return the contrast that tones give a picture, relative to the contrast it had."""
    changed = tones.apply(first, second)[0 if tones.is_for_first else 1]
    contrasts = [
        float(np.asarray(picture, np.float32).std())
        for picture in (changed, first if tones.is_for_first else second)
    ]
    return contrasts[0] / max(1.0, contrasts[1])


def _measure_loss(
    tones: Tones, first: Picture, second: Picture, is_shared: NDArray[np.bool_]
) -> float:
    """Return the difference that tones leave, relative to the contrast that they give."""
    target = np.asarray(second if tones.is_for_first else first)[is_shared]
    difference = _measure_difference(tones, first, second, is_shared, 1.0)
    return (ROUNDING_LEVELS + difference) / max(1.0, float(target.std()))


def _measure_difference(
    tones: Tones, first: Picture, second: Picture, is_shared: NDArray[np.bool_], share: float
) -> float:
    """Return how much two pictures differ in a share of the pixels, those that differ least."""
    one, other = (np.asarray(x, np.int16)[is_shared] for x in tones.apply(first, second))
    levels = np.minimum(np.abs(one - other), MAX_COUNTED_LEVELS)
    counts = np.bincount(levels.ravel(), minlength=MAX_COUNTED_LEVELS + 1)
    counted: int = max(1, round(share * levels.size))
    counts = np.diff(np.minimum(counts.cumsum(), counted), prepend=0)  # the smallest differences
    return float(counts @ np.arange(MAX_COUNTED_LEVELS + 1)) / counted


def _list_channels(picture: Picture, is_shared: NDArray[np.bool_]) -> list[NDArray[np.uint8]]:
    values = np.asarray(picture)[is_shared]
    return list(values.T) if values.ndim == 2 else [values]


def _fit_channel(source: NDArray[np.uint8], target: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the typical target level for each source level, rising and smooth, [256]."""
    # Changes of levels are smoothed, not levels: so equal pictures keep their levels.
    changes = target.astype(np.int64) - source + MAX_CHANGE
    counts = np.bincount(source.astype(np.int64) * CHANGES + changes, minlength=256 * CHANGES)
    rows = counts.reshape(256, CHANGES)
    # A frequent level, such as white, must not outweigh its neighbors.
    rows = rows / np.maximum(1.0, rows.sum(axis=1, keepdims=True) / MAX_PIXELS)
    smoothed = _smooth_levels(rows)
    sums = smoothed.cumsum(axis=1)
    totals = sums[:, -1]
    is_known = totals > MIN_PIXELS
    if not is_known.any():
        return LEVELS.astype(np.float64)
    medians = (sums < totals[:, None] / 2).sum(axis=1)
    near = medians[:, None] + np.arange(-MEAN_RANGE_LEVELS, MEAN_RANGE_LEVELS + 1)
    is_change = (near >= 0) & (near < CHANGES)
    weights = np.take_along_axis(smoothed, np.clip(near, 0, CHANGES - 1), axis=1) * is_change
    means = (weights * (near - MAX_CHANGE)).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
    curve = _fit_curve(LEVELS[is_known] + means[is_known], LEVELS[is_known])
    if curve is not None:
        return curve
    # A few levels that change alone are not light: they are letters of a caption, for example.
    padded = np.pad(np.interp(LEVELS, LEVELS[is_known], means[is_known]), MEDIAN_LEVELS, "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * MEDIAN_LEVELS + 1)
    tones = LEVELS + np.median(windows, axis=1)
    rising: NDArray[np.float64] = np.maximum.accumulate(tones)
    return rising


def _smooth_levels(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows, one for each level, as weighted sums of the rows of near levels."""
    reach = round(4 * SMOOTHING_LEVELS)
    smoothed = rows.copy()
    for step in range(1, reach + 1):
        weight = math.exp(-0.5 * (step / SMOOTHING_LEVELS) ** 2)
        part = weight * rows
        smoothed[step:] += part[:-step]
        smoothed[:-step] += part[step:]
    return smoothed


def _fit_curve(tones: NDArray[np.float64], levels: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return tones of a brightness and contrast that clip, or of a gamma, [256].

    tones: the typical tone of each of these source levels. None: neither fits.
    """
    curves = [_fit_line(tones, levels), _fit_gamma(tones, levels)]
    errors = [
        math.inf if curve is None else float(np.median(np.abs(curve[levels] - tones)))
        for curve in curves
    ]
    return curves[int(np.argmin(errors))] if min(errors) <= MAX_CURVE_ERROR else None


def _fit_line(tones: NDArray[np.float64], levels: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the tones of a gain and an offset, [256]; None if too few levels are known."""
    is_used = (tones > UNCLIPPED[0]) & (tones < UNCLIPPED[1])
    for _ in range(3):
        if is_used.sum() < MIN_CURVE_LEVELS:
            return None
        gain, offset = np.polyfit(levels[is_used], tones[is_used], 1)
        is_used &= np.abs(gain * levels + offset - tones) <= MEAN_RANGE_LEVELS / 2
    line: NDArray[np.float64] = np.clip(gain * LEVELS + offset, 0, 255)
    return line


def _fit_gamma(tones: NDArray[np.float64], levels: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the tones of a power of the level, [256]; None if too few levels are known."""
    is_used = (tones > UNCLIPPED[0]) & (tones < UNCLIPPED[1]) & (levels > UNCLIPPED[0])
    curve = LEVELS.astype(np.float64)
    for _ in range(3):
        if is_used.sum() < MIN_CURVE_LEVELS:
            return None
        # A distance of logarithms, times the tone, is about the distance in levels.
        used = tones[is_used]
        power, scale = np.polyfit(np.log(levels[is_used]), np.log(used), 1, w=used)
        curve = np.clip(math.exp(scale) * LEVELS.astype(np.float64) ** max(power, 0.0), 0, 255)
        is_used &= np.abs(curve[levels] - tones) <= MEAN_RANGE_LEVELS / 2
    return curve
