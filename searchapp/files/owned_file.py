"""Delete a file only if it is still the one that this process made."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def unlink_own(file: Path, status: os.stat_result) -> None:
    """Delete a file, unless another process has meanwhile put its own file at this path.

    status: lstat() of the file that this process made. A library can be moved away while a
    process uses it; then the path can belong to a new library. The modification time is compared
    too, because a file system reuses the inode numbers of deleted files.
    """
    with suppress(OSError):
        found = file.lstat()
        if _get_identity(found) == _get_identity(status):
            file.unlink()


def _get_identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_mtime_ns
