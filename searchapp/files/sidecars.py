"""Recognize sidecars, and match them to their picture by name.

A sidecar is a file next to a picture that holds metadata of the picture: XMP, or the JSON file of
Google Takeout.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

XMP_SUFFIX, JSON_SUFFIX = ".xmp", ".json"
TAKEOUT_ENDING = ".supplemental-metadata"
# Takeout cuts the name of a JSON file to 51 characters, so without its suffix to 46. Some of its
# versions count other units than characters.
TAKEOUT_CUT_LENGTHS = range(44, 48)
MIN_CUT_TITLE_CHARS = 42  # that the name of a picture keeps if it is cut, without its suffix
NUMBER_PATTERN = re.compile(r"(.*)(\(\d+\))")
# Google Photos appends one of these, in the language of the user, to the name of an edited copy.
EDITED_WORDS = (
    "-edited", "-bearbeitet", "-modifi\u00e9", "-editado", "-editada", "-modificato", "-bewerkt",
    "-edytowane", "-redigerad", "-redigeret", "-redigert", "-upraveno", "-\u7de8\u96c6\u6e08\u307f",
    "-effects", "-collage", "-mix", "-smile",
)  # fmt: skip
# macOS stores names in the form NFD.
EDITED_ENDINGS = tuple(
    dict.fromkeys(
        unicodedata.normalize(form, word) for word in EDITED_WORDS for form in ("NFC", "NFD")
    )
)
PICTURE_SUFFIX_PATTERN = re.compile(r".+\.[A-Za-z0-9]{2,4}")


def is_sidecar(name: str) -> bool:
    """Return whether a file name is one of a sidecar. A JSON file needs the name of a picture."""
    lower = name.lower()
    if lower.endswith(XMP_SUFFIX):
        return True
    if not lower.endswith(JSON_SUFFIX):
        return False
    stem, _ = _split_number(os.path.basename(name)[: -len(JSON_SUFFIX)])  # noqa: PTH119 (speed)
    return (
        len(stem) in TAKEOUT_CUT_LENGTHS
        or PICTURE_SUFFIX_PATTERN.fullmatch(_strip_ending(stem)) is not None
    )


def is_sidecar_of(sidecar: str, picture: str) -> bool:
    """Return whether a sidecar belongs to a picture, by their paths.

    XMP: IMG_1.jpg.xmp or IMG_1.xmp. Takeout: IMG_1.jpg.json, IMG_1.jpg.supplemental-metadata.json
    or a name that is cut off; IMG_1.jpg(1).json belongs to IMG_1(1).jpg.
    """
    (sidecar_folder, sidecar_name), (folder, name) = os.path.split(sidecar), os.path.split(picture)
    if sidecar_folder != folder:
        return False
    base, suffix = os.path.splitext(sidecar_name)  # noqa: PTH122 (speed)
    if suffix.lower() == XMP_SUFFIX:
        return base in (name, os.path.splitext(name)[0])  # noqa: PTH122 (speed)
    if suffix.lower() != JSON_SUFFIX:
        return False
    if base == name:
        return True
    stem, number = _split_number(base)
    return any(
        number == title_number and _can_be_title(stem, title)
        for title, title_number in _list_titles(name)
    )


def _can_be_title(stem: str, title: str) -> bool:
    """Return whether Takeout names the JSON file of a title so, apart from its number."""
    if stem == title or (len(stem) > len(title) and f"{title}{TAKEOUT_ENDING}".startswith(stem)):
        return True
    if len(stem) not in TAKEOUT_CUT_LENGTHS:
        return False
    # The name of the picture is cut off, too, but keeps its suffix.
    title_stem = os.path.splitext(title)[0]  # noqa: PTH122 (speed)
    return title.startswith(stem) or (len(title) in range(46, 53) and stem.startswith(title_stem))


def _list_titles(name: str) -> list[tuple[str, str]]:
    """Return the titles that a picture's file can have in Google Photos, each with its number."""
    whole_stem, suffix = os.path.splitext(name)  # noqa: PTH122 (speed)
    stem, number = _split_number(whole_stem)
    numbered = [(stem, number)]
    for ending in EDITED_ENDINGS:
        if stem.endswith(ending):
            original = stem[: -len(ending)]
            numbered.append((original, number))
            if not number:  # IMG_1(1)-edited.jpg, of IMG_1.jpg(1).json
                numbered.append(_split_number(original))
    if number:
        numbered.append((whole_stem, ""))
    return [(f"{each}{suffix}", its_number) for each, its_number in numbered if each]


