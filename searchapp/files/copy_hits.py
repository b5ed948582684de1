"""Copy the files of hits into a folder, or create links to the files in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from searchapp.errors import FolderError, PictureError
from searchapp.files import storage
from searchapp.files.atomic import write_atomically
from searchapp.files.companions import make_companion_name
from searchapp.types import Hit

# Some file systems, such as FAT, store times in steps of 2 seconds.
TIME_TOLERANCE_NS = 2 * storage.NANOSECONDS_PER_SECOND


def copy_hits(hits: Iterable[Hit], folder: Path) -> int:
    """Copy the file of each hit into a folder, with its times; return the number of new copies.

    Companions (RAW, sidecars ...) are copied too, under the name of their picture.
    Raises FolderError if a file cannot be copied.
    """
    return _add_hits(hits, folder, _copy_file)


def link_hits(hits: Iterable[Hit], folder: Path) -> int:
    """Create links to the files of hits in a folder; return the number of new links.

    Names and companions are as for copy_hits().
    Raises FolderError if a link cannot be made, for example to a file in object storage.
    """
    return _add_hits(hits, folder, _link_file)


def local_file(hit: Hit) -> str:
    """Return a path or URL that a picture viewer can open; files in buckets are copied first."""
    if not storage.is_url(hit.path) or hit.path.startswith("http"):
        return hit.path
    folder = Path(tempfile.mkdtemp(prefix="searchapp-"))
    copy_hits([replace(hit, companions=())], folder)
    return str(next(folder.iterdir()))


def _add_hits(hits: Iterable[Hit], folder: Path, add: Callable[[str, Path], object]) -> int:
    """Add each hit and its companions to a folder, with a function that copies or links a file.

    A file keeps its name; if another picture in the folder has it, a number is appended.
    """
    added = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for hit in hits:
            path = Path(hit.path)
            target, number = folder / path.name, 2
            while os.path.lexists(target) and not _is_same(hit.path, target):
                target, number = folder / f"{path.stem}-{number}{path.suffix}", number + 1
            if not os.path.lexists(target):
                add(hit.path, target)
                added += 1
            for companion in hit.companions:
                companion_target = folder / make_companion_name(companion, target.stem)
                if not os.path.lexists(companion_target):
                    add(companion, companion_target)
    except PictureError as error:
        raise FolderError(f"{hit.path}: {error}") from error
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror or error}") from error
    return added


def _copy_file(path: str, target: Path) -> None:
    if not storage.is_url(path):
        shutil.copy2(path, target)
        return
    with storage.open_file(path) as (file, state), write_atomically(target) as temporary:
        with temporary.open("wb") as copied:
            shutil.copyfileobj(file, copied)
        os.utime(temporary, ns=(state.mtime_ns, state.mtime_ns))


def _link_file(path: str, target: Path) -> None:
    if storage.is_url(path):
        raise FolderError(
            f"cannot create a link to {path}: it is in object storage. Use --copy-to to copy it."
        )
    target.symlink_to(path)


def _is_same(path: str, target: Path) -> bool:
    """Return whether target exists with the content of path (in buckets: same size and time)."""
    if not target.exists():
        return False
    if storage.is_url(path):
        remote, local = storage.read_state(path), target.stat()
        difference_ns = abs(local.st_mtime_ns - remote.mtime_ns)
        return local.st_size == remote.size and difference_ns <= TIME_TOLERANCE_NS
    if target.samefile(path):
        return True
    if Path(path).stat().st_size != target.stat().st_size:
        return False
    return Path(path).read_bytes() == target.read_bytes()
