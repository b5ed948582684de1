"""Which file of a group to keep, and how the others differ from it, in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from searchapp.files.scan import RAW_SUFFIXES, suffix
from searchapp.types import Copy

RAW = ("RAW", "DNG", "CR2", "CR3", "NEF", "ARW", "RAF", "ORF", "RW2", "PEF", "SRW")
LOSSLESS = ("PNG", "TIFF", "BMP")
POOR = ("GIF",)
# What programs and people put into names of what is not the original.
MARKS = re.compile(
    r"\(\d+\)|\b(copy|copie|kopie|copia|thumb\w*|preview|export\w*|resized|edited|edit|small|"
    r"web|backup|duplicate|screenshot|whatsapp)\b|[-_](copy|edit|edited|small|\d+x\d+)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Reason:
    value: Callable[[Copy], float | str]  # the lowest is kept
    words: Callable[[Copy, Copy], str]  # of the best and the next


def _pixels(copy: Copy) -> int:
    return copy.width * copy.height


def _worth(copy: Copy) -> int:
    kind = copy.format.upper()
    return 0 if kind in RAW else 1 if kind in LOSSLESS else 3 if kind in POOR else 2


def _marked(copy: Copy) -> bool:
    path = Path(copy.path)  # the folder's name counts as well: thumbs, exports
    return MARKS.search(f"{path.parent.name}/{path.stem}".replace("_", " ")) is not None


def _raw(copy: Copy) -> list[str]:
    return [Path(it).name for it in copy.companions if suffix(it) in RAW_SUFFIXES]


REASONS = (
    _Reason(lambda copy: not _raw(copy), lambda best, _: f"{_raw(best)[0]} belongs to it"),
    _Reason(
        lambda copy: -_pixels(copy),
        lambda best, next: (
            f"most pixels: {best.width}x{best.height}, the next {next.width}x{next.height}"
        ),
    ),
    _Reason(
        lambda copy: not copy.companions,
        lambda best, _: f"{Path(best.companions[0]).name} belongs to it",
    ),
    _Reason(lambda copy: not copy.taken_at, lambda *_: "its file says when it was taken"),
    _Reason(
        _worth,
        lambda best, next: f"{best.format} keeps more than {next.format}",
    ),
    _Reason(
        lambda copy: -copy.size if _worth(copy) else 0,
        lambda best, next: "largest file, so compressed least",
    ),
    _Reason(_marked, lambda *_: "no mark of a copy in its name"),
    _Reason(lambda copy: copy.changed_at, lambda *_: "the oldest file"),
    _Reason(lambda copy: len(copy.path), lambda *_: "the shortest path"),
    _Reason(lambda copy: copy.path, lambda *_: "all are alike; the first by name"),
)


def rank(copy: Copy) -> tuple[float | str, ...]:
    """Return what files are sorted by: the one to keep comes first."""
    return tuple(reason.value(copy) for reason in REASONS)


def reason(keeper: Copy, others: list[Copy]) -> str:
    """Return why a file is kept rather than the next best."""
    best = min(others, key=rank)
    for each in REASONS:
        if each.value(keeper) != each.value(best):
            return each.words(keeper, best)
    return "the only file"
