"""Make names for the files in a zip: safe on every system, unique, and without folders."""

from __future__ import annotations

import re
from itertools import count
from pathlib import PurePosixPath

from searchapp.files.display_path import display_path
from searchapp.files.text_form import fold_text

# Not allowed in Windows: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
UNSAFE_CHARACTERS = re.compile(r'[<>:"/\\|?*]')
DEVICE_NAME = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])", re.IGNORECASE)
MAX_STEM_BYTES = 200  # of the 255 that file systems allow; a suffix and a number follow
MAX_SUFFIX_BYTES = 20


def make_safe_name(path: str) -> str:
    """Return the name of a file without its folders, with characters that all systems allow."""
    name = UNSAFE_CHARACTERS.sub("_", display_path(path.rsplit("/", 1)[-1])).strip(". ")
    parts = PurePosixPath(name or "picture")
    stem = _shorten(parts.stem, MAX_STEM_BYTES).rstrip(". ")
    if DEVICE_NAME.fullmatch(stem.split(".")[0]):
        stem = f"_{stem}"
    return stem + _shorten(parts.suffix, MAX_SUFFIX_BYTES)


def _shorten(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore")


class UniqueNames:
    """Give each file a name of its own, on systems that ignore case and Unicode form too."""

    def __init__(self, *reserved: str) -> None:
        """Keep the reserved names for other files."""
        self._taken = set(map(fold_text, reserved))

    def add(self, name: str) -> str:
        """Return the name, with a number before its suffix if it is taken."""
        parts = PurePosixPath(name)
        names = (f"{parts.stem}-{number}{parts.suffix}" for number in count(2))
        chosen = (
            name
            if fold_text(name) not in self._taken
            else next(each for each in names if fold_text(each) not in self._taken)
        )
        self._taken.add(fold_text(chosen))
        return chosen
