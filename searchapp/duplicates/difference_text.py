"""Say in words how a copy differs from the file to keep."""

from __future__ import annotations

from searchapp.duplicates.fingerprint import NAMES, TURNS
from searchapp.types import Certainty, Copy

SLIGHT = 0.012  # share of a side: with less nothing is said to be cut off


def difference(
    keeper: Copy, copy: Copy, certainty: Certainty, turn: int, cut: float, lacks: bool
) -> str:
    """Return how a copy differs.

    turn: of fingerprint.TURNS; cut: the share of a side that one of them lacks, which is the
    keeper where lacks.
    """
    parts = []
    if certainty == "pixels":
        parts.append("the same pixels")
        if copy.format != keeper.format:
            parts.append(f"as {copy.format}")
    else:
        if NAMES[turn]:
            parts.append(NAMES[turn])
        if cut > SLIGHT:
            parts.append(f"shows {'more' if lacks else 'less'}: about {100 * cut:.0f} % of a side")
        width, height = (copy.height, copy.width) if TURNS[turn][0] else (copy.width, copy.height)
        seen = 1.0 if cut <= SLIGHT else 1 / (1 - cut) if lacks else 1 - cut
        scale = max(width / keeper.width, height / keeper.height) / seen
        if abs(scale - 1) > 0.02:
            parts.append(f"{100 * scale:.0f} % as large")
        if copy.format != keeper.format:
            parts.append(f"as {copy.format}")
        if not parts:
            parts.append("compressed or edited otherwise")
    if keeper.taken_at and not copy.taken_at:
        parts.append("without a date")
    return ", ".join(parts)
