"""Check the folders, files and URLs that a user names, and bring them to one normal form."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from searchapp.errors import FolderError, PictureError
from searchapp.files import storage
from searchapp.files.path_forms import is_exactly_below
from searchapp.files.scan import KNOWN_SUFFIXES, get_suffix


def resolve_roots(
    folders: Iterable[str | Path], *, allow_missing: bool = False, allow_files: bool = False
) -> list[str]:
    """Return the normal forms of folders, files or URLs, each once: see normalize_folder.

    Raises FolderError if a folder does not exist (unless allow_missing), is a file (unless
    allow_files) or is unreadable.
    """
    roots = []
    for folder in folders:
        root = storage.normalize_folder(folder)
        if storage.has_password(root):
            raise FolderError(
                "the URL contains a user name or password, and the catalog would store the URL "
                "with each picture. Remove it from the URL, and set "
                'FSSPEC_HTTPS=\'{"headers": {"Authorization": ...}}\' instead.'
            )
        exists = storage.has_folder(root) or (allow_files and is_single_file(root))
        if not exists and not allow_missing:
            raise FolderError(f"{folder}: {_explain_missing(folder)}")
        if exists and not storage.is_url(root):
            _check_root(folder, root, allow_files=allow_files)
        roots.append(root)
    return list(dict.fromkeys(roots))


def is_single_file(root: str) -> bool:
    """Return whether a path or URL is that of a file."""
    if not storage.is_url(root):
        return os.path.isfile(root)  # noqa: PTH113
    if get_suffix(root) not in KNOWN_SUFFIXES:
        return False
    try:
        storage.read_state(root)
    except PictureError:
        return False
    return True


def name_roots_once(roots: Iterable[str], known_roots: Iterable[str]) -> dict[str, str]:
    """Return the name under which the library knows the folder of each root, by root.

    A link or a bind mount gives a folder a second name, which would index each file twice.
    """
    name_by_identity = {
        identity: known
        for known in reversed(list(known_roots))
        if (identity := _read_identity(known)) is not None
    }
    roots = list(roots)
    names = dict[str, str]()  # by root; real paths come first, to become the names of links
    for root in sorted(roots, key=lambda root: _resolve_links(root) != root):
        names[root] = name = _find_known_name(root, name_by_identity)
        if (identity := _read_identity(name)) is not None:
            name_by_identity.setdefault(identity, name)
    return {root: names[root] for root in roots}


def _find_known_name(root: str, name_by_identity: dict[tuple[int, int], str]) -> str:
    known_names = name_by_identity.values()
    if storage.is_url(root) or any(root == k or is_exactly_below(root, k) for k in known_names):
        return root
    real = Path(_resolve_links(root))
    for folder in (real, *real.parents):
        identity = _read_identity(str(folder))
        if identity is not None and identity in name_by_identity:
            return str(Path(name_by_identity[identity], real.relative_to(folder)))
    return root


def _resolve_links(root: str) -> str:
    """Return a path without links to folders; the last part can be a link to a file."""
    if storage.is_url(root):
        return root
    if os.path.isdir(root):  # noqa: PTH112
        return os.path.realpath(root)
    folder, name = os.path.split(root)
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118


def _read_identity(folder: str) -> tuple[int, int] | None:
    """Return device and inode of a folder; None if there is no folder, or no inode."""
    if storage.is_url(folder):
        return None
    try:
        status = os.stat(folder)  # noqa: PTH116 (speed)
    except (OSError, ValueError):
        return None
    is_known = stat.S_ISDIR(status.st_mode) and status.st_ino
    return (status.st_dev, status.st_ino) if is_known else None


def _check_root(folder: str | Path, root: str, *, allow_files: bool) -> None:
    """Raise FolderError if a root that exists is of the wrong kind, or is unreadable."""
    if os.path.isdir(root):  # noqa: PTH112
        is_readable = os.access(root, os.R_OK | os.X_OK)
    elif not allow_files:
        raise FolderError(f"{folder} is a file; name the folder that contains it")
    elif not is_single_file(root):
        raise FolderError(f"{folder} is neither a file nor a folder; name a picture or a folder")
    else:
        is_readable = os.access(root, os.R_OK)
    if not is_readable:
        raise FolderError(f"{folder} cannot be read; check its permissions")


def _explain_missing(folder: str | Path) -> str:
    if storage.is_url(folder):
        return "no files can be listed at this URL; check the URL"
    if "://" in str(folder):
        schemes = ", ".join(f"{scheme}://" for scheme in storage.SCHEME_EXTRAS)
        return f"no such folder; URLs must begin with one of {schemes}"
    return "no such folder; check the path, or mount its drive"
