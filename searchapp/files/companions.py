"""Files that belong to a picture and are none of their own: RAW beside JPEG, Live Photos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from searchapp.files.scan import RAW_SUFFIXES, suffix

Kind = Literal["raw", "film"]
# What is embedded where there are several, the best first.
PICTURES = (".jpg", ".jpeg", ".heic", ".heif", ".hif")
FILM = ".mov"
FILM_BYTES = 20 << 20  # a Live Photo's film of 3 seconds takes less; a longer one is a video


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that belongs to a picture."""

    path: str
    of_path: str
    kind: Kind


def kind_of(path: str, size: int) -> Kind | None:
    """Return what a file may be to a picture of its name; size in bytes."""
    ending = suffix(path)
    if ending in RAW_SUFFIXES:
        return "raw"
    return "film" if ending == FILM and size <= FILM_BYTES else None


def may_have_companions(path: str) -> bool:
    """Tell whether a file is of the kind that others may belong to."""
    return suffix(path) in PICTURES


def found(companions: Iterable[tuple[str, Kind]], pictures: Iterable[str]) -> Iterator[Companion]:
    """Yield those of some files that belong to a picture in the same folder, of the same name."""
    by_name: dict[str, list[tuple[str, Kind]]] = {}
    for path, kind in companions:
        by_name.setdefault(_name(path), []).append((path, kind))
    best: dict[str, str] = {}
    for path in pictures if by_name else ():
        name = _name(path)
        if name in by_name:
            best[name] = min((path, best.get(name, path)), key=_rank)
    for name, picture in best.items():
        for path, kind in by_name[name]:
            yield Companion(path, picture, kind)


def _name(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, os.path.splitext(name)[0].casefold())  # noqa: PTH118, PTH122 (speed)


def _rank(path: str) -> tuple[int, str]:
    return PICTURES.index(suffix(path)), path
