"""Check the folders and URLs that a user names, and bring them to one normal form."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from searchapp.errors import FolderError
from searchapp.files import storage


def resolve_roots(folders: Iterable[str | Path], *, allow_missing: bool = False) -> list[str]:
    """Return the normal forms of folders or URLs, each once: see normalize_folder.

    Raises FolderError if a folder does not exist (unless allow_missing), is a file or is
    unreadable.
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
        exists = storage.has_folder(root)
        if not exists and not allow_missing:
            raise FolderError(f"{folder}: {_explain_missing(folder)}")
        if exists and not storage.is_url(root):
            if not os.path.isdir(root):  # noqa: PTH112
                raise FolderError(f"{folder} is a file; name the folder that contains it")
            if not os.access(root, os.R_OK | os.X_OK):
                raise FolderError(f"{folder} cannot be read; check its permissions")
        roots.append(root)
    return list(dict.fromkeys(roots))


def _explain_missing(folder: str | Path) -> str:
    if storage.is_url(folder):
        return "no files can be listed at this URL; check the URL"
    if "://" in str(folder):
        schemes = ", ".join(f"{scheme}://" for scheme in storage.SCHEME_EXTRAS)
        return f"no such folder; URLs must begin with one of {schemes}"
    return "no such folder; check the path, or mount its drive"
