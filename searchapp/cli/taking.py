"""Take what was found elsewhere: copies or links in a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from searchapp.errors import FolderError
from searchapp.types import Hit


def copy(hits: Iterable[Hit], folder: Path) -> int:
    """Copy the files of hits into a folder, with their times; return how many are new there."""
    return _take(hits, folder, shutil.copy2)


def link(hits: Iterable[Hit], folder: Path) -> int:
    """Link to the files of hits from a folder; return how many links are new there."""
    return _take(hits, folder, lambda path, target: target.symlink_to(path))


def _take(hits: Iterable[Hit], folder: Path, take: Callable[[Path, Path], object]) -> int:
    """Give each its own name; another picture that has it gets a number. None is taken twice.

    What belongs to a picture is taken along, by the picture's new name.
    """
    taken = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for hit in hits:
            path = Path(hit.path)
            target, number = folder / path.name, 2
            while os.path.lexists(target) and not _same(path, target):
                target, number = folder / f"{path.stem}-{number}{path.suffix}", number + 1
            if not os.path.lexists(target):
                take(path, target)
                taken += 1
            for companion in map(Path, hit.companions):
                beside = folder / f"{target.stem}{companion.suffix}"
                if not os.path.lexists(beside):
                    take(companion, beside)
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror or error}") from error
    return taken


def _same(path: Path, target: Path) -> bool:
    """Tell whether a file, or link, is what would be put there."""
    if not target.exists():
        return False
    if target.samefile(path):
        return True
    ours, theirs = path.stat(), target.stat()
    if ours.st_size != theirs.st_size:
        return False
    return path.read_bytes() == target.read_bytes()
