"""One writer a library: a lock that names its holder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from searchapp.errors import LibraryError, LockedError
from searchapp.files.atomic import explain_disk_error


@contextmanager
def hold_writer_lock(folder: Path, purpose: str) -> Iterator[None]:
    """Hold the library for writing; raise LockedError that names the holder when it is held.

    The lock is the operating system's: it ends with the process, however that ends.
    """
    from filelock import FileLock, Timeout

    lock, holder = FileLock(folder / "writer.lock"), folder / "writer.txt"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = ""
        with suppress(OSError):
            who = holder.read_text(encoding="utf-8").strip()
        raise LockedError(
            f"the library at {folder} is being written by {who or 'another process'}; "
            "try again when it has finished"
        ) from None
    except OSError as error:
        raise LibraryError(
            f"the library at {folder} cannot be written: {explain_disk_error(error)}"
        ) from error
    try:
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
        with suppress(OSError):  # a full disk: the lock holds, though it cannot name its holder
            holder.write_text(
                f"{purpose} (process {os.getpid()} on {socket.gethostname()}, since {since})\n",
                encoding="utf-8",
            )
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()
