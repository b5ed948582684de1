"""Files that appear when they are complete; and what a failing disk says, with the way out."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchapp.errors import SearchAppError

DISK_ERROR_REMEDIES = {  # what SQLite says -> what to do
    "disk is full": "make room on its disk and run this again: what was saved is kept",
    "disk I/O error": "its disk fails, or is full; see to it and run this again: what was saved "
    "is kept",
    "readonly": "it can be searched, and be changed only by who may write there",
    "locked": "another process is writing; try again when it has finished",
    "malformed": "its file is damaged; restore a copy of it",
    "not a database": "its file is damaged, or no catalogue; restore a copy of it",
    "unable to open": "see that its folder can be read and written, and that its disk has room",
}
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PERMISSION_ERRNOS = (errno.EACCES, errno.EPERM, errno.EROFS)


def explain_disk_error(error: Exception) -> str:
    """Return in one line what went wrong, and what to do."""
    if isinstance(error, OSError):
        failed = "readonly" if error.errno in PERMISSION_ERRNOS else "disk I/O error"
        failed = "disk is full" if error.errno in DISK_FULL_ERRNOS else failed
        return f"{error.strerror or error}; {DISK_ERROR_REMEDIES[failed]}"
    message = str(error)
    return "; ".join(
        [message, *(what for part, what in DISK_ERROR_REMEDIES.items() if part in message)]
    )


@contextmanager
def write_atomically(file: Path) -> Iterator[Path]:
    """Give a name to write to; the file appears, durably, when the block has written all of it.

    A link stays one: the file that it leads to appears. A pipe or a device, /dev/stdout among them,
    is no file that could be replaced: it is written to as it is.
    """
    if _is_stream(file):
        yield file
        return
    file = Path(os.path.realpath(file))
    temporary = file.with_name(f"{file.stem}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name != "nt":  # where folders cannot be opened
        number = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextmanager
def write_output(file: Path) -> Iterator[Path]:
    """Yield a name to write to, as complete() does, for a file that a user has asked for.

    Errors: SearchAppError if the file cannot be written.
    """
    try:
        with write_atomically(file) as temporary:
            yield temporary
    except OSError as error:
        raise SearchAppError(f"{file} cannot be written: {error.strerror}") from error


def _is_stream(file: Path) -> bool:
    """Tell whether what is written to a name goes elsewhere, as that of /dev/stdout does."""
    folder = os.path.realpath(file.parent)  # of /dev/fd/3 it lies in /proc
    opened = folder in ("/dev", "/dev/fd") or folder.startswith("/proc/")
    return opened or file.is_fifo() or file.is_char_device()
