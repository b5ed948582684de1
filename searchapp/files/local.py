"""Files that a file system of this machine has: a disk, or a network drive that is mounted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader

from searchapp.errors import PictureError
from searchapp.files.file_state import MAX_PICTURE_BYTES, FileState, check_size, make_changed_error


def open_nonblocking(path: str, flags: int) -> int:
    """Open a file, for open(); a pipe that nobody writes to is empty, and not waited for."""
    number = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(number, True)
    return number


def read_file(path: str) -> tuple[bytes, FileState]:
    """Return a file's bytes and its state; raise PictureError where that cannot be had whole."""
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            before = os.fstat(file.fileno())
            check_size(before.st_size or 1)
            data = file.read(
                before.st_size or MAX_PICTURE_BYTES + 1
            )  # a device has no size, and no end
            after = _read_state(file)
    except OSError as error:
        raise PictureError(error.strerror or str(error), stage="read") from error
    except MemoryError as error:
        raise PictureError("too large for this machine's memory", stage="read") from error
    if len(data) > MAX_PICTURE_BYTES:
        raise PictureError(
            f"more than {MAX_PICTURE_BYTES >> 20} MiB, which is the limit", stage="read"
        )
    if FileState(before.st_size, before.st_mtime_ns) != after:
        raise make_changed_error()
    check_size(len(data))
    return data, after


@contextmanager
def open_file(path: str) -> Iterator[tuple[BufferedReader, FileState]]:
    """Open a file of any size; PictureError where it cannot be read, or has changed in the end.

    What the block raises otherwise is its own affair, also where that is an OSError of Pillow's.
    """
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PictureError("not a regular file", stage="read")
            before = _read_state(file)
            if not before.size:
                raise PictureError("the file is empty", stage="read")
            yield file, before
            after = _read_state(file)
    except OSError as error:
        if error.errno is None:
            raise
        raise PictureError(error.strerror or str(error), stage="read") from error
    if before != after:
        raise make_changed_error()


def read_head(path: str, count: int) -> bytes:
    """Return a file's first bytes; OSError."""
    with open(path, "rb", opener=open_nonblocking) as file:
        return file.read(count)


def _read_state(file: BufferedReader) -> FileState:
    status = os.fstat(file.fileno())
    return FileState(status.st_size, status.st_mtime_ns)
