"""Where files lie, on a disk or in object storage: what is there, and what is in it.

A path is that of a file system, or a URL: s3://BUCKET/KEY, gs://BUCKET/KEY, https://HOST/PATH. The
keys stand in it as they are: nothing is encoded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from searchapp.errors import FolderError, PictureError
from searchapp.files import local
from searchapp.files.extras import install_hint
from searchapp.files.file_state import (
    MAX_PICTURE_BYTES,
    NANOSECONDS_PER_SECOND,
    FileState,
    ListedFile,
    ListingFailure,
    check_size,
    make_changed_error,
)

if TYPE_CHECKING:
    from searchapp.files.file_state import ObjectStore, UrlFilter

__all__ = [
    "FETCH_STAGE",
    "MAX_PICTURE_BYTES",
    "NANOSECONDS_PER_SECOND",
    "SCHEME_EXTRAS",
    "FileState",
    "ListedFile",
    "ListingFailure",
    "can_exist",
    "clear_store_cache",
    "find_missing",
    "has_folder",
    "has_password",
    "is_below",
    "is_url",
    "list_files",
    "normalize_folder",
    "open_file",
    "path_to_uri",
    "read_file",
    "read_heads",
    "read_small_file",
    "read_state",
]  # fmt: skip

# By scheme: the extra that brings fsspec's file system, and its module.
SCHEME_EXTRAS = {
    "s3": ("s3", "s3fs"),
    "gs": ("gs", "gcsfs"),
    "http": ("https", "aiohttp"),
    "https": ("https", "aiohttp"),
}
FETCH_STAGE = "fetch"  # the stage of failures that are the network's, or the store's: tried again
REQUEST_THREADS, PAGE_FILES = 16, 1000  # files

Answer = TypeVar("Answer")


def is_url(path: str | Path) -> bool:
    """Tell whether a path is of object storage."""
    scheme, colon, _ = str(path).partition("://")
    return bool(colon) and scheme in SCHEME_EXTRAS


def normalize_folder(folder: str | Path) -> str:
    """Return a folder as the paths of what is in it begin: absolute, with no slash at its end."""
    if is_url(folder):
        return str(folder).rstrip("/")
    return os.path.abspath(Path(folder).expanduser())  # noqa: PTH100 (keeps symlinks)


def has_password(url: str) -> bool:
    """Tell whether a URL says who asks, as https://USER:PASSWORD@HOST/ does."""
    return is_url(url) and "@" in url.partition("://")[2].partition("/")[0]


def is_below(path: str, folder: str) -> bool:
    """Tell whether a file is below a folder, as whole() returns it."""
    return path.startswith(folder.rstrip("/") + "/")


def path_to_uri(path: str) -> str:
    """Return a path as a page links to it."""
    if is_url(path):
        from urllib.parse import quote

        return path if path.startswith("http") else quote(path, safe="/:~!$&'()*+,;=@")
    return Path(path).as_uri()


# Folders