def _split_number(stem: str) -> tuple[str, str]:
    found = NUMBER_PATTERN.fullmatch(stem)
    return (found[1], found[2]) if found else (stem, "")


def _strip_ending(stem: str) -> str:
    """Return a stem without the words that Takeout appends, whole or cut off."""
    for length in range(len(TAKEOUT_ENDING), 0, -1):
        if stem.endswith(TAKEOUT_ENDING[:length]):
            return stem[:-length]
    return stem


@dataclass(frozen=True, slots=True)
class Candidates:
    """Paths that files related to a file can have; check them with is_sidecar_of().

    paths: whole paths. prefixes: beginnings of paths.
    """

    paths: list[str]
    prefixes: list[str]


def list_sidecar_candidates(picture: str) -> Candidates:
    """Return the paths that sidecars of a picture can have, in the order of precedence.

    XMP goes before JSON, and IMG_1.jpg.xmp before IMG_1.xmp. A JSON file with the full name of the
    picture goes before one of the picture from which it was edited.
    """
    folder, name = os.path.split(picture)
    stem = os.path.splitext(name)[0]  # noqa: PTH122 (speed)
    names = [f"{base}{suffix}" for base in (name, stem) for suffix in (".xmp", ".XMP")]
    names.append(f"{name}{JSON_SUFFIX}")
    for title, number in _list_titles(name):
        endings = (TAKEOUT_ENDING[:length] for length in range(len(TAKEOUT_ENDING) + 1))
        names += [f"{title}{ending}{number}{JSON_SUFFIX}" for ending in endings]
        names += [
            f"{title[:length]}{number}{JSON_SUFFIX}"
            for length in TAKEOUT_CUT_LENGTHS
            if length < len(title)
        ]
    title_stem, _ = _split_number(stem)
    is_cut = len(title_stem) >= MIN_CUT_TITLE_CHARS
    return _join_folder(folder, names, [title_stem] if is_cut else [])


def list_picture_candidates(sidecar: str) -> Candidates:
    """Return the paths that pictures of a sidecar can have."""
    folder, name = os.path.split(sidecar)
    base, suffix = os.path.splitext(name)  # noqa: PTH122 (speed)
    if suffix.lower() == XMP_SUFFIX:
        return _join_folder(folder, [base], [f"{base}."])
    stem, number = _split_number(base)
    title_stem, title_suffix = os.path.splitext(_strip_ending(stem))  # noqa: PTH122 (speed)
    endings = ("", *EDITED_ENDINGS)
    names = [base, *(f"{title_stem}{ending}{number}{title_suffix}" for ending in endings)]
    if number:
        names += [f"{title_stem}{number}{ending}{title_suffix}" for ending in EDITED_ENDINGS]
    prefixes = []
    if len(stem) in TAKEOUT_CUT_LENGTHS:
        lengths = range(MIN_CUT_TITLE_CHARS, len(stem))
        prefixes = [stem, *(f"{stem[:length]}{number}." for length in lengths)]
    return _join_folder(folder, names, prefixes)


def _join_folder(folder: str, names: Iterable[str], prefixes: Iterable[str]) -> Candidates:
    def join(names: Iterable[str]) -> list[str]:
        return [os.path.join(folder, name) for name in dict.fromkeys(names)]  # noqa: PTH118 (speed)

    return Candidates(join(names), join(prefixes))


def make_title_key(name: str) -> str:
    """Return a key that the names of a picture and of its JSON files of Takeout have in common."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 (speed)
    if suffix.lower() == JSON_SUFFIX:
        stem = os.path.splitext(_strip_ending(_split_number(stem)[0]))[0]  # noqa: PTH122 (speed)
    stem, _ = _split_number(stem)
    for ending in EDITED_ENDINGS:
        if stem.endswith(ending):
            stem, _ = _split_number(stem.removesuffix(ending))
    return stem[:MIN_CUT_TITLE_CHARS]
