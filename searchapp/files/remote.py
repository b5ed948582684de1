"""Files that a file system of fsspec's reaches: what is the same for all kinds of stores."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import SEEK_SET, BufferedReader, RawIOBase
from typing import Any, ParamSpec, TypeVar

from searchapp.files.file_state import FileState, make_state

READ_BLOCK_BYTES = 1 << 20  # bytes that are read at once of a file that is read in parts
MODIFIED_KEYS = ("LastModified", "updated", "Last-Modified", "mtime")  # as stores say
TAG_KEYS = ("ETag", "etag")
ERROR_REMEDIES = {  # by the name of what is raised -> what to do
    "NoCredentialsError": " (give them as to the aws command; FSSPEC_S3_ANON=1 reads public ones)",
}

CallParameters = ParamSpec("CallParameters")
Result = TypeVar("Result")


class FsspecStore:
    """A store, through fsspec's file system for its kind of URLs; each kind is listed otherwise."""

    def __init__(self, fs: Any) -> None:
        """Use a file system of fsspec's."""
        self._fs = fs

    def read_state(self, url: str) -> FileState:
        """Return a file's state; raise OSError."""
        return entry_to_state(call_store(self._fs.info, url))

    def read_bytes(self, url: str, max_bytes: int) -> bytes:
        """Return a file's bytes, or its first ones, which are at least so many; raise OSError."""
        return bytes(call_store(self._fs.cat_file, url, start=0, end=max_bytes))

    def open_file(self, url: str) -> BufferedReader:
        """Open a file of any size, to be read in parts; raise OSError."""
        return BufferedReader(
            _RemoteRawFile(call_store(self._fs.open, url, "rb", block_size=READ_BLOCK_BYTES)),
            READ_BLOCK_BYTES,
        )


class _RemoteRawFile(RawIOBase):
    """A file of fsspec's that is read in parts, and raises OSError where that fails."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = call_store(self._file.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        return int(call_store(self._file.seek, offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def entry_to_state(entry: dict[str, Any]) -> FileState:
    """Return the state that a store tells of a file; raise OSError where it tells no size."""
    size = entry.get("size")
    if size is None:
        raise OSError(errno.EIO, "the server does not tell its size")
    times = (entry[name] for name in MODIFIED_KEYS if entry.get(name))
    modified = next(times, None)
    if isinstance(modified, str):
        modified = _parse_time(modified)
    elif isinstance(modified, float | int):
        modified = datetime.fromtimestamp(modified)
    tag = next((entry[name] for name in TAG_KEYS if entry.get(name)), None)
    if modified is not None and "url" in entry:
        tag = None  # of HTTP servers behind one name each may have tags of its own
    return make_state(int(size), modified, tag)


def _parse_time(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def call_store(
    call: Callable[CallParameters, Result],
    *args: CallParameters.args,
    **kwargs: CallParameters.kwargs,
) -> Result:
    """Make a call of a store's library; whatever that raises becomes an OSError with a reason."""
    try:
        return call(*args, **kwargs)
    except FileNotFoundError:
        raise
    except Exception as error:  # of botocore, aiohttp, google ...: each has a tree of its own
        raise OSError(errno.EIO, describe_error(error)) from error


def describe_error(error: BaseException) -> str:
    """Return what went wrong, in a line."""
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    if status is not None:  # aiohttp's, which else prints all of the request
        return f"the server answers {status} {message or ''}".strip()
    text = (getattr(error, "strerror", None) or str(error)).strip()
    name = type(error).__name__
    return (text.splitlines()[0] if text else name) + ERROR_REMEDIES.get(name, "")
