"""List and read files by path or URL, on a disk or in object storage.

URLs: s3://BUCKET/KEY, gs://BUCKET/KEY, https://HOST/PATH. The keys of buckets are not URL-encoded.
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
from searchapp.files.text_form import normalize_text

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
    "read_head",
    "read_heads",
    "read_state",
]  # fmt: skip

# URL scheme -> (the extra that installs its fsspec file system, the module of that file system)
SCHEME_EXTRAS = {
    "s3": ("s3", "s3fs"),
    "gs": ("gs", "gcsfs"),
    "http": ("https", "aiohttp"),
    "https": ("https", "aiohttp"),
}
FETCH_STAGE = "fetch"  # the stage of failures of the network or store: the next run tries again
REQUEST_THREADS = 16
PAGE_FILES = 1000

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


def is_url(path: str | Path) -> bool:
    """Return whether a path is a URL of object storage."""
    scheme, colon, _ = str(path).partition("://")
    return bool(colon) and scheme in SCHEME_EXTRAS


def normalize_folder(folder: str | Path) -> str:
    """Return a folder as an absolute path or URL without a final slash."""
    if is_url(folder):
        return str(folder).rstrip("/")
    return os.path.abspath(Path(folder).expanduser())  # noqa: PTH100 (keeps symlinks)


def has_password(url: str) -> bool:
    """Return whether a URL contains a user or password, as https://USER:PASSWORD@HOST/ does."""
    return is_url(url) and "@" in url.partition("://")[2].partition("/")[0]


def is_below(path: str, folder: str) -> bool:
    """Return whether a file is below a folder, which normalize_folder() must have returned.

    Ignores the Unicode normal form: users type another one than some disks store.
    """
    return normalize_text(path).startswith(normalize_text(folder.rstrip("/") + "/"))


def path_to_uri(path: str) -> str:
    """Return a path or URL as a URI for a link in an HTML page."""
    if is_url(path):
        from urllib.parse import quote

        return path if path.startswith("http") else quote(path, safe="/:~!$&'()*+,;=@")
    return Path(path).as_uri()


# Folders


def has_folder(folder: str) -> bool:
    """Return whether a folder exists; raise FolderError if it cannot be listed."""
    if not is_url(folder):
        return Path(folder).exists()
    try:
        return _get_store(folder).has_files(folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FolderError(f"{folder} cannot be listed: {error.strerror}") from error


def list_files(folder: str, url_filter: UrlFilter) -> Iterator[ListedFile | ListingFailure]:
    """Yield the files below a folder in object storage, as the store lists them.

    Raises FolderError if the extra for this kind of URL is not installed.
    """
    return _get_store(folder).list_files(folder, url_filter)


# Files


def can_exist(path: str) -> bool:
    """Return whether a file exists; for object storage, return True without a request."""
    return is_url(path) or os.path.exists(path)  # noqa: PTH110


def find_missing(paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths of files that do not exist. If a store fails, its files count as existing."""
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
    """Yield (path, first count bytes) of each file; the bytes are b"" if it cannot be read."""

    def read_head_or_nothing(path: str) -> bytes:
        return read_head(path, count) or b""

    rest = iter(paths)
    while page := list(islice(rest, PAGE_FILES)):
        yield from zip(page, _map_paths(read_head_or_nothing, page), strict=True)


def _map_paths(function: Callable[[str], Result], page: list[str]) -> Iterable[Result]:
    """Apply a function to each path; use threads if the page contains URLs."""
    if not any(map(is_url, page)):
        return map(function, page)
    with ThreadPoolExecutor(REQUEST_THREADS, "asking") as threads:
        return list(threads.map(function, page))


def read_head(path: str, count: int) -> bytes | None:
    """Return the first count bytes of a file; None if it cannot be read."""
    try:
        return (
            _get_store(path).read_bytes(path, count)[:count]
            if is_url(path)
            else local.read_head(path, count)
        )
    except OSError:
        return None


def read_file(path: str, known: FileState | None = None) -> tuple[bytes, FileState]:
    """Return a file's bytes and state; raise PictureError if it cannot be read completely.

    known: the state from a listing, which saves a request to object storage. If the file has
    changed since the listing, the next listing shows the change.
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
    """Return a file's state; raise PictureError if it is not a regular, non-empty file."""
    if not is_url(path):
        with local.open_file(path) as (_, state):
            return state
    with _convert_fetch_errors():
        return _get_store(path).read_state(path)


@contextmanager
def open_file(path: str) -> Iterator[tuple[BufferedReader, FileState]]:
    """Open a file of any size to read it in parts; yield it and its state.

    Raises PictureError if the file cannot be read, or has changed by the end of the with block.
    """
    if not is_url(path):
        with local.open_file(path) as file_and_state:
            yield file_and_state
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
    """Convert errors of a store to PictureErrors; FETCH_STAGE marks errors worth a retry."""
    try:
        yield
    except FileNotFoundError as error:
        raise PictureError("the file no longer exists", stage="read") from error
    except FolderError as error:  # The extra is not installed.
        raise PictureError(str(error), FETCH_STAGE) from error
    except OSError as error:
        if error.errno is None:  # Pillow raised it in the block.
            raise
        raise PictureError(f"the file cannot be fetched: {error.strerror}", FETCH_STAGE) from error


# Stores


def _get_store(url: str) -> ObjectStore:
    scheme = url.partition("://")[0]
    return _create_store("https" if scheme == "http" else scheme)


def clear_store_cache() -> None:
    """Forget all object stores, so that their next use reads credentials and addresses again."""
    _create_store.cache_clear()


@cache
def _create_store(scheme: str) -> ObjectStore:
    """Create the object store for a URL scheme; import fsspec.

    Raises FolderError if the extra for the scheme is not installed.
    """
    extra, module = SCHEME_EXTRAS[scheme]
    if find_spec("fsspec") is None or find_spec(module) is None:
        raise FolderError(
            f"{scheme}:// URLs need an extra that is not installed. Install it: "
            f"{install_hint(extra)}"
        )
    import fsspec

    # Without a handler, these loggers print tracebacks of errors that are reported in one line.
    for name in ("fsspec", module):
        logging.getLogger(name).addHandler(logging.NullHandler())
    from searchapp.files.gcs import GcsStore
    from searchapp.files.s3 import S3Store
    from searchapp.files.web_listing import HttpStore

    logger.debug("Reading %s:// URLs through %s", scheme, module)
    # A cache of listings would grow with the bucket, and hide new files.
    fs = fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False)
    kinds: dict[str, Callable[[Any], ObjectStore]] = {
        "s3": S3Store,
        "gs": GcsStore,
        "https": HttpStore,
    }
    return kinds[scheme](fs)
