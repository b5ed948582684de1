"""Files that a file system of this machine has: a disk, or a network drive that is mounted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader

from searchapp.errors import PictureError
from searchapp.files.file_state import MAX_BYTES, State, changed, checked_size


def opener(path: str, flags: int) -> int:
    """Open a file, for open(); a pipe that nobody writes to is empty, and not waited for."""
    number = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(number, True)
    return number


def read(path: str) -> tuple[bytes, State]:
    """Return a file's bytes and its state; raise PictureError where that cannot be had whole."""
    try:
        with open(path, "rb", opener=opener) as file:
            before = os.fstat(file.fileno())
            checked_size(before.st_size or 1)
            data = file.read(before.st_size or MAX_BYTES + 1)  # a device has no size, and no end
            after = _state(file)
    except OSError as error:
        raise PictureError(error.strerror or str(error), stage="read") from error
    except MemoryError as error:
        raise PictureError("too large for this machine's memory", stage="read") from error
    if len(data) > MAX_BYTES:
        raise PictureError(f"more than {MAX_BYTES >> 20} MiB, which is the limit", stage="read")
    if State(before.st_size, before.st_mtime_ns) != after:
        raise changed()
    checked_size(len(data))
    return data, after


@contextmanager
def opened(path: str) -> Iterator[tuple[BufferedReader, State]]:
    """Open a file of any size; PictureError where it cannot be read, or has changed in the end.

    What the block raises otherwise is its own affair, also where that is an OSError of Pillow's.
    """
    try:
        with open(path, "rb", opener=opener) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PictureError("not a regular file", stage="read")
            before = _state(file)
            if not before.size:
                raise PictureError("the file is empty", stage="read")
            yield file, before
            after = _state(file)
    except OSError as error:
        if error.errno is None:
            raise
        raise PictureError(error.strerror or str(error), stage="read") from error
    if before != after:
        raise changed()


def head(path: str, count: int) -> bytes:
    """Return a file's first bytes; OSError."""
    with open(path, "rb", opener=opener) as file:
        return file.read(count)


def _state(file: BufferedReader) -> State:
    told = os.fstat(file.fileno())
    return State(told.st_size, told.st_mtime_ns)
