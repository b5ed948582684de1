"""Where the resident process of a library listens, and how one waits for one's turn to start it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLACE = "resident.lock"  # held by the resident process as long as it lives
LONGEST = 100  # bytes; the system allows a socket's path little more


def socket_path(library: Path) -> Path:
    """Return the path of the library's Unix socket: in its folder, unless that path is too long."""
    path = library / "resident.sock"
    if len(os.fsencode(path)) <= LONGEST:
        return path
    own = Path(tempfile.gettempdir()) / f"searchapp-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    if own.stat().st_uid != os.getuid():
        raise PermissionError(f"{own} belongs to somebody else")
    return own / f"{hashlib.sha256(os.fsencode(library)).hexdigest()[:16]}.sock"


def log_path(library: Path) -> Path:
    """Return the file that a resident process in the background writes what it says to."""
    return library / "resident.log"


def is_free(library: Path) -> bool:
    """Tell whether no resident process holds the library's place."""
    import fcntl

    with (library / PLACE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextmanager
def turn(library: Path, name: str) -> Iterator[None]:
    """Wait for a lock of the operating system, which ends with the process that holds it."""
    import fcntl

    with (library / f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
