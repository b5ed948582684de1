"""Describe in words how a duplicate differs from the file to keep."""

from __future__ import annotations

from collections.abc import Sequence

from searchapp.duplicates.fingerprint import TURN_NAMES, TURNS
from searchapp.types import DuplicateCertainty, DuplicateFile

MIN_CUT_SHARE = 0.012  # share of a side; a smaller crop is not mentioned
EDIT_TEXTS = {
    "grayscale": "grayscale",
    "caption": "a caption was written into it",
    "border": "a border was added",
}


def describe_difference(
    keeper: DuplicateFile,
    copy: DuplicateFile,
    certainty: DuplicateCertainty,
    turn: int,
    cut_share: float,
    edits: Sequence[str],
    *,
    is_keeper_cropped: bool,
) -> str:
    """Return how a copy differs from the file to keep, such as "rotated by 90°, as PNG".

    turn: index in fingerprint.TURNS. cut_share: share of a side that the cropped file lacks.
    edits: what was done to the copy.
    """
    parts = []
    if certainty == "pixels":
        parts.append("the same pixels")
        if copy.format != keeper.format:
            parts.append(f"as {copy.format}")
    else:
        parts += [EDIT_TEXTS[edit] for edit in edits]
        if TURN_NAMES[turn]:
            parts.append(TURN_NAMES[turn])
        if cut_share > MIN_CUT_SHARE:
            more_or_less = "more" if is_keeper_cropped else "less"
            parts.append(f"shows {more_or_less}: about {100 * cut_share:.0f} % of a side")
        width, height = (copy.height, copy.width) if TURNS[turn][0] else (copy.width, copy.height)
        shown_share = 1 - cut_share if cut_share > MIN_CUT_SHARE else 1.0
        if is_keeper_cropped:
            shown_share = 1 / shown_share
        scale = max(width / keeper.width, height / keeper.height) / shown_share
        if abs(scale - 1) > 0.02 and "border" not in edits:
            parts.append(f"scaled to {100 * scale:.0f} %")
        if copy.format != keeper.format:
            parts.append(f"as {copy.format}")
        if not parts:
            parts.append("different compression or small edits")
    if keeper.taken_at and not copy.taken_at:
        parts.append("without a date")
    return ", ".join(parts)
