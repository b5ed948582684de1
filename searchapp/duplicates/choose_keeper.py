"""Which file of a group to keep, and how the others differ from it, in words."""

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
# What programs and people put into names of what is not the original.
COPY_NAME_PATTERN = re.compile(
    r"\(\d+\)|\b(copy|copie|kopie|copia|thumb\w*|preview|export\w*|resized|edited|edit|small|"
    r"web|backup|duplicate|screenshot|whatsapp)\b|[-_](copy|edit|edited|small|\d+x\d+)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _KeepRule:
    get_rank: Callable[[DuplicateFile], float | str]  # the lowest is kept
    explain: Callable[[DuplicateFile, DuplicateFile], str]  # of the best and the next


def _count_pixels(copy: DuplicateFile) -> int:
    return copy.width * copy.height


def _rank_format(copy: DuplicateFile) -> int:
    kind = copy.format.upper()
    return (
        0
        if kind in RAW_FORMATS
        else 1
        if kind in LOSSLESS_FORMATS
        else 3
        if kind in POOR_FORMATS
        else 2
    )


def _has_copy_name(copy: DuplicateFile) -> bool:
    path = Path(copy.path)  # the folder's name counts as well: thumbs, exports
    return COPY_NAME_PATTERN.search(f"{path.parent.name}/{path.stem}".replace("_", " ")) is not None


def _list_raw_companions(copy: DuplicateFile) -> list[str]:
    return [Path(it).name for it in copy.companions if get_suffix(it) in RAW_SUFFIXES]


KEEP_RULES = (
    _KeepRule(
        lambda copy: not _list_raw_companions(copy),
        lambda best, _: f"{_list_raw_companions(best)[0]} belongs to it",
    ),
    _KeepRule(
        lambda copy: -_count_pixels(copy),
        lambda best, next: (
            f"most pixels: {best.width}x{best.height}, the next {next.width}x{next.height}"
        ),
    ),
    _KeepRule(
        lambda copy: not copy.companions,
        lambda best, _: f"{Path(best.companions[0]).name} belongs to it",
    ),
    _KeepRule(lambda copy: not copy.taken_at, lambda *_: "its file says when it was taken"),
    _KeepRule(
        _rank_format,
        lambda best, next: f"{best.format} keeps more than {next.format}",
    ),
    _KeepRule(
        lambda copy: -copy.size if _rank_format(copy) else 0,
        lambda best, next: "largest file, so compressed least",
    ),
    _KeepRule(_has_copy_name, lambda *_: "no mark of a copy in its name"),
    _KeepRule(lambda copy: copy.changed_at, lambda *_: "the oldest file"),
    _KeepRule(lambda copy: len(copy.path), lambda *_: "the shortest path"),
    _KeepRule(lambda copy: copy.path, lambda *_: "all are alike; the first by name"),
)


def rank_copy(copy: DuplicateFile) -> tuple[float | str, ...]:
    """Return what files are sorted by: the one to keep comes first."""
    return tuple(reason.get_rank(copy) for reason in KEEP_RULES)


def explain_choice(keeper: DuplicateFile, others: list[DuplicateFile]) -> str:
    """Return why a file is kept rather than the next best."""
    best = min(others, key=rank_copy)
    for each in KEEP_RULES:
        if each.get_rank(keeper) != each.get_rank(best):
            return each.explain(keeper, best)
    return "the only file"
