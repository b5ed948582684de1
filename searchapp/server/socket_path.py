"""Where the resident process of a library listens, and how one waits for one's turn to start it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE_NAME = "resident.lock"  # held by the resident process as long as it lives
MAX_SOCKET_PATH_BYTES = 100  # bytes; the system allows a socket's path little more


def socket_path(library: Path) -> Path:
    """Return the path of the library's Unix socket: in its folder, unless that path is too long."""
    path = library / "resident.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    user_folder = Path(tempfile.gettempdir()) / f"searchapp-{os.getuid()}"
    user_folder.mkdir(mode=0o700, exist_ok=True)
    if user_folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{user_folder} belongs to somebody else")
    return user_folder / f"{hashlib.sha256(os.fsencode(library)).hexdigest()[:16]}.sock"


def log_path(library: Path) -> Path:
    """Return the file that a resident process in the background writes what it says to."""
    return library / "resident.log"


def is_lock_free(library: Path) -> bool:
    """Tell whether no resident process holds the library's place."""
    import fcntl

    with (library / LOCK_FILE_NAME).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextmanager
def hold_lock(library: Path, name: str) -> Iterator[None]:
    """Wait for a lock of the operating system, which ends with the process that holds it."""
    import fcntl

    with (library / f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
