"""Allow one writer per library, with a lock that names its holder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from searchapp.errors import LibraryError, LockedError
from searchapp.files.atomic import explain_disk_error
from searchapp.files.owned_file import unlink_own

LOCK_FILE_NAME = "writer.lock"


@contextmanager
def hold_writer_lock(folder: Path, purpose: str) -> Iterator[None]:
    """Hold the writer lock of a library during the with block.

    Raises LockedError, with the name of the process that holds the lock, if there is one. The
    operating system releases the lock even if the process is killed.
    """
    from filelock import FileLock, Timeout

    lock, holder = FileLock(folder / LOCK_FILE_NAME), folder / "writer.txt"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        name = ""
        with suppress(OSError):
            name = holder.read_text(encoding="utf-8").strip()
        raise LockedError(
            f"the library at {folder} is being written by {name or 'another process'}. "
            "Try again when it has finished."
        ) from None
    except OSError as error:
        raise LibraryError(
            f"the library at {folder} cannot be written: {explain_disk_error(error)}"
        ) from error
    holder_status: os.stat_result | None = None
    try:
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
        with suppress(OSError):  # On a full disk, the lock works without the name of its holder.
            holder.write_text(
                f"{purpose} (process {os.getpid()} on {socket.gethostname()}, since {since})\n",
                encoding="utf-8",
            )
            holder_status = holder.lstat()
        yield
    finally:
        if holder_status is not None:
            unlink_own(holder, holder_status)
        lock.release()
