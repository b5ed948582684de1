"""Choose the sidecars of pictures, and write tags into them or take the tags back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from searchapp.errors import SearchAppError
from searchapp.files.atomic import write_atomically
from searchapp.files.local import read_bounded_file
from searchapp.files.path_forms import is_url
from searchapp.files.sidecars import XMP_SUFFIX, is_sidecar_of, list_sidecar_candidates
from searchapp.pictures.metadata.xmp import MAX_PACKET_BYTES
from searchapp.pictures.metadata.xmp_keywords import clear_own_keywords, set_own_keywords
from searchapp.pictures.metadata.xmp_layout import SidecarError
from searchapp.types.tags import SidecarAction, SidecarChange, SidecarNaming, TaggedPicture

Change = Callable[[bytes | None], bytes | None]


def write_tags(
    pictures: Iterable[TaggedPicture], naming: SidecarNaming, other_paths: Iterable[str]
) -> Iterator[SidecarChange]:
    """Write the tags of pictures into their XMP sidecars; yield what was done to each.

    other_paths: pictures without tags; own tags that an earlier call wrote for them are removed.
    Picture files are not changed. Pictures in object storage are left out. If two pictures share
    a sidecar, such as IMG_1.xmp of IMG_1.jpg and IMG_1.png, it gets the tags of both.
    """
    folders = _FolderNames()
    paths_by_sidecar: dict[str, dict[str, None]] = {}
    for picture in pictures:
        for path in (picture.hit.path, *picture.hit.also):
            if is_url(path):
                continue
            for sidecar in _choose_sidecars(path, naming, folders):
                known = paths_by_sidecar.setdefault(sidecar, {})
                known.update((tag.path, None) for tag in picture.tags)
    for sidecar, paths in paths_by_sidecar.items():
        tags = list(paths)
        yield _change_sidecar(sidecar, lambda data, tags=tags: set_own_keywords(data, tags))  # type: ignore[misc]
    yield from _clear_sidecars(other_paths, set(paths_by_sidecar), folders)


def undo_tags(paths: Iterable[str]) -> Iterator[SidecarChange]:
    """Take own tags out of the XMP sidecars of pictures; yield what was done to each.

    A sidecar that no other program has changed since gets the bytes from before; one that searchapp
    made is deleted.
    """
    return _clear_sidecars(paths, set(), _FolderNames())


def _clear_sidecars(
    paths: Iterable[str], done: set[str], folders: _FolderNames
) -> Iterator[SidecarChange]:
    """Take own tags out of the sidecars of pictures, except those that are done."""
    for path in paths:
        if is_url(path):
            continue
        for sidecar in _list_existing_sidecars(path, folders):
            if sidecar not in done:
                done.add(sidecar)
                yield _change_sidecar(sidecar, _clear)


def _clear(data: bytes | None) -> bytes | None:
    return None if data is None else clear_own_keywords(data)


class _FolderNames:
    """The names of the files in folders; each folder is listed once."""

    def __init__(self) -> None:
        self.list_names = lru_cache(maxsize=64)(_list_names)


def _list_names(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 (speed)
    except OSError:
        return frozenset()


def _list_existing_sidecars(picture: str, folders: _FolderNames) -> list[str]:
    """Return the XMP sidecars that a picture has."""
    names = folders.list_names(str(Path(picture).parent))
    return [
        path
        for path in list_sidecar_candidates(picture).paths
        if path.lower().endswith(XMP_SUFFIX)
        and Path(path).name in names
        and is_sidecar_of(path, picture)
    ]


def _choose_sidecars(picture: str, naming: SidecarNaming, folders: _FolderNames) -> list[str]:
    """Return the sidecars to write for a picture. Each existing one is used by some program."""
    existing = _list_existing_sidecars(picture, folders)
    if naming == "auto":
        if existing:
            return existing
        naming = _guess_naming(folders.list_names(str(Path(picture).parent)))
    base = picture if naming == "darktable" else os.path.splitext(picture)[0]  # noqa: PTH122
    named_so = [each for each in existing if each[: -len(XMP_SUFFIX)] == base]
    return named_so or [base + XMP_SUFFIX]


def _guess_naming(names: frozenset[str]) -> SidecarNaming:
    """Return how most sidecars in a folder are named; darktable's names are unambiguous."""
    stems = [Path(name).stem for name in names if name.lower().endswith(XMP_SUFFIX)]
    with_suffix = sum(stem in names for stem in stems)
    return "lightroom" if len(stems) > 2 * with_suffix else "darktable"


def _change_sidecar(sidecar: str, change: Change) -> SidecarChange:
    """Replace a sidecar with what change makes of its bytes, or delete it if that is None.

    A symbolic link stays; its target is replaced.
    """
    file = Path(os.path.realpath(sidecar))
    try:
        state = file.stat() if file.exists() else None
        before = None if state is None else read_bounded_file(file, MAX_PACKET_BYTES + 1)
        after = change(before)
        if after == before:
            return SidecarChange(sidecar, "unchanged")
        action: SidecarAction = "changed"
        if after is None:
            _require_same_state(file, state)
            file.unlink()
            action = "deleted"
        else:
            with write_atomically(file) as temporary:
                temporary.write_bytes(after)
                if state is None:
                    action = "created"
                else:
                    shutil.copymode(file, temporary)
                _require_same_state(file, state)
    except OSError as error:
        return SidecarChange(sidecar, "failed", error.strerror or str(error))
    except SearchAppError as error:
        return SidecarChange(sidecar, "failed", str(error))
    return SidecarChange(sidecar, action)


def _require_same_state(file: Path, state: os.stat_result | None) -> None:
    """Raise SidecarError if another program has changed a file since its state was read."""
    now = file.stat() if file.exists() else None
    if _get_identity(now) != _get_identity(state):
        raise SidecarError("another program has changed it meanwhile; run the command again")


def _get_identity(state: os.stat_result | None) -> tuple[int, int, int] | None:
    return None if state is None else (state.st_ino, state.st_size, state.st_mtime_ns)
