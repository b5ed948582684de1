"""Read files on a disk or a mounted network drive, and detect changes during a read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from searchapp.errors import PictureError
from searchapp.files.file_state import MAX_PICTURE_BYTES, FileState, check_size, make_changed_error

NOT_REGULAR_REASON = "the path is not a regular file"
MIN_READ_BYTES = 1 << 20


def open_nonblocking(path: str, flags: int) -> int:
    """Open a file without blocking: a pipe without a writer is empty. An opener for open()."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def read_file(path: str) -> tuple[bytes, FileState]:
    """Return a file's bytes and state; raise PictureError if it cannot be read completely."""
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            state = _read_state(file)
            check_size(state.size or 1)
            # A device has size 0 and may have no end.
            data = file.read(state.size or MAX_PICTURE_BYTES + 1)
            after = _read_state(file)
    except OSError as error:
        raise PictureError(error.strerror or str(error), stage="read") from error
    except MemoryError as error:
        raise PictureError(
            "the file is too large for this machine's memory", stage="read"
        ) from error
    if len(data) > MAX_PICTURE_BYTES:
        raise PictureError(
            f"the file has more than {MAX_PICTURE_BYTES >> 20} MiB, which is the limit; "
            "make a smaller copy",
            stage="read",
        )
    if state != after:
        raise make_changed_error()
    check_size(len(data))
    # The change time before the reading: an edit from then on is noticed by the next scan.
    return data, state


@contextmanager
def open_file(path: str) -> Iterator[tuple[BufferedReader, FileState]]:
    """Open a file of any size; yield it and its state.

    Raises PictureError if the file cannot be read, or has changed by the end of the with
    block. Other errors in the with block pass through. So do OSErrors of
    Pillow, which have no errno.
    """
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PictureError(NOT_REGULAR_REASON, stage="read")
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


def read_head(path: str | Path, count: int) -> bytes:
    """Return the first count bytes of a regular file; raise OSError if it cannot be read."""
    with open(path, "rb", opener=open_nonblocking) as file:
        status = os.fstat(file.fileno())
        _check_regular(status)
        # read() reserves memory for all bytes that it is asked for. Files in /proc have size 0.
        return file.read(min(count, max(status.st_size, MIN_READ_BYTES) + 1))


def read_bounded_file(path: str | Path, max_bytes: int) -> bytes:
    """Return the bytes of an auxiliary file: patterns, captions, a model's configuration.

    Raises OSError if the file cannot be read, is not regular or has more than max_bytes.
    """
    data = read_head(path, max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"the file has more than {max_bytes >> 20} MiB, the limit")
    return data


def require_regular_file(path: str | Path) -> None:
    """Raise OSError if a path is not that of a regular file, which other code can open safely."""
    _check_regular(os.stat(path))  # noqa: PTH116 (also for texts)


def _check_regular(status: os.stat_result) -> None:
    # A pipe or a terminal could wait without end, and a device could have no end.
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, NOT_REGULAR_REASON)


def _read_state(file: BufferedReader) -> FileState:
    return FileState.from_stat(os.fstat(file.fileno()))
