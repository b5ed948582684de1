"""Match companion files to their picture: RAW files, films of Live Photos, edits of Apple."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from searchapp.files.scan import ADJUSTMENTS_SUFFIX, RAW_SUFFIXES, get_suffix
from searchapp.files.sidecars import is_sidecar, make_title_key

CompanionKind = Literal["raw", "film", "edit", "adjustments"]
# If several pictures have the same name, the first of these suffixes gets the companions.
PICTURE_SUFFIXES_BY_RANK = (".jpg", ".jpeg", ".heic", ".heif", ".hif")
# Apple stores an edited picture as IMG_E1234.JPG, and its adjustments as IMG_1234.AAE or
# IMG_O1234.AAE, beside the original IMG_1234.HEIC. Screenshots are PNG files.
EDITED_SUFFIXES_BY_RANK = (*PICTURE_SUFFIXES_BY_RANK, ".png")
# Copies have a number behind it, such as IMG_E1234 (1).JPG or IMG_E1234 2.JPG.
EDIT_PATTERN = re.compile(r"(img_)[eo](\d{4,}(?: ?\(\d+\)| \d+)?)", re.IGNORECASE)
FILM_SUFFIX = ".mov"
MAX_FILM_BYTES = 20 << 20  # the 3-second film of a Live Photo is smaller; larger is a video


@dataclass(frozen=True, slots=True)
class Companion:
    """A RAW file, film, edit or adjustments file that belongs to a picture."""

    path: str
    picture_path: str
    kind: CompanionKind


def classify_companion(path: str, size: int) -> CompanionKind | None:
    """Return the kind of companion that a file can be; None if it cannot be a companion."""
    ending = get_suffix(path)
    if ending in RAW_SUFFIXES:
        return "raw"
    if is_adjustments(path):
        return "adjustments"
    if ending in EDITED_SUFFIXES_BY_RANK:
        return "edit" if _is_edit(path) else None
    return "film" if ending == FILM_SUFFIX and size <= MAX_FILM_BYTES else None


def is_adjustments(path: str) -> bool:
    """Return whether a file has Apple's adjustments of a picture; it is no picture itself."""
    return get_suffix(path) == ADJUSTMENTS_SUFFIX


def can_have_companions(path: str) -> bool:
    """Return whether a file is a picture whose format can have companions."""
    return get_suffix(path) in EDITED_SUFFIXES_BY_RANK


def match_companions(
    companions: Iterable[tuple[str, CompanionKind]], pictures: Iterable[str]
) -> Iterator[Companion]:
    """Yield each companion of a picture with the same folder and name; ignore suffix and case.

    IMG_E1234 counts as IMG_1234. An edit without its original is a picture.
    """
    by_name: dict[str, list[tuple[str, CompanionKind]]] = {}
    for path, kind in companions:
        by_name.setdefault(_make_pairing_key(path), []).append((path, kind))
    best: dict[str, str] = {}
    for path in pictures if by_name else ():
        name = _make_pairing_key(path)
        if name in by_name:
            best[name] = min((path, best.get(name, path)), key=_rank_picture)
    for name, picture in best.items():
        has_raw_format = get_suffix(picture) in PICTURE_SUFFIXES_BY_RANK
        for path, kind in by_name[name]:
            if path != picture and (has_raw_format or kind in ("edit", "adjustments")):
                yield Companion(path, picture, kind)


def make_companion_name(companion: str, stem: str) -> str:
    """Return the name for a copy of a companion, next to a copy of its picture named stem."""
    name = os.path.basename(companion)  # noqa: PTH119 (speed)
    if (found := EDIT_PATTERN.match(name)) and stem[: len(found[1])].lower() == found[1].lower():
        start = len(found[1])
        stem = f"{stem[:start]}{name[start]}{stem[start:]}"
    return stem + os.path.splitext(name)[1]  # noqa: PTH122 (speed)


def _is_edit(path: str) -> bool:
    return EDIT_PATTERN.fullmatch(_lower_stem(os.path.basename(path))) is not None  # noqa: PTH119


def _make_pairing_key(path: str) -> str:
    folder, name = os.path.split(path)
    stem = EDIT_PATTERN.sub(r"\1\2", _lower_stem(name))
    return os.path.join(folder, stem)  # noqa: PTH118 (speed)


def _rank_picture(path: str) -> tuple[bool, int, str]:
    return _is_edit(path), EDITED_SUFFIXES_BY_RANK.index(get_suffix(path)), path


def find_related_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """Return paths, and files next to them with the same name: IMG_1.jpg, IMG_1.xmp, IMG_1.dng.

    A change to one of these files can make another file a companion, or a picture again.
    """
    related = dict.fromkeys(paths)
    keys_by_folder: dict[str, set[str]] = {}  # so that each folder is listed once
    for path in related:
        folder, name = os.path.split(path)
        keys_by_folder.setdefault(folder, set()).update(_make_name_keys(name))
    for folder, keys in keys_by_folder.items():
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                # Not is_file(), which fails for a looping link and would end the listing.
                is_folder = entry.is_dir(follow_symlinks=False)
                if not keys.isdisjoint(_make_name_keys(entry.name)) and not is_folder:
                    related[entry.path] = None
    return tuple(related)


def _make_name_keys(name: str) -> set[str]:
    """Return keys for a file name; related files have at least one key in common."""
    keys = {_make_pairing_key(name), make_title_key(name).lower()}
    if is_sidecar(name):
        keys.add(_make_pairing_key(_lower_stem(name)))
    return keys


def _lower_stem(name: str) -> str:
    """Return a file name in lower case, without its last suffix.

    casefold() is too wide: it also makes strasse of straße, which is the name of another picture.
    """
    return os.path.splitext(name)[0].lower()  # noqa: PTH122 (speed)
