"""Copy the files of hits into a folder, or create links to the files in it."""

from __future__ import annotations

import filecmp
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from searchapp.errors import FolderError, PictureError
from searchapp.files import storage
from searchapp.files.atomic import WRITE_REMEDY, write_atomically
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

    A file keeps its name. If another file in the folder has the name of the picture or of one of
    its companions, the same number is appended to all of them, so that they stay together.
    """
    added = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for hit in hits:
            sources = (hit.path, *hit.companions)
            for stem in number_stems(Path(hit.path).stem):
                targets = [folder / f"{stem}{Path(hit.path).suffix}"]
                targets += [folder / make_companion_name(each, stem) for each in hit.companions]
                # Two companions can differ only in the case of their names. The first one decides.
                source_by_target = dict(zip(reversed(targets), reversed(sources), strict=True))
                if all(_is_free_or_same(*item) for item in source_by_target.items()):
                    break
            for source, target in zip(sources, targets, strict=True):
                names = (target.with_stem(stem) for stem in number_stems(target.stem))
                chosen = next(name for name in names if _is_free_or_same(name, source))
                if not os.path.lexists(chosen):
                    add(source, chosen)
                    added += source == hit.path
    except PictureError as error:
        raise FolderError(f"{hit.path}: {error}") from error
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be written: {error.strerror or error}. {WRITE_REMEDY}"
        ) from error
    return added


def _copy_file(path: str, target: Path) -> None:
    if not storage.is_url(path):
        with write_atomically(target) as temporary:
            shutil.copyfile(path, temporary)
        shutil.copystat(path, target)  # It can forbid writing, so it comes last.
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


def number_stems(stem: str) -> Iterator[str]:
    """Yield a file name without suffix, and then with the numbers 2, 3 and so on."""
    yield stem
    yield from (f"{stem}-{number}" for number in count(2))


def _is_free_or_same(target: Path, path: str) -> bool:
    """Return whether target does not exist, or has the content of path.

    For a path in object storage, the same size and time count as the same content.
    """
    if not os.path.lexists(target):
        return True
    if not target.is_file():
        return False
    if storage.is_url(path):
        remote, local = storage.read_state(path), target.stat()
        difference_ns = abs(local.st_mtime_ns - remote.mtime_ns)
        return local.st_size == remote.size and difference_ns <= TIME_TOLERANCE_NS
    return target.samefile(path) or filecmp.cmp(path, target, shallow=False)
