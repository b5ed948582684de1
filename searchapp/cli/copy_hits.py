"""Take what was found elsewhere: copies or links in a folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from searchapp.errors import FolderError, PictureError
from searchapp.files import storage
from searchapp.files.atomic import complete
from searchapp.types import Hit


def copy(hits: Iterable[Hit], folder: Path) -> int:
    """Copy the files of hits into a folder, with their times; return how many are new there."""
    return _take(hits, folder, _copy)


def link(hits: Iterable[Hit], folder: Path) -> int:
    """Link to the files of hits from a folder; return how many links are new there."""
    return _take(hits, folder, _link)


def at_hand(hit: Hit) -> str:
    """Return where a viewer finds the file of a hit: a copy, where that is in object storage."""
    if not storage.is_url(hit.path) or hit.path.startswith("http"):
        return hit.path
    folder = Path(tempfile.mkdtemp(prefix="searchapp-"))
    copy([replace(hit, companions=())], folder)
    return str(next(folder.iterdir()))


def _take(hits: Iterable[Hit], folder: Path, take: Callable[[str, Path], object]) -> int:
    """Give each its own name; another picture that has it gets a number. None is taken twice.

    What belongs to a picture is taken along, by the picture's new name.
    """
    taken = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for hit in hits:
            path = Path(hit.path)
            target, number = folder / path.name, 2
            while os.path.lexists(target) and not _same(hit.path, target):
                target, number = folder / f"{path.stem}-{number}{path.suffix}", number + 1
            if not os.path.lexists(target):
                take(hit.path, target)
                taken += 1
            for companion in hit.companions:
                beside = folder / f"{target.stem}{Path(companion).suffix}"
                if not os.path.lexists(beside):
                    take(companion, beside)
    except PictureError as error:
        raise FolderError(f"{hit.path}: {error}") from error
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror or error}") from error
    return taken


def _copy(path: str, target: Path) -> None:
    if not storage.is_url(path):
        shutil.copy2(path, target)
        return
    with storage.opened(path) as (file, state), complete(target) as temporary:
        with temporary.open("wb") as copied:
            shutil.copyfileobj(file, copied)
        os.utime(temporary, ns=(state.mtime_ns, state.mtime_ns))


def _link(path: str, target: Path) -> None:
    if storage.is_url(path):
        raise FolderError(f"{path} cannot be linked to; --copy-to copies it")
    target.symlink_to(path)


def _same(path: str, target: Path) -> bool:
    """Tell whether a file, or link, is what would be put there."""
    if not target.exists():
        return False
    if storage.is_url(path):
        state, told = storage.state(path), target.stat()
        apart = abs(told.st_mtime_ns - state.mtime_ns)  # some file systems tell 2 seconds apart
        return told.st_size == state.size and apart <= 2 * storage.SECOND
    if target.samefile(path):
        return True
    ours, theirs = Path(path).stat(), target.stat()
    if ours.st_size != theirs.st_size:
        return False
    return Path(path).read_bytes() == target.read_bytes()
