"""Choose the sidecars of pictures, and write tags into them or take the tags back."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from searchapp.errors import PictureError, SearchAppError
from searchapp.files.atomic import write_atomically
from searchapp.files.local import read_bounded_file
from searchapp.files.path_forms import is_url
from searchapp.files.scan import is_video
from searchapp.files.sidecars import XMP_SUFFIX, is_sidecar_of, list_sidecar_candidates
from searchapp.pictures.metadata.xmp import MAX_PACKET_BYTES
from searchapp.pictures.metadata.xmp_keywords import clear_own_keywords, set_own_keywords
from searchapp.pictures.metadata.xmp_layout import SidecarError
from searchapp.types.tags import SidecarAction, SidecarChange, SidecarNaming, TaggedPicture

logger = logging.getLogger(__name__)
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
    tagged: dict[str, _TaggedSidecar] = {}
    for picture in pictures:
        for path in (picture.hit.path, *picture.hit.also):
            if is_url(path):
                continue
            if not os.path.lexists(path):
                yield SidecarChange(path, "failed", "the picture is gone; run `searchapp index`")
                continue
            for sidecar in _choose_sidecars(path, naming, folders):
                target = os.path.realpath(sidecar)
                known = tagged.setdefault(target, _TaggedSidecar(sidecar, [], {}))
                known.pictures.append(path)
                known.tags.update((tag.path, None) for tag in picture.tags)
    for each in tagged.values():
        yield _change_sidecar(each.path, each.edit)
    yield from _clear_sidecars(other_paths, set(tagged), folders)


@dataclass(frozen=True, slots=True)
class _TaggedSidecar:
    """A sidecar to write, its pictures, and their tags. path: one of its names, if it has links."""

    path: str
    pictures: list[str]
    tags: dict[str, None]

    def edit(self, data: bytes | None) -> bytes | None:
        """Return the bytes of the sidecar with the tags."""
        return set_own_keywords(data, list(self.tags), self._read_embedded_keywords)

    def _read_embedded_keywords(self) -> list[str]:
        return [word for path in self.pictures for word in _read_embedded_keywords(path)]


def _read_embedded_keywords(picture: str) -> tuple[str, ...]:
    """Return the keywords in a picture file or video; none if it cannot be read."""
    from searchapp.pictures import decode, video

    try:
        state = os.stat(picture)  # noqa: PTH116 (speed)
        read_info = video.read_video_info if is_video(picture) else decode.read_picture_info
        info = read_info(picture, state.st_size, state.st_mtime_ns)
    except (OSError, PictureError) as error:
        logger.debug("Cannot read the metadata of the file %s: %s", picture, error)
        return ()
    return info.keywords if info else ()


def undo_tags(paths: Iterable[str]) -> Iterator[SidecarChange]:
    """Take own tags out of the XMP sidecars of pictures; yield what was done to each.

    A sidecar that no other program has changed since gets the bytes from before; one that searchapp
    made is deleted.
    """
    return _clear_sidecars(paths, set(), _FolderNames())


def _clear_sidecars(
    paths: Iterable[str], done: set[str], folders: _FolderNames
) -> Iterator[SidecarChange]:
    """Take own tags out of the sidecars of pictures, except those that are done.

    done: paths without symbolic links.
    """
    for path in paths:
        if is_url(path):
            continue
        for sidecar in _list_existing_sidecars(path, folders):
            target = os.path.realpath(sidecar)
            if target not in done:
                done.add(target)
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
    """Return the sidecars to write for a picture.

    Each existing one is used by some program. No other one is made, because it would take
    precedence, without the metadata in the existing one.
    """
    existing = _list_existing_sidecars(picture, folders)
    if existing:
        return existing
    if naming == "auto":
        naming = _guess_naming(folders.list_names(str(Path(picture).parent)))
    base = picture if naming == "darktable" else os.path.splitext(picture)[0]  # noqa: PTH122
    return [base + XMP_SUFFIX]


def _guess_naming(names: frozenset[str]) -> SidecarNaming:
    """Return how most sidecars in a folder are named; darktable's names are unambiguous."""
    stems = [Path(name).stem for name in names if name.lower().endswith(XMP_SUFFIX)]
    with_suffix = sum(stem in names for stem in stems)
    return "lightroom" if len(stems) > 2 * with_suffix else "darktable"


def _change_sidecar(sidecar: str, change: Change) -> SidecarChange:
    """Replace a sidecar with what change makes of its bytes, or delete it if that is None.

    A symbolic link stays; its target is replaced. A hard link under another name, such as that of
    a backup, keeps the bytes from before.
    """
    file = Path(os.path.realpath(sidecar))
    try:
        state = file.stat() if file.exists() else None
        before = None if state is None else read_bounded_file(file, MAX_PACKET_BYTES + 1)
        after = change(before)
        if after == before:
            return SidecarChange(sidecar, "unchanged")
        if state is not None and not _is_writable(file):
            raise SidecarError("it is read-only; allow writing to it, and run the command again")
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
                    _copy_owner_and_mode(file, temporary)
                _require_same_state(file, state)
    except OSError as error:
        return SidecarChange(sidecar, "failed", error.strerror or str(error))
    except SearchAppError as error:
        return SidecarChange(sidecar, "failed", str(error))
    return SidecarChange(sidecar, action)


def _is_writable(file: Path) -> bool:
    """Return whether the user may write a file; to replace it, the system does not ask for that."""
    return os.access(file, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _copy_owner_and_mode(file: Path, copy: Path) -> None:
    """Give a copy the owner, the permissions and the extended attributes of a file."""
    if hasattr(os, "chown"):
        state = file.stat()
        with suppress(PermissionError):  # Only root may give files away.
            os.chown(copy, state.st_uid, state.st_gid)
    shutil.copystat(file, copy)
    os.utime(copy)  # Programs notice a change by its time.


def _require_same_state(file: Path, state: os.stat_result | None) -> None:
    """Raise SidecarError if another program has changed a file since its state was read."""
    now = file.stat() if file.exists() else None
    if _get_identity(now) != _get_identity(state):
        raise SidecarError("another program has changed it meanwhile; run the command again")


def _get_identity(state: os.stat_result | None) -> tuple[int, int, int] | None:
    return None if state is None else (state.st_ino, state.st_size, state.st_mtime_ns)
