"""Lock of the resident process: one process of a library listens on its Unix socket.

The operating system releases the lock if the process dies. The lock file names the process.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from searchapp.errors import EngineError

LOCK_FILE_NAME = "resident.lock"
UNAVAILABLE_EXIT_CODE = 69  # of a background process: ResidentUnavailableError (EX_UNAVAILABLE)


class ResidentUnavailableError(EngineError):
    """No resident process can answer this user, so the command must answer in its own process."""


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Process that holds the lock of the resident process."""

    pid: int | None = None  # None: the process could not write its number
    host_name: str = ""
    url: str | None = None  # of `searchapp serve`; None: a background process

    def __str__(self) -> str:
        """Describe the process for a message."""
        number = "" if self.pid is None else f" {self.pid}"
        place = "" if self.host_name in ("", socket.gethostname()) else f" on {self.host_name}"
        if self.url is None:
            return f"the resident process{number}{place}"
        return f"`searchapp serve` at {self.url} (process{number}{place})"


def take_lock(library: Path) -> TextIO | None:
    """Lock the library against other resident processes; return None if one has the lock.

    Closing the file releases the lock. Raises OSError if the lock file cannot be written.
    """
    import fcntl

    while True:
        lock = (library / LOCK_FILE_NAME).open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        if is_lock_in_place(library, lock):
            return lock
        lock.close()  # The file was deleted between open() and flock().


def write_holder(lock: TextIO, url: str | None) -> None:
    """Write to a lock file that this process holds the lock. url: see LockHolder."""
    with suppress(OSError):  # On a full disk, the lock works without the name of its holder.
        lock.seek(0)
        lock.truncate()
        lock.write(json.dumps(asdict(LockHolder(os.getpid(), socket.gethostname(), url))))
        lock.flush()


def is_lock_in_place(library: Path, lock: TextIO) -> bool:
    """Return whether an open lock file is the one in the folder of the library.

    It is not if the library was moved or removed. If the folder cannot be read, return True.
    """
    try:
        return os.path.samestat((library / LOCK_FILE_NAME).stat(), os.fstat(lock.fileno()))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def read_lock_holder(library: Path) -> LockHolder | None:
    """Return the process that holds the lock; None if no process holds it."""
    import fcntl

    try:
        with (library / LOCK_FILE_NAME).open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _parse_holder(lock.read())
    except OSError:
        return None
    return None


def _parse_holder(text: bytes) -> LockHolder:
    """Return the process that a lock file names; an earlier version left the file empty."""
    with suppress(ValueError, TypeError, AttributeError):
        values = json.loads(text)
        pid, url = values.get("pid"), values.get("url")
        if isinstance(pid, int) and (url is None or isinstance(url, str)):
            return LockHolder(pid, str(values.get("host_name")), url)
    return LockHolder()
