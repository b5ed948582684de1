"""Bring paths and URLs to their normal form, and tell them apart."""

from __future__ import annotations

import os
from pathlib import Path

from searchapp.errors import FolderError
from searchapp.files.enter_path import MakeError, enter_path
from searchapp.files.text_form import normalize_text

# URL scheme -> (the extra that installs its fsspec file system, the module of that file system)
SCHEME_EXTRAS = {
    "s3": ("s3", "s3fs"),
    "gs": ("gs", "gcsfs"),
    "http": ("https", "aiohttp"),
    "https": ("https", "aiohttp"),
}


def is_url(path: str | Path) -> bool:
    """Return whether a path is a URL of object storage."""
    scheme, colon, _ = str(path).partition("://")
    return bool(colon) and scheme in SCHEME_EXTRAS


def normalize_folder(folder: str | Path, make_error: MakeError = FolderError) -> str:
    """Return the normal form of a folder: an absolute path, or a URL without a final slash.

    The same folder always has the same form, except through symbolic links, which are kept.
    make_error: the class of the error that is raised if the path is not valid.
    """
    if is_url(folder):
        return str(folder).rstrip("/")
    path = os.path.abspath(enter_path(folder, make_error))  # noqa: PTH100 (keeps symlinks)
    # POSIX lets a system treat exactly two slashes at the start differently; none of ours does.
    return path[1:] if os.sep == "/" and path.startswith("//") else path


def has_password(url: str) -> bool:
    """Return whether a URL contains a user or password, as https://USER:PASSWORD@HOST/ does."""
    return is_url(url) and "@" in url.partition("://")[2].partition("/")[0]


def is_below(path: str, folder: str) -> bool:
    """Return whether a file is below a folder, which normalize_folder() must have returned.

    Ignores the Unicode normal form: users type another one than some disks store.
    """
    return normalize_text(path).startswith(normalize_text(folder.rstrip("/") + "/"))


def is_exactly_below(path: str, folder: str) -> bool:
    """Return whether a path is below a folder; both have the bytes of the file system."""
    return path.startswith(folder.rstrip("/") + "/")


def path_to_uri(path: str) -> str:
    """Return a path or URL as a URI for a link in an HTML page."""
    if is_url(path):
        from urllib.parse import quote

        return path if path.startswith("http") else quote(path, safe="/:~!$&'()*+,;=@")
    return Path(path).as_uri()
