"""Files that belong to a picture and are none of their own: RAW beside JPEG, Live Photos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from searchapp.files.scan import RAW_SUFFIXES, get_suffix

CompanionKind = Literal["raw", "film"]
# What is embedded where there are several, the best first.
PICTURE_SUFFIXES_BY_RANK = (".jpg", ".jpeg", ".heic", ".heif", ".hif")
FILM_SUFFIX = ".mov"
MAX_FILM_BYTES = 20 << 20  # a Live Photo's film of 3 seconds takes less; a longer one is a video


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that belongs to a picture."""

    path: str
    picture_path: str
    kind: CompanionKind


def classify_companion(path: str, size: int) -> CompanionKind | None:
    """Return what a file may be to a picture of its name; size in bytes."""
    ending = get_suffix(path)
    if ending in RAW_SUFFIXES:
        return "raw"
    return "film" if ending == FILM_SUFFIX and size <= MAX_FILM_BYTES else None


def can_have_companions(path: str) -> bool:
    """Tell whether a file is of the kind that others may belong to."""
    return get_suffix(path) in PICTURE_SUFFIXES_BY_RANK


def match_companions(
    companions: Iterable[tuple[str, CompanionKind]], pictures: Iterable[str]
) -> Iterator[Companion]:
    """Yield those of some files that belong to a picture in the same folder, of the same name."""
    by_name: dict[str, list[tuple[str, CompanionKind]]] = {}
    for path, kind in companions:
        by_name.setdefault(_make_pairing_key(path), []).append((path, kind))
    best: dict[str, str] = {}
    for path in pictures if by_name else ():
        name = _make_pairing_key(path)
        if name in by_name:
            best[name] = min((path, best.get(name, path)), key=_rank_picture)
    for name, picture in best.items():
        for path, kind in by_name[name]:
            yield Companion(path, picture, kind)


def _make_pairing_key(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, os.path.splitext(name)[0].casefold())  # noqa: PTH118, PTH122 (speed)


def _rank_picture(path: str) -> tuple[int, str]:
    return PICTURE_SUFFIXES_BY_RANK.index(get_suffix(path)), path
