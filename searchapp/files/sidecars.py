"""Recognize sidecars, and match them to their picture by name.

A sidecar is a file next to a picture that holds metadata of the picture: XMP, or the JSON file of
Google Takeout.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

XMP_SUFFIX, JSON_SUFFIX = ".xmp", ".json"
TAKEOUT_ENDING = ".supplemental-metadata"
# Takeout cuts the name of a JSON file to 51 characters, so without its suffix to 46. Some of its
# versions count other units than characters.
TAKEOUT_CUT_LENGTHS = range(44, 48)
MIN_TITLE_CHARS = 40  # that a cut name keeps, apart from its suffix
NUMBER_PATTERN = re.compile(r"(.*)(\(\d+\))")
# Google Photos appends one of these, in the language of the user, to the name of an edited copy.
EDITED_ENDINGS = (
    "-edited", "-bearbeitet", "-modifi\u00e9", "-editado", "-editada", "-modificato", "-bewerkt",
    "-edytowane", "-redigerad", "-redigeret", "-redigert", "-upraveno", "-\u7de8\u96c6\u6e08\u307f",
    "-effects", "-collage", "-mix", "-smile",
)  # fmt: skip
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
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 (speed)
    stem, number = _split_number(stem)
    stems = [stem]
    stems += [stem[: -len(ending)] for ending in EDITED_ENDINGS if stem.endswith(ending)]
    titles = [(f"{each}{suffix}", number) for each in stems if each]
    if number:
        titles.append((name, ""))
    return titles


def _split_number(stem: str) -> tuple[str, str]:
    found = NUMBER_PATTERN.fullmatch(stem)
    return (found[1], found[2]) if found else (stem, "")


def _strip_ending(stem: str) -> str:
    """Return a stem without the words that Takeout appends, whole or cut off."""
    for length in range(len(TAKEOUT_ENDING), 0, -1):
        if stem.endswith(TAKEOUT_ENDING[:length]):
            return stem[:-length]
    return stem


def sort_sidecars(sidecars: Iterable[str], picture: str) -> list[str]:
    """Return the sidecars that belong to a picture, the one with the highest precedence first.

    XMP goes before JSON, and IMG_1.jpg.xmp before IMG_1.xmp. A JSON file with the full name of the
    picture goes before one that belongs to the picture from which it was edited.
    """
    name = os.path.basename(picture)  # noqa: PTH119 (speed)

    def rank(sidecar: str) -> tuple[bool, bool, int, str]:
        base = os.path.basename(sidecar)  # noqa: PTH119 (speed)
        is_json = base.lower().endswith(JSON_SUFFIX)
        return is_json, not base.startswith(name), -len(base), sidecar

    return sorted((path for path in sidecars if is_sidecar_of(path, picture)), key=rank)


def get_neighbor_prefix(path: str) -> str:
    """Return a prefix of the paths of a picture's sidecars, or of the pictures of a sidecar.

    path: of a picture or sidecar. Check the paths that have the prefix with is_sidecar_of().
    """
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 (speed)
    if suffix.lower() == XMP_SUFFIX:
        return os.path.join(folder, stem)  # noqa: PTH118 (speed)
    if suffix.lower() == JSON_SUFFIX:
        stem = os.path.splitext(_strip_ending(_split_number(stem)[0]))[0]  # noqa: PTH122 (speed)
    stem, _ = _split_number(stem)
    for ending in EDITED_ENDINGS:
        stem = stem.removesuffix(ending)
    return os.path.join(folder, stem[:MIN_TITLE_CHARS])  # noqa: PTH118 (speed)
