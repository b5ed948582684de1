"""Tell whether an opaque band may cover a text or another band."""

from __future__ import annotations

import numpy as np

from searchapp.duplicates.changed_line import ChangedLine, find_tones, measure_steepness
from searchapp.duplicates.registration import Mask
from searchapp.duplicates.text_lines import is_text_line

# A text has more edges than what is above and below it. Measured with other pictures than those of
# the tests: 98 % of opaque bands cover fewer, and half of those that cover a text cover more.
MAX_EDGE_RATIO, NOISE_LEVELS, MIN_ROWS = 1.18, 3.0, 4
# A tone that was drawn is rare above and below: less than this share of its frequency.
MAX_NEAR_SHARE = 0.2
MIN_BAND_SHARE = 0.5  # of the box, that another band fills with one tone
TONES, TONE_REACH, TONE_RANGE = 6, 12, 20.0  # levels around a tone


def may_cover_text(line: ChangedLine) -> bool:
    """Return whether the plain picture may have a text or a band of its own in the line.

    The changes of the line are those that the band has made.
    """
    if _is_text(line.is_changed):
        return True  # Both pictures have this band, and the letters on it differ.
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
        if _is_text(has_tone) or share >= MIN_BAND_SHARE:
            return True
    return False


def _is_text(mask: Mask) -> bool:
    return is_text_line(mask, np.zeros_like(mask), np.ones_like(mask))
