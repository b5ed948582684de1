"""Choose which of several files with the same picture to keep or show, and explain why."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from searchapp.files.scan import RAW_SUFFIXES, get_suffix
from searchapp.types import DuplicateFile

RAW_FORMATS = ("RAW", "DNG", "CR2", "CR3", "NEF", "ARW", "RAF", "ORF", "RW2", "PEF", "SRW")
LOSSLESS_FORMATS = ("PNG", "TIFF", "BMP")
POOR_FORMATS = ("GIF",)
# What programs and people add to the names of copies.
COPY_NAME_PATTERN = re.compile(
    r"\(\d+\)|\b(copy|copie|kopie|copia|thumb\w*|preview|export\w*|resized|edited|edit|small|"
    r"web|backup|duplicate|screenshot|whatsapp)\b|[-_](copy|edit|edited|small|\d+x\d+)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _KeepRule:
    get_rank: Callable[[DuplicateFile], float | str]  # the file with the lowest rank is kept
    explain: Callable[[DuplicateFile, DuplicateFile], str]  # arguments: keeper, next best file


def _count_pixels(copy: DuplicateFile) -> int:
    return copy.width * copy.height


def _rank_format(copy: DuplicateFile) -> int:
    format = copy.format.upper()
    if format in RAW_FORMATS:
        return 0
    if format in LOSSLESS_FORMATS:
        return 1
    return 3 if format in POOR_FORMATS else 2


def _has_copy_name(copy: DuplicateFile) -> bool:
    path = Path(copy.path)  # the folder's name is checked, too, for example thumbs or exports
    return COPY_NAME_PATTERN.search(f"{path.parent.name}/{path.stem}".replace("_", " ")) is not None


def _list_raw_companions(copy: DuplicateFile) -> list[str]:
    return [Path(path).name for path in copy.companions if get_suffix(path) in RAW_SUFFIXES]


# The first rule that ranks two files differently decides, and its text is shown as the reason.
KEEP_RULES = (
    _KeepRule(
        lambda copy: len(copy.edits),
        lambda _, next: f"without an edit, the next has: {', '.join(next.edits)}",
    ),
    _KeepRule(
        lambda copy: not _list_raw_companions(copy),
        lambda keeper, _: f"has the RAW file {_list_raw_companions(keeper)[0]}",
    ),
    _KeepRule(
        lambda copy: -_count_pixels(copy),
        lambda keeper, next: (
            f"most pixels: {keeper.width}x{keeper.height}, the next {next.width}x{next.height}"
        ),
    ),
    _KeepRule(
        lambda copy: not copy.companions,
        lambda keeper, _: f"has the companion file {Path(keeper.companions[0]).name}",
    ),
    _KeepRule(lambda copy: not copy.taken_at, lambda *_: "has the date when it was taken"),
    _KeepRule(
        _rank_format,
        lambda keeper, next: f"{keeper.format} loses less detail than {next.format}",
    ),
    _KeepRule(
        lambda copy: -copy.size if _rank_format(copy) else 0,
        lambda *_: "largest file, so the least compressed",
    ),
    _KeepRule(_has_copy_name, lambda *_: "its name does not look like a copy"),
    _KeepRule(lambda copy: copy.changed_at, lambda *_: "the oldest file"),
    _KeepRule(lambda copy: len(copy.path), lambda *_: "the shortest path"),
    _KeepRule(lambda copy: copy.path, lambda *_: "all files are equal; this name sorts first"),
)

# The first rules say that a file holds more than another one. If they decide nothing, and if the
# best file does not match all copies, the file that matches more of them is kept.
TIER_RULES = 6
MOST_MATCHES_REASON = "it matches more copies than the others"


def rank_copy(copy: DuplicateFile) -> tuple[float | str, ...]:
    """Return the sort key of a file: the file to keep sorts first."""
    return tuple(rule.get_rank(copy) for rule in KEEP_RULES)


def get_tier(copy: DuplicateFile) -> tuple[float | str, ...]:
    """Return the part of a file's sort key that says how much the file holds."""
    return rank_copy(copy)[:TIER_RULES]


def explain_choice(keeper: DuplicateFile, others: list[DuplicateFile]) -> str:
    """Return the reason to keep a file, compared with the best of the other files."""
    next_best = min(others, key=rank_copy)
    if rank_copy(keeper) > rank_copy(next_best):
        return MOST_MATCHES_REASON
    for rule in KEEP_RULES:
        if rule.get_rank(keeper) != rule.get_rank(next_best):
            return rule.explain(keeper, next_best)
    return "the only file"
