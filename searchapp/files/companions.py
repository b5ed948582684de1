"""Match companion files to their picture: a RAW file next to a JPEG, the film of a Live Photo."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from searchapp.files.scan import RAW_SUFFIXES, get_suffix, is_sidecar

CompanionKind = Literal["raw", "film"]
# If several pictures have the same name, the first of these suffixes gets the companions.
PICTURE_SUFFIXES_BY_RANK = (".jpg", ".jpeg", ".heic", ".heif", ".hif")
FILM_SUFFIX = ".mov"
MAX_FILM_BYTES = 20 << 20  # the 3-second film of a Live Photo is smaller; larger is a video


@dataclass(frozen=True, slots=True)
class Companion:
    """A RAW file or film that belongs to a picture."""

    path: str
    picture_path: str
    kind: CompanionKind


def classify_companion(path: str, size: int) -> CompanionKind | None:
    """Return the kind of companion that a file can be; None if it cannot be a companion."""
    ending = get_suffix(path)
    if ending in RAW_SUFFIXES:
        return "raw"
    return "film" if ending == FILM_SUFFIX and size <= MAX_FILM_BYTES else None


def can_have_companions(path: str) -> bool:
    """Return whether a file is a picture whose format can have companions."""
    return get_suffix(path) in PICTURE_SUFFIXES_BY_RANK


def match_companions(
    companions: Iterable[tuple[str, CompanionKind]], pictures: Iterable[str]
) -> Iterator[Companion]:
    """Yield each companion of a picture with the same folder and name; ignore suffix and case."""
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
    return os.path.join(folder, _lower_stem(name))  # noqa: PTH118 (speed)


def _rank_picture(path: str) -> tuple[int, str]:
    return PICTURE_SUFFIXES_BY_RANK.index(get_suffix(path)), path


def find_related_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """Return paths, and files next to them with the same name: IMG_1.jpg, IMG_1.xmp, IMG_1.dng.

    A change to one of these files can make another file a companion, or a picture again.
    """
    related = dict.fromkeys(paths)
    stems_by_folder: dict[str, set[str]] = {}  # so that each folder is listed once
    for path in related:
        folder, name = os.path.split(path)
        stem = _lower_stem(name)
        stems = stems_by_folder.setdefault(folder, set())
        stems.add(stem)
        if is_sidecar(name):
            stems.add(_lower_stem(stem))
    for folder, stems in stems_by_folder.items():
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                stem = _lower_stem(entry.name)
                is_related_sidecar = is_sidecar(entry.name) and _lower_stem(stem) in stems
                # Not is_file(), which fails for a looping link and would end the listing.
                is_folder = entry.is_dir(follow_symlinks=False)
                if (stem in stems or is_related_sidecar) and not is_folder:
                    related[entry.path] = None
    return tuple(related)


def _lower_stem(name: str) -> str:
    """Return a file name in lower case, without its last suffix.

    casefold() is too wide: it also makes strasse of straße, which is the name of another picture.
    """
    return os.path.splitext(name)[0].lower()  # noqa: PTH122 (speed)
