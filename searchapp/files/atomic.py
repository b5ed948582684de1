"""Write files atomically, and explain disk errors with what to do about them."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchapp.errors import SearchAppError

DISK_ERROR_REMEDIES = {  # a part of SQLite's message -> what to do
    "disk is full": "Free some space on the disk and run this again; all saved work is kept.",
    "disk I/O error": "The disk is failing or full. Check it and run this again; all saved work "
    "is kept.",
    "readonly": "Searches work, but changes need write permission.",
    "locked": "Another process is writing. Try again when it has finished.",
    "malformed": "The file is damaged. Restore a backup with `searchapp restore FILE`.",
    "not a database": "The file is damaged or is not a catalog. Restore a backup with `searchapp "
    "restore FILE`.",
    "unable to open": "Check that the folder is readable and writable, and that the disk has "
    "free space.",
}
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PERMISSION_ERRNOS = (errno.EACCES, errno.EPERM, errno.EROFS)

WRITE_REMEDY = "Choose another place, or check the free space and the permissions"


def explain_disk_error(error: Exception) -> str:
    """Explain an error of the disk or of SQLite in one line, with what the user can do."""
    if isinstance(error, OSError):
        problem = "readonly" if error.errno in PERMISSION_ERRNOS else "disk I/O error"
        problem = "disk is full" if error.errno in DISK_FULL_ERRNOS else problem
        return f"{error.strerror or error}. {DISK_ERROR_REMEDIES[problem]}"
    message = str(error)
    remedies = [remedy for part, remedy in DISK_ERROR_REMEDIES.items() if part in message]
    return ". ".join([message, " ".join(remedies)]) if remedies else message


@contextmanager
def write_atomically(file: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; at the end of the with block, it replaces file durably.

    If file is a symbolic link, its target is replaced. A pipe or a device such as /dev/stdout
    cannot be replaced, so for these, the path of file itself is yielded.
    Raises IsADirectoryError at once for a folder: replacing it would fail only after all the work.
    """
    _require_no_folder(file)
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
    if os.name != "nt":  # Windows cannot open folders.
        descriptor = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def write_output(file: Path) -> Iterator[Path]:
    """Write a file that the user requested: yield a temporary path, as write_atomically() does.

    Raises SearchAppError if the file cannot be written.
    """
    try:
        with write_atomically(file) as temporary:
            yield temporary
    except OSError as error:
        raise _make_output_error(file, error) from error


def require_writable(*files: Path | None) -> None:
    """Raise SearchAppError if one of the files that a long command writes last cannot be created.

    None: a file that the user did not request.
    """
    for file in filter(None, files):
        try:
            _require_no_folder(file)
            if not _is_stream(file):
                folder = Path(os.path.realpath(file)).parent
                tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise _make_output_error(file, error) from error


def _make_output_error(file: Path, error: OSError) -> SearchAppError:
    return SearchAppError(f"{file} cannot be written: {error.strerror}. {WRITE_REMEDY}")


def _require_no_folder(file: Path) -> None:
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))


def _is_stream(file: Path) -> bool:
    """Return whether a path is a pipe, a device, or an open file such as /dev/stdout."""
    folder = os.path.realpath(file.parent)  # /dev/fd/3 resolves to a folder in /proc.
    is_open_file = folder in ("/dev", "/dev/fd") or folder.startswith("/proc/")
    return is_open_file or file.is_fifo() or file.is_char_device()
