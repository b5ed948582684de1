"""Read remote files through fsspec: the code that all kinds of object stores share."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import SEEK_SET, BufferedReader, RawIOBase
from typing import Any, ParamSpec, TypeVar

from searchapp.files.file_state import FileState, make_state

READ_BLOCK_BYTES = 1 << 20
MAX_REASON_CHARS = 300
# Each store has its own names for the modification time and the tag of a file.
MODIFIED_KEYS = ("LastModified", "updated", "Last-Modified", "mtime")
TAG_KEYS = ("ETag", "etag")
ERROR_REMEDIES = {  # the name of an exception -> what to do
    "NoCredentialsError": ". Set them as for the aws command, or FSSPEC_S3_ANON=1 for public data",
}

CallParameters = ParamSpec("CallParameters")
Result = TypeVar("Result")


class FsspecStore:
    """Read files through a file system of fsspec. A subclass lists them."""

    def __init__(self, fs: Any) -> None:
        """Read files through the fsspec file system fs."""
        self._fs = fs

    def read_state(self, url: str) -> FileState:
        """Return the state of a file; raise OSError if it cannot be read, or is a folder."""
        entry = call_store(self._fs.info, url)
        if entry.get("type") == "directory":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url)
        return entry_to_state(entry)

    def read_bytes(self, url: str, min_bytes: int) -> bytes:
        """Return the beginning of a file; raise OSError if it cannot be read.

        The result has min_bytes bytes. It is longer if the server ignores ranges, and shorter if
        the file is shorter.
        """
        return bytes(call_store(self._fs.cat_file, url, start=0, end=min_bytes))

    def open_file(self, url: str) -> BufferedReader:
        """Open a file of any size to read it in parts; raise OSError if it cannot be opened."""
        return BufferedReader(
            _RemoteRawFile(call_store(self._fs.open, url, "rb", block_size=READ_BLOCK_BYTES)),
            READ_BLOCK_BYTES,
        )


class _RemoteRawFile(RawIOBase):
    """Adapt a file of fsspec to io.RawIOBase; every error becomes an OSError."""

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
    """Convert fsspec's entry of a file to a FileState; raise OSError if the entry has no size."""
    size = entry.get("size")
    if size is None:
        raise OSError(errno.EIO, "the server does not report the size of the file")
    times = (entry[name] for name in MODIFIED_KEYS if entry.get(name))
    modified = next(times, None)
    if isinstance(modified, str):
        modified = _parse_time(modified)
    elif isinstance(modified, float | int):
        modified = datetime.fromtimestamp(modified)
    tag = next((entry[name] for name in TAG_KEYS if entry.get(name)), None)
    if modified is not None and "url" in entry:
        tag = None  # HTTP servers behind the same name may have different tags for a file.
    return make_state(int(size), modified, tag)


def _parse_time(text: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(text)
        except ValueError:
            continue
    return None


def call_store(
    call: Callable[CallParameters, Result],
    *args: CallParameters.args,
    **kwargs: CallParameters.kwargs,
) -> Result:
    """Call a function of a store's client library; convert its exceptions to OSErrors."""
    try:
        return call(*args, **kwargs)
    except FileNotFoundError:
        raise
    except Exception as error:  # botocore, aiohttp and gcsfs have unrelated ones.
        raise OSError(errno.EIO, describe_error(error)) from error


def describe_error(error: BaseException) -> str:
    """Describe an exception of a store's client library in one line."""
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    if status is not None:  # The text of an aiohttp error contains the complete request.
        return f"the server answers {status} {message or ''}".strip()
    text = (getattr(error, "strerror", None) or str(error)).strip()
    name = type(error).__name__
    return (" ".join(text.split())[:MAX_REASON_CHARS] or name) + ERROR_REMEDIES.get(name, "")
