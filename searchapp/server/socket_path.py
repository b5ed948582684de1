"""Paths of the resident process's socket and log, and the lock of its start."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_FILE_NAME = "resident.sock"
MAX_SOCKET_PATH_BYTES = 100  # Linux allows 107 bytes, macOS 103 (sun_path in unix(7))
MAX_TEMPORARY_FOLDER_BYTES = 55  # The link in short_socket_path() and the socket add 41 bytes.
LOCK_CHECK_INTERVAL_S = 0.02


def socket_path(library: Path) -> Path:
    """Return the path of the library's Unix socket, which is beside the lock."""
    return library / SOCKET_FILE_NAME


@contextmanager
def short_socket_path(library: Path) -> Iterator[str]:
    """Yield a path of the library's Unix socket that is short enough to bind or to connect.

    If the path is too long, the result leads through a link in a new private folder, which exists
    only in the with block. So the socket is always in the library, whatever path or temporary
    folder a process uses, and nothing in a shared folder must be trusted. Raises OSError.
    """
    path = str(socket_path(library))
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        yield path
        return
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > MAX_TEMPORARY_FOLDER_BYTES:
        parent = "/tmp"
    with tempfile.TemporaryDirectory(prefix="searchapp-", dir=parent) as folder:
        link = Path(folder) / "library"
        link.symlink_to(library)
        yield str(link / SOCKET_FILE_NAME)


def log_path(library: Path) -> Path:
    """Return the path of the file that receives the output of a background resident process."""
    return library / "resident.log"


@contextmanager
def hold_lock(library: Path, name: str, timeout_s: float) -> Iterator[None]:
    """Wait for a named lock of the library, and hold it while the block runs.

    The operating system releases the lock if the process dies. Raises OSError if the lock cannot
    be opened, and TimeoutError if another process, which may be suspended, keeps it.
    """
    import fcntl

    path, deadline = library / f"{name}.lock", time.monotonic() + timeout_s
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        errno.ETIMEDOUT, "another process keeps the lock", str(path)
                    ) from None
                time.sleep(LOCK_CHECK_INTERVAL_S)
        yield
