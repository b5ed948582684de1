"""Paths of the resident process's socket, lock and log, and the locks of its start."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE_NAME = "resident.lock"  # locked while the resident process runs
MAX_SOCKET_PATH_BYTES = 100  # Linux allows 107 bytes, macOS 103 (sun_path in unix(7))


def socket_path(library: Path) -> Path:
    """Return the path of the library's Unix socket.

    The socket is in the library, or in a private temporary folder if its path is too long.
    Raises PermissionError if the temporary folder belongs to another user.
    """
    path = library / "resident.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    user_folder = Path(tempfile.gettempdir()) / f"searchapp-{os.getuid()}"
    user_folder.mkdir(mode=0o700, exist_ok=True)
    if user_folder.stat().st_uid != os.getuid():
        raise PermissionError(
            f"{user_folder} belongs to another user. Set TMPDIR to a folder of your own."
        )
    return user_folder / f"{hashlib.sha256(os.fsencode(library)).hexdigest()[:16]}.sock"


def log_path(library: Path) -> Path:
    """Return the path of the file that receives the output of a background resident process."""
    return library / "resident.log"


def is_lock_free(library: Path) -> bool:
    """Return whether no process holds the lock: then no resident process of the library runs."""
    import fcntl

    with (library / LOCK_FILE_NAME).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextmanager
def hold_lock(library: Path, name: str) -> Iterator[None]:
    """Wait for a named lock of the library, and hold it while the block runs.

    The operating system releases the lock if the process dies.
    """
    import fcntl

    with (library / f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
