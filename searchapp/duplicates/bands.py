"""Find the letters of a line of changes: a caption may lie on a band, opaque or translucent."""

from __future__ import annotations

import numpy as np

from searchapp.duplicates.changed_line import ChangedLine, find_tones, measure_steepness
from searchapp.duplicates.registration import Floats, Mask
from searchapp.duplicates.text_lines import is_text_line

MAX_DISTANCE_LEVELS = 24.0  # of the brightest color channel, from the color of a band
MIN_CHANGED_SHARE = 0.55  # of the box around changes; a band changes more or less all its pixels
MIN_BEHIND_SHARE = 0.4  # of the changes, that are explained by a band
MAX_BAND_GAIN = 0.92  # how much of the picture is seen through a translucent band
MAX_OPAQUE_GAIN = 0.1
# A text has more edges than what is above and below it. Measured with other pictures than those of
# the tests: 98 % of opaque bands cover fewer, and half of those that cover a text cover more.
MAX_EDGE_RATIO, NOISE_LEVELS, MIN_ROWS = 1.18, 3.0, 4
# A tone that was drawn is rare above and below: less than this share of its frequency.
MAX_NEAR_SHARE = 0.25
MIN_BAND_SHARE = 0.5  # of the box, that another band fills with one tone
TONES, TONE_REACH, TONE_RANGE = 6, 12, 20.0  # levels around a tone


def find_ink(line: ChangedLine) -> Mask | None:
    """Return the pixels of letters: changes that are no band behind them.

    None: an opaque band covers what may be another text, or another band.
    """
    box = line.is_changed[line.rows, line.columns]
    if box.mean() < MIN_CHANGED_SHARE:
        return line.is_changed
    gain, offset = _fit_band(line)
    distance = np.abs(line.carrier - gain * line.plain - offset).max(axis=2)
    is_behind = line.is_changed & (distance <= MAX_DISTANCE_LEVELS)
    is_band = is_behind.sum() >= MIN_BEHIND_SHARE * line.is_changed.sum()
    if not is_band or gain.max() > MAX_BAND_GAIN:
        return line.is_changed
    if gain.max() <= MAX_OPAQUE_GAIN and _has_drawing(line):
        return None
    ink: Mask = line.is_changed & ~is_behind
    return ink


def _fit_band(line: ChangedLine) -> tuple[Floats, Floats]:
    """Return gain and offset of each channel, [3], behind a band. An opaque band has no gain."""
    x, y = line.plain[line.is_changed], line.carrier[line.is_changed]
    weights = np.ones(len(x), np.float32)
    gain, offset = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for _ in range(8):
        total = weights.sum()
        center_x, center_y = (weights @ x) / total, (weights @ y) / total
        spread = weights @ (x - center_x) ** 2
        gain = (weights @ ((x - center_x) * (y - center_y))) / np.maximum(spread, 1e-3)
        offset = center_y - gain * center_x
        distance = np.abs(y - gain * x - offset).max(axis=1)
        weights = 1 / (1 + (distance / 8) ** 2)
    return gain.astype(np.float32), offset.astype(np.float32)


def _has_drawing(line: ChangedLine) -> bool:
    """Return whether the plain picture may have a text or a band of its own in the line."""
    edges = measure_steepness(line.plain)[:, line.columns]
    around = [edges[: line.rows.start], edges[line.rows.stop :]]
    near_edges = max((float(part.mean()) for part in around if len(part) >= MIN_ROWS), default=0.0)
    if edges[line.rows].mean() > MAX_EDGE_RATIO * (near_edges + NOISE_LEVELS):
        return True
    gray = line.plain.mean(axis=2)[:, line.columns]
    inside = gray[line.rows]
    near = np.concatenate([gray[: line.rows.start], gray[line.rows.stop :]])
    for tone in find_tones(inside.ravel(), TONES, TONE_REACH):
        has_tone = np.abs(inside - tone) <= TONE_RANGE
        share, near_share = (float((np.abs(x - tone) <= TONE_RANGE).mean()) for x in (inside, near))
        if near_share >= MAX_NEAR_SHARE * share:
            continue
        is_text = is_text_line(has_tone, np.zeros_like(has_tone), np.ones_like(has_tone))
        if is_text or share >= MIN_BAND_SHARE:
            return True
    return False