def has_folder(folder: str) -> bool:
    """Tell whether there is a folder; raise FolderError where a store does not say."""
    if not is_url(folder):
        return Path(folder).exists()
    try:
        return _get_store(folder).has_files(folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FolderError(f"{folder}: cannot be listed: {error.strerror}") from error


def list_files(folder: str, url_filter: UrlFilter) -> Iterator[ListedFile | ListingFailure]:
    """Yield the files below a folder of object storage, as they are listed; FolderError."""
    return _get_store(folder).list_files(folder, url_filter)


# Files


def can_exist(path: str) -> bool:
    """Tell whether a file is there, as far as that can be told at once: not in object storage."""
    return is_url(path) or os.path.exists(path)  # noqa: PTH110


def find_missing(paths: Iterable[str]) -> Iterator[str]:
    """Yield those files that are not there; what a store does not say is not missing."""
    rest = iter(paths)
    while page := list(islice(rest, PAGE_FILES)):
        for path, is_missing in zip(page, _map_paths(_is_missing, page), strict=True):
            if is_missing:
                yield path


def _is_missing(path: str) -> bool:
    if not is_url(path):
        return not os.path.exists(path)  # noqa: PTH110
    try:
        _get_store(path).read_state(path)
    except FileNotFoundError:
        return True
    except (OSError, FolderError):
        pass
    return False


def read_heads(paths: Iterable[str], count: int) -> Iterator[tuple[str, bytes]]:
    """Yield files with their first bytes; with none where they cannot be read."""

    def head(path: str) -> bytes:
        return read_small_file(path, count) or b""

    rest = iter(paths)
    while page := list(islice(rest, PAGE_FILES)):
        yield from zip(page, _map_paths(head, page), strict=True)


def _map_paths(ask: Callable[[str], Answer], page: list[str]) -> Iterable[Answer]:
    """Return what is answered of each file; several are asked at once where that takes long."""
    if not any(map(is_url, page)):
        return map(ask, page)
    with ThreadPoolExecutor(REQUEST_THREADS, "asking") as threads:
        return list(threads.map(ask, page))


def read_small_file(path: str, max_bytes: int) -> bytes | None:
    """Return the bytes of a small file, at most so many; None where it cannot be read."""
    try:
        return (
            _get_store(path).read_bytes(path, max_bytes)[:max_bytes]
            if is_url(path)
            else local.read_head(path, max_bytes)
        )
    except OSError:
        return None


def read_file(path: str, known: FileState | None = None) -> tuple[bytes, FileState]:
    """Return a file's bytes and its state; raise PictureError where that cannot be had whole.

    known: the state that a listing has told. In object storage it is not asked for again: if the
    file has changed since, the next listing tells another.
    """
    if not is_url(path):
        return local.read_file(path)
    with _convert_fetch_errors():
        store = _get_store(path)
        current = known or store.read_state(path)
        check_size(current.size)
        data = store.read_bytes(path, MAX_PICTURE_BYTES)
    if len(data) != current.size:
        raise make_changed_error()
    return data, current


def read_state(path: str) -> FileState:
    """Return a file's state; raise PictureError where there is none that can be read in parts."""
    if not is_url(path):
        with local.open_file(path) as (_, told):
            return told
    with _convert_fetch_errors():
        return _get_store(path).read_state(path)


@contextmanager
def open_file(path: str) -> Iterator[tuple[BufferedReader, FileState]]:
    """Open a file of any size, to be read in parts, and tell its state.

    Errors: PictureError where it cannot be, or has changed in the end.
    """
    if not is_url(path):
        with local.open_file(path) as both:
            yield both
        return
    with _convert_fetch_errors():
        store = _get_store(path)
        before = store.read_state(path)
        if not before.size:
            raise PictureError("the file is empty", stage="read")
        with store.open_file(path) as file:
            yield file, before
        after = store.read_state(path)
    if before != after:
        raise make_changed_error()


@contextmanager
def _convert_fetch_errors() -> Iterator[None]:
    """State what a store raises: what the next run may find better is of the stage FETCH."""
    try:
        yield
    except FileNotFoundError as error:
        raise PictureError("is not there any more", stage="read") from error
    except FolderError as error:  # the extra is not installed
        raise PictureError(str(error), FETCH_STAGE) from error
    except OSError as error:
        if error.errno is None:  # of Pillow's, in the block
            raise
        raise PictureError(f"cannot be fetched: {error.strerror}", FETCH_STAGE) from error


# Stores


def _get_store(url: str) -> ObjectStore:
    scheme = url.partition("://")[0]
    return _create_store("https" if scheme == "http" else scheme)


def clear_store_cache() -> None:
    """Let go of all stores, so that credentials and addresses are read again."""
    _create_store.cache_clear()


@cache
def _create_store(scheme: str) -> ObjectStore:
    """Return the store of a scheme; fsspec and its like are imported here. Errors: FolderError."""
    extra, module = SCHEME_EXTRAS[scheme]
    if find_spec("fsspec") is None or find_spec(module) is None:
        raise FolderError(f"{scheme}:// needs an extra: {install_hint(extra)}")
    import fsspec

    for name in ("fsspec", module):  # they print tracebacks of what is told here in a line
        logging.getLogger(name).addHandler(logging.NullHandler())
    from searchapp.files.gcs import GcsStore
    from searchapp.files.s3 import S3Store
    from searchapp.files.web_listing import HttpStore

    # Listings are asked for once; kept ones would grow with a bucket, and hide what is new.
    fs = fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False)
    kinds: dict[str, Callable[[Any], ObjectStore]] = {
        "s3": S3Store,
        "gs": GcsStore,
        "https": HttpStore,
    }
    return kinds[scheme](fs)
